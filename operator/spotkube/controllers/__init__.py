"""Small reconcilers, one a concept: each compares what should be with what is, and takes the next step towards it."""
