"""Event-time windows: assignment, watermark, window state as arrays, percentile sketch.

In: columns of accepted events in log order. Out: window rows. Never: reads a clock; time is the events' own.

Windows are half-open `[start_ms, end_ms)` integer milliseconds of event time, aligned to the epoch.
"""
