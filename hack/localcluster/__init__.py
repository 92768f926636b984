"""A real Kubernetes control plane on this machine, without containers: for tests, demos and development.

kube-apiserver, etcd, kube-controller-manager, kube-scheduler and KWOK (which plays the nodes) run as plain
processes on loopback::

    from localcluster.cluster import LocalCluster

    with LocalCluster.start() as cluster:
        print(cluster.kubectl("get", "namespaces"))

Modules: `groups` and `golang` know what is built and by what, `build` builds it; `pki` and `parts` say what a cluster
consists of, `supervisor` is the process that keeps its parts, `folders` finds the clusters of this machine, `cluster`
is what callers use. `realnode` adds a real kubelet to a cluster, where containers can run.
"""
