// Command witness is a process for pods that writes down what becomes of it.
//
//	witness                 waits for SIGTERM and ends: the pause container of each pod
//	witness FOLDER END      writes to the file of FOLDER that is called like the pod; ends so long after SIGTERM ("18s"),
//	                        or never ("never")
//
// Each line is an event and when it was, in seconds since the epoch: "started", "alive" every 50 ms, "sigterm", "ended".
// No process can tell of a SIGKILL: it came less than 50 ms after the last line.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const heartbeat = 50 * time.Millisecond

func main() {
	sigterm := make(chan os.Signal, 1)
	signal.Notify(sigterm, syscall.SIGTERM)
	if len(os.Args) < 3 {
		<-sigterm
		return
	}
	if err := testify(os.Args[1], os.Args[2], sigterm); err != nil {
		fmt.Fprintln(os.Stderr, "witness:", err)
		os.Exit(1)
	}
}

// testify writes until its time after SIGTERM is over.
func testify(folder, end string, sigterm <-chan os.Signal) error {
	pod, err := os.Hostname()
	if err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(folder, pod), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	write := func(event string) {
		fmt.Fprintf(file, "%s %.3f\n", event, float64(time.Now().UnixMicro())/1e6)
	}
	write("started")
	var over <-chan time.Time // nil, which never comes
	for {
		select {
		case <-sigterm:
			write("sigterm")
			if end == "never" || over != nil {
				continue
			}
			duration, err := time.ParseDuration(end)
			if err != nil {
				return err
			}
			over = time.After(duration)
		case <-over:
			write("ended")
			return nil
		case <-time.After(heartbeat):
			write("alive")
		}
	}
}
