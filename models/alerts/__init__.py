"""Alerts, pure: rules, samples, conditions, the state machine, and the words of a message.

In: plain values. Out: plain values. Never: reads a clock, sends anything.
"""
