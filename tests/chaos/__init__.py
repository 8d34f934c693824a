"""Faults on real servers: each scenario ends with an exact comparison and one line of figures.

A short form runs with the other tests. The long form, all scenarios or some:

    make chaos SECONDS=300 SEED=7 BROKER=kafka
    make chaos SECONDS=60 CHAOS='storm or soak'
"""
