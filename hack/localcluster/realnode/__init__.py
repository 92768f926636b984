"""A real node for a local cluster: a kubelet with containerd and runc, where this machine can run containers.

KWOK's pods end as a Stage says. What becomes of a process, when SIGTERM comes and when SIGKILL, only a kubelet can
show::

    from localcluster.realnode.node import Registration, join

    with join(folder, cluster.kubeconfig, Registration("a-node", provider_id, labels, taints)):
        ...

All of it is one tree of processes, in namespaces of its own for processes and mounts, with nothing in the host's
network: it dies as a machine does whose power is cut, and takes everything with it but its folder, which holds its
logs, and its cgroups, which are removed after it.

Modules: `needs` says what a machine lacks, `images` makes an image without a registry, `settings` are the files that
containerd, CNI and kubelet read, `cgroups` where pods live, `machine.sh` is the first process, `node` is what callers
use.
"""
