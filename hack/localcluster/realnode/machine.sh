#!/bin/sh
# The first process of a real node, in namespaces of its own for processes and mounts: when it ends, all ends.
# usage: machine.sh FOLDER KUBELET...
set -eu
folder=$1
shift

# What containerd, CNI and the kubelet keep where they please stays in here, and is gone with the node.
for place in /run /var/lib /var/log; do
    mount -n -t tmpfs node "$place"
done

# A kubelet sets these for the whole host, unless it finds them set: it finds files of ours.
for tunable in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    file=/run/tunables/${tunable%=*}
    mkdir -p "${file%/*}"
    echo "${tunable#*=}" >"$file"
    mount -n --bind "$file" "/proc/sys/${tunable%=*}"
done

# The network of pods hangs on containerd's. The kubelet stays in the host's, where the API server listens on loopback.
unshare --net containerd --config "$folder/containerd.toml" >"$folder/containerd.log" 2>&1 &
until ctr version >/dev/null 2>&1; do
    sleep 0.1
done
ctr --namespace k8s.io images import "$folder/image.tar" >/dev/null
# Not by `exec`: this shell takes leave of the processes whose parents have ended.
"$@" >"$folder/kubelet.log" 2>&1
