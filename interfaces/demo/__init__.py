"""The demonstration: a real local swarm in two configurations, measured, streamed, compared."""
