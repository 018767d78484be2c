from __future__ import annotations

import errno
import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sightline.errors import UserError
from sightline.files import CannotWrite
from sightline.locks import only_writer


@contextmanager
def written_by_another(folder: Path) -> Iterator[None]:
    """A process that holds the folder's lock, and is killed at the end of the block."""
    ready, held = os.pipe()
    pid = os.fork()
    if pid == 0:
        with only_writer(folder):
            os.write(held, b"1")
            signal.pause()
        os._exit(0)
    assert os.read(ready, 1) == b"1"
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_folder_has_one_writer_and_a_killed_one_leaves_it_free(tmp_path: Path) -> None:
    with (
        written_by_another(tmp_path),
        pytest.raises(UserError, match="Another process is writing"),
        only_writer(tmp_path),
    ):
        raise AssertionError("the block must not run")
    with only_writer(tmp_path):
        pass
    with only_writer(tmp_path):  # given back
        pass


def test_where_a_disk_knows_no_locks_the_work_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    done = []
    with only_writer(tmp_path):
        done.append(1)
    assert done == [1]


def test_a_folder_that_cannot_be_written_to_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with (
        pytest.raises(CannotWrite, match=f"Cannot write {tmp_path}/file/run: "),
        only_writer(tmp_path / "file" / "run"),
    ):
        raise AssertionError("the block must not run")


def test_two_trainings_do_not_share_a_folder(
    cli: Callable[..., object], recipe_file: Path, faces: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with written_by_another(out):
        ran = cli("train", recipe_file, "--data", faces, "--out", out)
    assert ran.code == 2
    assert f"Another process is writing to {out}" in ran.err
    assert [path.name for path in out.iterdir()] == [".writer.lock"]
