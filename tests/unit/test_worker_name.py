"""A worker's name stays inside its home and belongs to one process at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streams.worker_name import WorkerNameError, claim


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "-x", "a b", "x" * 65, "a\n"])
def test_a_name_that_is_no_plain_file_name_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(WorkerNameError, match="--name"):
        claim(tmp_path, name)
    assert not list(tmp_path.rglob("*"))


def test_a_name_is_held_by_one_and_free_when_its_process_has_ended(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from streams.worker_name import claim\n"
    code += "claim(Path(sys.argv[1]), 'worker-1'); print('held', flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(WorkerNameError, match=r"already runs in .*: choose another --name"):
        claim(tmp_path, "worker-1")
    os.close(claim(tmp_path, "worker-2"))
    holder.kill()
    holder.communicate()
    os.close(claim(tmp_path, "worker-1"))
