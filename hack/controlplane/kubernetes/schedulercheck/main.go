// Command schedulercheck says what kube-scheduler makes of a plan, without a cluster.
//
// It links kube-scheduler itself: its configuration, plugins, cache, snapshot and queue, with the feature gates at their
// defaults. It reads one scenario a line from standard input and answers each with a line on standard output, both JSON
// (types Scenario and Answer). Nothing is scored, preempted or bound: a pod either passes all filters on the node that
// it is nominated to, and then stands there for those that follow, or it is refused.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/klog/v2"

	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/storage/install"
)

func main() {
	// Errors are answers here; what the scheduler logs would only be repeated.
	klog.SetLogger(klog.New(nil))
	utilruntime.ErrorHandlers = nil
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "schedulercheck:", err)
		os.Exit(1)
	}
}

// serve answers every scenario of the input, in order, each as soon as it is judged.
func serve(in io.Reader, out io.Writer) error {
	decoder := json.NewDecoder(bufio.NewReader(in))
	encoder := json.NewEncoder(out)
	for {
		var scenario Scenario
		if err := decoder.Decode(&scenario); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("standard input has no scenario: %w", err)
		}
		answer, err := judge(context.Background(), &scenario)
		if err != nil {
			answer = &Answer{Error: err.Error()}
		}
		if err := encoder.Encode(answer); err != nil {
			return err
		}
	}
}
