"""The agent on each node: tells the cluster what the instance's metadata says of its end."""
