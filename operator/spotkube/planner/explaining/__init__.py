"""Explanations that are tried: a change that is said to place a pod is made in the Snapshot, and that planned anew."""
