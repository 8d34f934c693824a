"""Stops a worker when everything is invalid: that is a bad deployment and not bad data.

In: records and dead letters of each chunk. Out: BadInputError. Never: stops for a share of bad input below the limit.
"""

from __future__ import annotations


class BadInputError(Exception):
    """Nearly everything is invalid; one line that says what to look at."""


class BadInputBrake:
    """Compares dead letters with records over runs of at least `run_min` records."""

    def __init__(self, *, ratio_max: float, run_min: int) -> None:
        self._ratio_max = ratio_max
        self._run_min = run_min
        self._records = self._bad = 0

    def observe(self, topic: str, records: int, dead_letters: int) -> None:
        """Notes a chunk. Raises BadInputError at the end of a run whose share of bad records is above the limit.

        A record with several bad events counts once at most, so that one bad batch of 500 is one bad record.
        """
        self._records += records
        self._bad += min(dead_letters, records)
        if self._records < self._run_min:
            return
        ratio, seen = self._bad / self._records, self._records
        self._records = self._bad = 0
        if ratio > self._ratio_max:
            raise BadInputError(
                f"{topic}: {ratio:.0%} of the last {seen} records are invalid (limit {self._ratio_max:.0%}): a "
                "producer sends something else, or this worker is too old. Look at swarm.dead-letters; to go on "
                "anyway raise MURMUR_BAD_INPUT_RATIO_MAX to 1."
            )
