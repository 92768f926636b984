"""The fair queue in the cluster: which Jobs are let go, and how queues and those who wait stand."""
