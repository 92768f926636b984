"""The differential test: whatever the planner says of a cluster, kube-scheduler itself must say so too.

A scenario is a set of manifests and a catalog, drawn from a seed. The product plans it, by the code that users run, and
kube-scheduler's own filters (hack/controlplane/kubernetes/schedulercheck) judge the plan: see docs/differential.md.
"""
