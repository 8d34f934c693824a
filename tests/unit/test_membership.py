"""The note of a worker's place in its group: it may be missing, damaged or unwritable, and stops nobody."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from streams.membership import MemberFile, Membership


def test_the_last_place_is_what_was_noted_last(tmp_path: Path) -> None:
    file = MemberFile(tmp_path, "worker-1")
    assert file.last() is None
    for member in ("a", "b", "b"):
        file.note("group", member)
    assert MemberFile(tmp_path, "worker-1").last() == Membership("group", "b")
    assert MemberFile(tmp_path, "worker-2").last() is None
    file.forget()
    assert file.last() is None


def test_a_group_that_does_not_know_us_yet_is_no_place(tmp_path: Path) -> None:
    file = MemberFile(tmp_path, "worker-1")
    file.note("group", "")
    assert file.last() is None


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"group": "g"}', b"\xff"])
def test_a_damaged_note_is_told_and_taken_for_none(
    tmp_path: Path, damaged: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "worker-1.member.json").write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        assert MemberFile(tmp_path, "worker-1").last() is None
    assert "worker-1.member.json" in caplog.text


def test_a_home_that_cannot_be_written_is_told_and_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "run").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        MemberFile(tmp_path, "worker-1").note("group", "a")
    assert "member_not_noted" in caplog.text
