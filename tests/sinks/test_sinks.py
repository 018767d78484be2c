"""What TensorBoard and MLflow hold is what the run folder says: read back from their own files."""

from __future__ import annotations

import json
import logging
import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from sightline.errors import MissingExtra, UserError
from sightline.sinks import Target, open_sink, read_targets
from sightline.sinks.contents import Contents, Logged, read_contents
from sightline.sinks.live import Live
from sightline.sinks.mlflow import uri_of

Values = dict[str, dict[int, float]]  # name -> step -> value


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of a finished run."""
    return Path(shutil.copytree(trained, tmp_path / "runs" / "tiny-001"))


def expected(run: Path) -> Values:
    """metrics.jsonl and the evaluation, read without the code under test."""
    found: Values = {}
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        for name, value in row.items():
            if name not in ("kind", "step", "epoch", "seconds"):
                found.setdefault(f"{row['kind']}/{name}", {})[row["step"]] = value
    scores = json.loads((run / "evaluation" / "metrics.json").read_text())["metrics"]
    last = max(row["step"] for row in rows)
    return found | {
        f"final/{name}": {last: each["value"]} for name, each in scores.items() if each["value"] is not None
    }


def in_tensorboard(folder: Path) -> Values:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    found: Values = {}
    for name in read.Tags()["scalars"]:
        events = read.Scalars(name)
        assert len({event.step for event in events}) == len(events), f"{name} twice at a step"
        found[name] = {event.step: event.value for event in events}
    return found


def in_mlflow(uri: str) -> tuple[Values, dict[str, str], dict[str, str], list[str]]:
    """Of the one run there: values, parameters, tags, artefacts."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("tiny")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 1
    found = runs[0]
    values: Values = {}
    for name in found.data.metrics:
        history = client.get_metric_history(found.info.run_id, name)
        assert len({each.step for each in history}) == len(history), f"{name} twice at a step"
        values[name] = {each.step: each.value for each in history}
    artefacts = [each.path for each in client.list_artifacts(found.info.run_id)]
    return values, found.data.params, {**found.data.tags, "status": found.info.status}, artefacts


def assert_same(found: Values, wanted: Values) -> None:
    assert found.keys() == wanted.keys()
    for name, by_step in wanted.items():
        assert found[name] == pytest.approx(by_step, rel=1e-6), name  # TensorBoard keeps 32 bits


def replay(run: Path, target: Target, *, rows: int, open: Callable = open_sink) -> None:
    """Play a training: lines of metrics.jsonl appear one by one and are told, as the loop does it."""
    from sightline.train import Event

    lines = (run / "metrics.jsonl").read_text().splitlines()
    (run / "metrics.jsonl").write_text("")
    live = Live(run, target, open=open)
    for line in lines[:rows]:
        with (run / "metrics.jsonl").open("a") as file:
            file.write(line + "\n")
        row = json.loads(line)
        live.watch(Event(kind=row["kind"], values={name: value for name, value in row.items() if name != "kind"}))
    live.close(seconds=120)
    (run / "metrics.jsonl").write_text("".join(line + "\n" for line in lines))


# ---- TensorBoard


def test_tensorboard_is_filled_during_a_training_and_once_more_after_a_resume(run: Path) -> None:
    wanted = expected(run)
    replay(run, Target(kind="tensorboard"), rows=1)
    replay(run, Target(kind="tensorboard"), rows=10**6)  # the same run, resumed: nothing twice
    assert_same(in_tensorboard(run / "tensorboard"), wanted)
    assert len(list((run / "tensorboard").iterdir())) == 1


def test_tensorboard_shows_the_config_as_a_text(run: Path, cli: Callable) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert cli("index", run, "--to", "tensorboard").code == 0
    read = EventAccumulator(str(run / "tensorboard")).Reload()
    text = read.Tensors("config")[0].tensor_proto.string_val[0].decode()
    assert "recipe: tiny" in text
    assert read.summary_metadata["config"].plugin_data.plugin_name == "text"


def test_tensorboard_elsewhere_keeps_a_renamed_run_in_its_place(run: Path, cli: Callable, tmp_path: Path) -> None:
    target = f"tensorboard={tmp_path / 'board'}"
    assert f"--logdir {tmp_path / 'board'}" in cli("index", run, "--to", target).out
    renamed = run.rename(run.with_name("renamed"))
    cli("index", renamed, "--to", target)
    (folder,) = (tmp_path / "board").iterdir()
    assert folder.name.startswith("tiny-001-")
    assert_same(in_tensorboard(folder), expected(renamed))
    assert not (renamed / "tensorboard").exists()


