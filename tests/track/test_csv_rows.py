"""Rows that are whole whatever happens, and come back as they were."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.errors import UserError
from sightline.readers.tracknet import detect
from sightline.track.csv_rows import RowFile, RowFormat, as_row, read_rows
from sightline.track.point import STEP_KINDS, TrackPoint

SOURCE = Path(__file__).resolve().parents[2] / "src"
SEEN = TrackPoint(
    frame=7, time_s=0.233333333, x=101.25, y=64.5, visible=True, score=0.987654, radius_px=3.456, step="fast"
)  # fmt: skip
UNSEEN = TrackPoint(frame=8, time_s=0.266667, score=0.25, step="recalibrate")


def test_rows_are_as_documented() -> None:
    assert as_row(SEEN, format="sightline") == "7,0.233333,101.250,64.500,1,0.9877,3.46,fast"
    assert as_row(UNSEEN, format="sightline") == "8,0.266667,,,0,0.2500,,recalibrate"
    # TrackNet's first pixel has its middle at 0, ours at 0.5.
    assert as_row(SEEN, format="tracknet") == "7,1,100.75,64.00"
    assert as_row(UNSEEN, format="tracknet") == "8,0,0.00,0.00"


points = st.builds(
    TrackPoint,
    frame=st.just(0), time_s=st.none() | st.floats(0, 1e5), x=st.floats(-100, 1e4), y=st.floats(-100, 1e4),
    visible=st.booleans(), score=st.floats(0, 1), radius_px=st.none() | st.floats(0, 1e3),
    step=st.sampled_from(STEP_KINDS),
)  # fmt: skip


@given(st.lists(points, min_size=1, max_size=5))
def test_rows_come_back_within_their_digits(tmp_path_factory: pytest.TempPathFactory, rows: list[TrackPoint]) -> None:
    path = tmp_path_factory.mktemp("rows") / "points.csv"
    given_rows = [TrackPoint(**{**vars(row), "frame": 3 * number}) for number, row in enumerate(rows)]
    with RowFile(path) as file:
        file.write(given_rows)
    format_found, found = read_rows(path)
    assert format_found == "sightline"
    for before, after in zip(given_rows, found, strict=True):
        assert (after.frame, after.visible, after.step) == (before.frame, before.visible, before.step)
        assert after.score == pytest.approx(before.score, abs=6e-5)
        assert (after.x, after.y) == pytest.approx((before.x, before.y) if before.visible else (0, 0), abs=6e-4)
        assert (after.radius_px is None) == (before.radius_px is None)
        assert (after.time_s is None) == (before.time_s is None)


def test_tracknet_rows_are_what_the_reader_takes(tmp_path: Path) -> None:
    path = tmp_path / "clip_ball.csv"
    with RowFile(path, format="tracknet") as file:
        file.write([SEEN, UNSEEN])
    assert detect(path)
    found = read_rows(path)[1]
    assert [(p.frame, p.visible) for p in found] == [(7, True), (8, False)]
    assert (found[0].x, found[0].y) == (101.25, 64.5)


def test_a_file_is_made_with_its_first_row_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new" / "points.csv"
    with RowFile(path) as file:
        assert not path.exists()
        file.write([SEEN])
        assert path.read_text().count("\n") == 2  # at once, not when it is closed
    with pytest.raises(UserError, match="exists already"):
        RowFile(path)
    with pytest.raises(UserError, match="is a folder"):
        RowFile(tmp_path)
    with pytest.raises(UserError, match="nothing to resume"):
        RowFile(tmp_path / "other.csv", resume=True)


def test_of_two_that_begin_a_file_at_once_one_writes_it(tmp_path: Path) -> None:
    first, second = RowFile(tmp_path / "a.csv"), RowFile(tmp_path / "a.csv")
    with first, second:
        first.write([SEEN])
        with pytest.raises(UserError, match=r"a\.csv: file exists\. Choose another --out"):
            second.write([SEEN])
        first.write([UNSEEN])
    assert len(read_rows(tmp_path / "a.csv")[1]) == 2


def test_resuming_drops_half_a_row_and_goes_on_behind_the_last_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    with RowFile(path) as file:
        file.write([SEEN])
    whole = path.read_bytes()
    path.write_bytes(whole + b"8,0.26")
    with RowFile(path, resume=True) as file:
        assert [p.frame for p in file.done] == [7]
        file.write([UNSEEN])
    assert path.read_bytes() == whole + b"8,0.266667,,,0,0.2500,,recalibrate\n"
    with pytest.raises(UserError, match="Resume with --format sightline"):
        RowFile(path, format="tracknet", resume=True)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is no file of points: it begins with ''"),
        ("name,age\n1,2\n", "begins with 'name,age'"),
        ("frame,time_s,x,y,visible,score,radius_px,step\n0,0,1,1,1,0.5,,swim\n", "line 2: 'swim' is no step"),
        ("frame,time_s,x,y,visible,score,radius_px,step\n0,0,1,1\n", "line 2: "),
        ("Frame,Visibility,X,Y\n1,1,2,3\n1,1,2,3\n", "line 3: frame 1 does not come behind frame 1"),
    ],
)
def test_a_file_that_is_no_such_file_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "points.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=told):
        RowFile(path, resume=True)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process's files are POSIX")
@pytest.mark.parametrize("format", ["sightline", "tracknet"])
def test_a_full_disk_leaves_whole_rows_and_can_be_gone_on_from(tmp_path: Path, format: RowFormat) -> None:
    path = tmp_path / "points.csv"
    code = f"""
