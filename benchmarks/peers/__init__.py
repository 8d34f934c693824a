"""Small honest programs in other engines, measured beside ours on the same records of the same broker.

Each decodes JSON and keeps count, sum, min and max of 10 s tumbling event-time windows a (swarm, agent, metric).
None of them computes percentiles or scores, writes to ClickHouse, or survives a crash without loss or repetition.
"""
