"""Storages: a journal that was cut off, one that is gone or locked, and a real PostgreSQL with two processes."""

from __future__ import annotations

import builtins
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_up_training import MadeUp, search_for
from test_sweep_trials import begin, begun_runs, ended

from sightline.errors import MissingExtra, UserError
from sightline.sweep import trial as trial_module
from sightline.sweep.run import search_all
from sightline.sweep.storage import require_optuna, shown
from sightline.sweep.tried import Tried

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_module, "finished_run", MadeUp())


def swept(out: Path, faces: Path, *, trials: int = 2, url: str | None = None, study: str = "made-up") -> list[Tried]:
    return search_all(search_for(out, faces, say=[].append), url=url, study_name=study, trials=trials)


def test_half_a_line_that_a_kill_left_is_cut_off(tmp_path: Path, faces: Path) -> None:
    out = tmp_path / "out"
    before = swept(out, faces)
    with (out / "journal.log").open("ab") as file:
        file.write(b'{"op_code":4,"worker_id":"x","study')
    after = swept(out, faces, trials=3)
    assert after[:2] == before and len(after) == 3
    assert len(swept(out, faces, trials=3)) == 3  # and it reads again


def test_a_damaged_journal_is_told_with_the_way_out(tmp_path: Path, faces: Path) -> None:
    out = tmp_path / "out"
    swept(out, faces)
    lines = (out / "journal.log").read_text().splitlines()
    (out / "journal.log").write_text("\n".join([*lines[:3], "garbage", *lines[3:]]) + "\n")
    with pytest.raises(UserError, match=r"journal\.log cannot be read \(it is damaged.*--rebuild"):
        swept(out, faces)


def test_a_journal_that_goes_away_is_told(tmp_path: Path, faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    made = MadeUp()

    def lost(rate: float, seed: int, epoch: int) -> float:
        (out / "journal.log").unlink(missing_ok=True)
        return 0.1

    made.score = lost
    monkeypatch.setattr(trial_module, "finished_run", made)
    with pytest.raises(UserError, match=r"The storage .*journal\.log is gone"):
        swept(out, faces)


def test_a_database_that_is_locked_is_told(tmp_path: Path, faces: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}?timeout=0.1"
    swept(tmp_path / "out", faces, trials=1, url=url)
    with sqlite3.connect(tmp_path / "study.db") as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UserError, match="is locked by another program"):
            swept(tmp_path / "out", faces, trials=2, url=url)
    assert len(swept(tmp_path / "out", faces, trials=2, url=url)) == 2


def test_a_database_that_is_not_there_is_told_without_its_password(tmp_path: Path, faces: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"postgresql+psycopg://me:secret@127.0.0.1:{port}/sweeps"
    with pytest.raises(UserError, match="cannot be reached") as raised:
        swept(tmp_path / "out", faces, url=url)
    assert "secret" not in str(raised.value) and "me:***@" in str(raised.value)
    assert shown(url, tmp_path) == f"postgresql+psycopg://me:***@127.0.0.1:{port}/sweeps"


@pytest.mark.parametrize("url", ["nonsense", "postgres://x", "nosuch://a/b"])
def test_what_is_no_address_is_told(tmp_path: Path, faces: Path, url: str) -> None:
    with pytest.raises(UserError, match=r"--storage is no address.*postgresql\+psycopg://"):
        swept(tmp_path / "out", faces, url=url)


def test_a_study_that_is_not_of_a_sweep_is_not_touched(tmp_path: Path, faces: Path) -> None:
    import optuna

    url = f"sqlite:///{tmp_path / 'study.db'}"
    other = optuna.create_study(study_name="mine", storage=url)
    other.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(UserError, match="that no sweep made"):
        swept(tmp_path / "out", faces, url=url, study="mine")
    assert len(other.get_trials()) == 1


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *rest: object, **more: object) -> object:
        if name == "optuna":
            raise ImportError(name)
        return imported(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"sightline\[sweep\]"):
        require_optuna()


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """A server of its own; its address, and the command that stops it."""
    if not BINARIES or shutil.which("runuser") is None:
        pytest.skip("no PostgreSQL here")
    folder, binaries = Path(f"/tmp/sightline-postgres-{time.monotonic_ns()}"), BINARIES[-1]
    folder.mkdir()
    shutil.chown(folder, "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def command(program: str, *arguments: str) -> list[str]:
        return ["runuser", "-u", "postgres", "--", str(binaries / program), *arguments]

    stop = command("pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "-w", "stop")
    run = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/tmp", "timeout": 120}
    try:
        subprocess.run(command("initdb", "-D", f"{folder}/data", "-A", "trust", "-U", "sweeps", "--no-sync"), **run)
        options = f"-p {port} -k {folder} -c fsync=off"
        subprocess.run(
            command("pg_ctl", "-D", f"{folder}/data", "-o", options, "-l", f"{folder}/log", "-w", "start"), **run
        )
        yield f"postgresql+psycopg://sweeps:unused@127.0.0.1:{port}/postgres", stop
    finally:
        subprocess.run(stop, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/tmp", timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_two_machines_share_a_postgres_and_its_end_is_told(
    tmp_path: Path, faces: Path, postgres: tuple[str, list[str]]
) -> None:
    """Two processes with folders of their own stand for two machines: they share nothing but the database."""
    url, stop = postgres
    outs = [tmp_path / "a" / "out", tmp_path / "b" / "out"]
    for out in outs:
        out.parent.mkdir()
    processes = [begin(out, faces, trials=9, seconds=0.05, url=url) for out in outs]
    for process in processes:
        ended(process)
    logs = [out.parent / "log.txt" for out in outs]
    recipes = [{recipe for _, recipe, _ in begun_runs(log)} for log in logs if log.is_file()]
    assert len(set().union(*recipes)) == sum(map(len, recipes)) == 9, "no trial was trained on both"
    search = search_for(tmp_path / "c" / "out", faces, seeds=2, say=[].append)
    tried = search_all(search, url=url, study_name="made-up", trials=9)
    assert len(tried) == 9 and all(each.state in ("complete", "pruned") for each in tried)
    subprocess.run(stop, check=True, stdout=subprocess.DEVNULL, cwd="/tmp", timeout=60)
    with pytest.raises(UserError, match="cannot be reached"):
        search_all(search, url=url, study_name="made-up", trials=12)
