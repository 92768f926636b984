"""Playing job logs forward in virtual time, without a cluster: what an order of the queue would have meant."""
