"""Advisories: what a finding proposes to do, under a policy that allows nothing unasked.

In: anomaly rows of named detectors, a policy. Out: one verdict a row. Never: acts; whoever reads `swarm.control` does.
"""
