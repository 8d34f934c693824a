"""Domain models and mathematical models: the pure core.

In: values. Out: values. Never: Kafka, Faust, ClickHouse, HTTP, a wall clock, randomness without a stored seed.
"""
