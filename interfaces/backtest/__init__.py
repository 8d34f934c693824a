"""Recorded series through the stream's own scorer: reading csv files, scoring them, writing the scores."""