def test_training_and_the_table_of_runs_by_the_command_line(
    cli: Callable, recipe_file: Path, faces: Path, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "one"
    ran = cli("train", recipe_file, "--data", faces, "--out", run, "--sink", "tensorboard")
    assert ran.code == 0, ran.err
    assert_same(in_tensorboard(run / "tensorboard"), expected(run))
    assert "sink" not in (run / "config.yaml").read_text()
    listed = cli("runs", tmp_path / "runs", "--json").json
    assert [(each["recipe"], each["state"], each["step"]) for each in listed] == [("tiny", "finished", 6)]
    assert listed[0]["value"] == expected(run)[f"final/{listed[0]['metric']}"][6]


# ---- MLflow


def test_mlflow_holds_the_run_once_however_often_it_is_filled(run: Path) -> None:
    wanted = expected(run)
    replay(run, Target(kind="mlflow"), rows=2)
    replay(run, Target(kind="mlflow"), rows=10**6)
    values, params, tags, artefacts = in_mlflow(uri_of(None, beside=run.parent))
    assert_same(values, wanted)
    assert (params["recipe"], params["train.batch"], params["train.lr"]) == ("tiny", "4", "0.003")
    assert (tags["status"], tags["sightline.state"], tags["mlflow.runName"]) == ("FINISHED", "finished", "tiny-001")
    assert artefacts == ["report.html"]
    assert (run.parent / "mlflow-artifacts").is_dir()
    assert {path.name for path in run.parent.iterdir()} == {"tiny-001", "mlflow.db", "mlflow-artifacts"}


@pytest.mark.parametrize(
    ("where", "uri"),
    [
        (None, "sqlite:////runs/mlflow.db"),
        ("http://host:5000", "http://host:5000"),
        ("databricks:profile", "databricks:profile"),
        ("postgresql://a@b/c", "postgresql://a@b/c"),
        ("/x/store.db", "sqlite:////x/store.db"),
        ("/x/folder", "sqlite:////x/folder/mlflow.db"),
    ],
)
def test_a_place_without_a_scheme_is_an_sqlite_file(where: str | None, uri: str) -> None:
    assert uri_of(where, beside=Path("/runs")) == uri


# ---- what a run folder may hold


def test_an_unfinished_run_and_values_that_are_no_numbers(run: Path, cli: Callable) -> None:
    shutil.rmtree(run / "evaluation")
    log = run / "metrics.jsonl"
    more = '{"kind": "val", "step": 9, "epoch": 3, "seconds": 9000, "loss": null, "ap": true, "x": 0.5}\n{"kind": "tra'
    log.write_text(log.read_text() + more)
    contents = read_contents(run)
    assert not contents.is_finished and not contents.final
    assert [(entry.name, entry.value) for entry in contents.logged if entry.step == 9] == [("val/x", 0.5)]
    assert contents.ended == contents.began + 9000
    assert "not finished" in cli("index", run, "--to", "tensorboard").out
    assert in_tensorboard(run / "tensorboard")["val/x"] == {9: 0.5}


def test_the_same_run_is_known_by_its_key_wherever_it_lies(run: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(run, tmp_path / "elsewhere"))
    assert read_contents(moved).key == read_contents(run).key
    info = json.loads((moved / "run.json").read_text())
    (moved / "run.json").write_text(json.dumps({**info, "started": "2020-02-03 04:05:06"}))
    assert read_contents(moved).key != read_contents(run).key


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("metrics.jsonl", "{\n{}\n", "metrics.jsonl, line 1: not JSON"),
        ("metrics.jsonl", "[1]\n", "line 1: expected an object"),
        ("run.json", "{", "run.json is damaged (line 1:"),
        ("evaluation/metrics.json", "[]", "it holds a list, not an object"),
        ("config.yaml", "a: [", "is not YAML"),
        ("config.yaml", "a: &a [*a]", "an alias (*name) stands within the very value that it names"),
        ("config.yaml", "- a", "no settings by name"),
    ],
)
def test_a_damaged_file_is_named(run: Path, cli: Callable, name: str, text: str, said: str) -> None:
    (run / name).write_text(text)
    ran = cli("index", run, "--to", "tensorboard")
    assert ran.code == 2
    assert said in ran.err
    listed = cli("runs", run.parent, "--json").json
    assert listed[0]["state"].startswith("damaged: ") and said in listed[0]["state"]


