"""The local provider: a fake cloud that is a process of its own, and the client that speaks to it.

    client.py   the cloud port, over HTTP; all that the operator imports
    wire.py     the JSON that the two exchange
    server.py   HTTP in front of the cloud
    cloud.py    orders, capacity, notices and injected faults, and the one task that wakes when something is due
    machines.py what has become of an instance by a given time: pure
    nodes.py    the Node objects that instances appear as, played by KWOK
    store.py    what survives a restart

An instance is not its Node, so that orphans, lost answers, machines that never join and reclaims can happen.
"""