import resource, signal
from pathlib import Path
from sightline.errors import UserError
from sightline.track.csv_rows import RowFile
from sightline.track.point import TrackPoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # the file system "ends" in the middle of a row
try:
    with RowFile(Path({str(path)!r}), format={format!r}) as file:
        for number in range(200):
            file.write([TrackPoint(frame=number, x=10.0, y=20.0, visible=True, score=0.5, step="fast")])
except UserError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(SOURCE)}, timeout=60
    )
    assert "file too large" in done.stdout, done.stderr
    text = path.read_text()
    assert text.endswith("\n")
    kept = text.count("\n") - 1
    assert f"The {kept} rows before are whole; make room and go on by --resume." in done.stdout
    with RowFile(path, format=format, resume=True) as file:
        assert [p.frame for p in file.done] == list(range(kept))
        file.write([TrackPoint(frame=kept, step="lost")])
    assert len(read_rows(path)[1]) == kept + 1


@contextmanager
def written_by_another(path: Path, *, resume: bool) -> Iterator[None]:
    """A process that has the file open, and one more row in it if it began it; killed at the end of the block."""
    ready, held = os.pipe()
    pid = os.fork()
    if pid == 0:
        with RowFile(path, resume=resume) as file:
            if not resume:
                file.write([SEEN])
            os.write(held, b"1")
            signal.pause()
        os._exit(0)
    assert os.read(ready, 1) == b"1"
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="locks are POSIX")
def test_a_file_has_one_writer_and_a_killed_one_leaves_it_free(tmp_path: Path, cli: Callable) -> None:
    path = tmp_path / "points.csv"
    for resume in (False, True):
        with written_by_another(path, resume=resume):
            before = path.read_bytes()
            with pytest.raises(UserError, match=r"Another process is writing to .*points\.csv\. Wait for it"):
                RowFile(path, resume=True)
            ran = cli("track", tmp_path / "run", tmp_path / "video.mp4", "--out", path, "--resume")
            assert ran.code == 2 and f"Another process is writing to {path}" in ran.err
            with pytest.raises(UserError, match="exists already"):
                RowFile(path)
        assert path.read_bytes() == before
    with RowFile(path, resume=True) as file:
        assert [point.frame for point in file.done] == [7]
        file.write([UNSEEN])
    with RowFile(path, resume=True) as again:  # given back
        assert [point.frame for point in again.done] == [7, 8]


@pytest.mark.skipif(sys.platform == "win32", reason="locks are POSIX")
def test_the_lock_lasts_while_rows_are_written(tmp_path: Path) -> None:
    """POSIX gives a lock up with the first descriptor of its file that is closed, whichever that is."""
    path = tmp_path / "points.csv"
    with RowFile(path) as file:
        file.write([SEEN])
    with RowFile(path, resume=True) as file:
        file.write([UNSEEN])
        pid = os.fork()
        if pid == 0:
            try:
                RowFile(path, resume=True)
            except UserError:
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


@pytest.mark.skipif(sys.platform == "win32", reason="locks are POSIX")
def test_where_a_disk_knows_no_locks_rows_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with RowFile(tmp_path / "points.csv") as file:
        file.write([SEEN])
    with RowFile(tmp_path / "points.csv", resume=True) as file:
        file.write([UNSEEN])
    assert len(read_rows(tmp_path / "points.csv")[1]) == 2
