"""`make demo`: a local cluster, a fake cloud, the operator and `examples/`, and what happens then.

`stage` puts everything up and takes it down, `identity` is the operator's account, `scene` reads the cluster into one
frozen value, `show` prints it, `acts` are the parts of the play in order, `interruption` is the one in which a node is
taken away, `closing` the table at the end; `trace` and `kind` are the other two plays.
"""
