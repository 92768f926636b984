"""Where pods land when kube-scheduler, and not we, has the last word: a simulation of it, and what mends a plan."""
