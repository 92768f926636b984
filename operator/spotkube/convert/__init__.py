"""From Kubernetes objects, as plain dicts or API models, to the frozen model. Pure functions."""
