"""Benchmark results -> task activities: one task of one configuration, one activity.

In: result files of a benchmark. Out: chunks. Never: a cost that nobody reported, a time the files do not say.
"""
