"""Named detectors: small state machines, each of which knows one way in which a swarm goes wrong.

In: decoded activities, heartbeats, producers' sequence numbers, closed windows; all with event time and offset.
Out: `Finding`s. Never: a clock, randomness, I/O, a memory without a bound.
"""
