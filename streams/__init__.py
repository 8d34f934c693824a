"""The engine: Faust app, chunked consumption, one deterministic fold a partition, snapshots, checkpoint order.

In: Kafka records. Out: result rows to the sinks, snapshots, committed offsets. Never: a result that depends on when
or in which chunks the records arrived.
"""
