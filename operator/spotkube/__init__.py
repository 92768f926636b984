"""SpotKube runs a Kubernetes cluster's work on the cheapest spot and on-demand nodes that surely hold it."""

__version__ = "0.1.0"
