"""Locks that a dead process does not keep, and machines that fall silent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sightline.errors import UserError
from sightline.locks import claim
from sightline.sweep.claims import Silence

HOLDS = """
import os, sys, time
from pathlib import Path
from sightline.locks import claim
held = claim(Path(sys.argv[1]))
if held is not None and os.fork() == 0:
    time.sleep(60)  # a loader process that outlives its parent
print(held is not None, flush=True)
time.sleep(60)
"""


def holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    process.said = process.stdout.readline().strip()  # type: ignore[attr-defined]
    return process


def test_a_lock_is_kept_by_one_process_and_ends_with_it_though_its_children_live(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "running.lock"
    first = holder(path)
    try:
        assert first.said == "True"  # type: ignore[attr-defined]
        assert claim(path) is None
        first.send_signal(signal.SIGKILL)
        first.wait()
        held = claim(path)
        assert held is not None
        second = holder(path)
        assert second.said == "False"  # type: ignore[attr-defined]
        os.killpg(second.pid, signal.SIGKILL)
        second.wait()
        held.release()
    finally:
        os.killpg(first.pid, signal.SIGKILL)


def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        claim(tmp_path / "file" / "running.lock")


def test_silence_is_judged_by_the_watchers_own_clock_alone() -> None:
    now = [1000.0]
    silence = Silence(longest=100, clock=lambda: now[0])
    assert silence.judge(7, 3) == "unknown"
    now[0] += 99
    assert silence.judge(7, 3) == "unknown"
    assert silence.judge(8, 0) == "unknown"  # another trial's time begins when it is first seen
    now[0] += 2
    assert silence.judge(7, 3) == "silent"
    assert silence.judge(8, 1) == "alive"
    now[0] += 99
    assert silence.judge(8, 1) == "alive"  # it was seen to count, and has not stood still for long
    now[0] += 2
    assert silence.judge(8, 1) == "silent"
    assert silence.judge(8, 2) == "alive"
