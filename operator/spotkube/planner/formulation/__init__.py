"""From a Snapshot to the planner's Problem: what each rule of Kubernetes comes to in arrays."""