def test_folders_without_runs_are_told(cli: Callable, tmp_path: Path, run: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "There is no run in" in cli("runs", tmp_path / "empty").err
    assert "is not a folder" in cli("runs", tmp_path / "none").err
    assert "Say what to fill" in cli("index", run).err
    assert "1 run in" in cli("runs", tmp_path).out  # at any depth


# ---- names


def test_sinks_are_named_with_or_without_a_place() -> None:
    found = read_targets(["tensorboard", "mlflow=http://host:5000"])
    assert [str(each) for each in found] == ["tensorboard", "mlflow=http://host:5000"]
    for texts, said in (
        (["tensorbord"], "Did you mean 'tensorboard'"),
        (["mlflow="], "no place behind"),
        (["mlflow", "mlflow"], "named twice"),
    ):
        with pytest.raises(UserError, match=said):
            read_targets(texts)


@pytest.mark.parametrize(
    ("missing", "text"), [("tensorboard", "tensorboard"), ("mlflow", "mlflow"), ("alembic", "mlflow")]
)
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, missing: str, text: str) -> None:
    from importlib.util import find_spec

    monkeypatch.setattr("sightline.sinks.find_spec", lambda name: None if name == missing else find_spec(name))
    with pytest.raises(MissingExtra, match=rf"sightline\[{text}\]"):
        read_targets([text])
    if missing == "alembic":
        assert read_targets(["mlflow=https://server"])  # a server has its own database


# ---- failures


class Broken:
    """A sink that fails in one of its methods, or never comes back."""

    shown_at = "nowhere"

    def __init__(self, at: str, *, hangs: threading.Event | None = None) -> None:
        self.at, self.hangs, self.calls = at, hangs, []

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name == self.at:
            if self.hangs is not None:
                self.hangs.wait(60)
            raise ConnectionError("the server has gone")

    def replace(self, contents: Contents) -> None:
        self._call("replace")

    def add(self, logged: Sequence[Logged]) -> None:
        self._call("add")

    def finish(self, contents: Contents) -> None:
        self._call("finish")

    def close(self) -> None:
        self._call("close")


@pytest.mark.parametrize("at", ["open", "replace", "add", "finish", "close"])
def test_a_sink_that_fails_is_told_once_and_left_out(run: Path, caplog: pytest.LogCaptureFixture, at: str) -> None:
    sink = Broken(at)

    def opened(_: Path, __: Target) -> Broken:
        sink._call("open")
        return sink

    with caplog.at_level(logging.WARNING, logger="sightline"):
        replay(run, Target(kind="mlflow"), rows=10**6, open=opened)
    (warning,) = caplog.messages
    assert "the server has gone" in warning and f"sightline index {run} --to mlflow" in warning
    assert at == "open" or sink.calls[-1] == "close"


def test_a_sink_that_hangs_holds_nobody_up(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    from sightline.train import Event

    released = threading.Event()
    live = Live(run, Target(kind="mlflow"), open=lambda *_: Broken("replace", hangs=released))
    for step in range(1000):
        live.watch(Event(kind="train", values={"step": step, "seconds": 0.0, "loss": 1.0}))
    with caplog.at_level(logging.WARNING, logger="sightline"):
        live.close(seconds=0.1)
        released.set()
        assert live.thread is not None
        live.thread.join(60)
    assert "not taken everything within 0.1 seconds" in caplog.messages[0]


def test_a_training_that_was_refused_opens_no_sink(tmp_path: Path) -> None:
    live = Live(tmp_path, Target(kind="mlflow"), open=lambda *_: pytest.fail("opened"))
    live.close(seconds=1)
    assert live.thread is None


def test_a_disk_that_is_full_does_not_end_a_training(
    cli: Callable, recipe_file: Path, faces: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    board = tmp_path / "board"
    board.write_text("a file where the folder should be")
    run = tmp_path / "run"
    with caplog.at_level(logging.WARNING, logger="sightline"):
        ran = cli("train", recipe_file, "--data", faces, "--out", run, "--sink", f"tensorboard={board}")
    assert ran.code == 0
    assert (run / "report.html").is_file()
    assert sum("is left out from here on" in message for message in caplog.messages) == 1


def test_a_server_that_cannot_take_a_run_ends_the_command_that_fills_it(
    run: Path, cli: Callable, tmp_path: Path
) -> None:
    board = tmp_path / "board"
    board.write_text("")
    ran = cli("index", run, "--to", f"tensorboard={board}")
    assert ran.code == 2
    assert "could not take" in ran.err


def test_the_commands_start_without_torch() -> None:
    import subprocess

    code = "import sys, sightline.cli.index, sightline.cli.runs, sightline.sinks.runs, sightline.sinks.live\n"
    code += "assert not {'torch', 'mlflow', 'tensorboard'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
