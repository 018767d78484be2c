"""A tracker's folder to one file, and `track` on that file: the same rows, without torch; and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from sightline.checkpoint import RunFolder
from sightline.cli.artefact_card import tracker_table
from sightline.drawn.rally_folder import write_rallies
from sightline.errors import UserError
from sightline.export.tracker import ExportedTracker, export_tracker
from sightline.export.tracker_int8 import labelled, score_refusal
from sightline.export.tracker_parity import Compared, clips_of, refusal, slower
from sightline.runtime.tracker_file import ScoreCard, StageParity, read_tracker_file
from sightline.track.csv_rows import read_rows
from sightline.track.load import Choice, load_parts
from sightline.track.radius import RadiusTable, write_radius

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytest.importorskip("av")

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "track"))
from track_runs import make_tracker, make_video  # type: ignore[import-not-found]  # of the tests beside these

SOURCE = Path(__file__).resolve().parents[2] / "src"
RADIUS = RadiusTable(coverage=0.9, edges=(), radius_px=(3.5,), counts=(60,))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("video") / "ball.mp4", frames=12)


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_tracker(tmp_path_factory.mktemp("tracker"))
    write_radius(folder, RADIUS)
    return folder


@pytest.fixture(scope="module")
def exported(tracker: Path, video: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ExportedTracker]:
    out = tmp_path_factory.mktemp("exported") / "tracker.sightline"
    return out, export_tracker(tracker, out, data=video, frames=8)


def test_the_file_holds_the_tracker_and_how_it_compares(exported: tuple[Path, ExportedTracker]) -> None:
    out, done = exported
    assert done.refused is None
    stored = read_tracker_file(out)
    assert stored.card == done.card
    assert list(stored.card.stages) == ["coarse", "fine"]
    assert set(stored.graphs) == {"coarse-look", "coarse-conclude", "fine"}
    assert (stored.card.frames, stored.card.data) == (8, "ball.mp4")
    answers = {name: stage.parity.answers for name, stage in stored.card.stages.items() if stage.parity}
    assert answers == {"coarse": 8, "fine": 16}
    for stage in stored.card.stages.values():
        assert stage.parity is not None and stage.parity.placed > 0 and stage.threshold == 0.1
        assert stage.parity.largest_px <= 0.05 and stage.parity.p50_ms > 0
    parts = load_parts(out, Choice())
    assert parts.radius == RADIUS and parts.config.mode == "stream"


def without_torch(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line in a process that fails as soon as torch has been imported."""
    code = f"""
import sys
sys.argv = ["sightline", *{[str(a) for a in arguments]!r}]
from sightline.cli import main
try:
    main()
finally:
    assert not [name for name in ("torch", "torchvision", "timm") if name in sys.modules], "torch was imported"
"""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={"PYTHONPATH": str(SOURCE)}
    )


# Networks of random weights are as sure of one place as of another: with more than one, rounding would decide.
@pytest.mark.parametrize(
    "settings", [("--set", "coarse_places=1"), ("--mode", "fast", "--preset", "video", "--set", "visible=0.1")]
)
def test_track_gives_the_runs_rows_without_torch(
    exported: tuple[Path, ExportedTracker], tracker: Path, video: Path, tmp_path: Path, cli: object, settings: tuple
) -> None:
    ran = without_torch("track", exported[0], video, "--out", tmp_path / "file.csv", "--json", *settings)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["frames"] == 12
    assert cli("track", tracker, video, "--out", tmp_path / "run.csv", "--json", *settings).code == 0  # type: ignore[operator]
    for one, other in zip(read_rows(tmp_path / "file.csv")[1], read_rows(tmp_path / "run.csv")[1], strict=True):
        assert (one.frame, one.visible, one.step, one.radius_px) == (
            other.frame, other.visible, other.step, other.radius_px,
        )  # fmt: skip
        np.testing.assert_allclose((one.x, one.y, one.score), (other.x, other.y, other.score), atol=0.02)


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (Choice(fine=Path("other")), "--fine"),
        (Choice(support=Path("other")), "--support"),
        (Choice(device="cuda"), "runs on the CPU"),
        (Choice(sets=("fine=x",)), "--set fine"),
        (Choice(sets=("jmp=0.1",)), "Did you mean 'jump'"),
        (Choice(preset="engin"), "engine"),
    ],
)
def test_what_the_export_settled_cannot_be_chosen(
    exported: tuple[Path, ExportedTracker], choice: Choice, told: str
) -> None:
    with pytest.raises(UserError, match=told):
        load_parts(exported[0], choice)


def test_a_tracker_is_not_exported_without_frames_to_compare_on(tracker: Path, faces: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--data"):
        export_tracker(tracker, tmp_path / "out", data=None)
    with pytest.raises(UserError, match="is a folder"):
        export_tracker(tracker, tmp_path, data=tmp_path)
    with pytest.raises(UserError, match="single pictures"):
        list(clips_of(faces, frames=4))


def test_frames_that_cannot_be_read_are_told_before_the_network_is_traced(
    tracker: Path, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("nothing may be loaded or traced")

    monkeypatch.setattr("sightline.export.tracker.load_parts", fail)
    (tmp_path / "no.mp4").write_bytes(b"no video" * 100)
    (tmp_path / "file").write_text("precious")
    for out, data, told in (
        (tmp_path / "out", faces, "single pictures"),
        (tmp_path / "out", tmp_path / "no.mp4", r"no\.mp4"),
        (tmp_path / "file" / "out", faces, "Cannot write"),
    ):
        with pytest.raises(UserError, match=told):
            export_tracker(tracker, out, data=data)


def test_inspect_tells_of_the_stages(exported: tuple[Path, ExportedTracker], cli: Callable) -> None:
    with (console := Console(width=80)).capture() as said:
        console.print(tracker_table(exported[1].card, title="a -> b"))
    assert "track-ball-fine" in said.get() and "8 frames of ball.mp4" in said.get()
    ran = cli("inspect", exported[0])
    assert ran.code == 0 and "p95, ms" in ran.out and "onnx fp32" in ran.out
    told = cli("inspect", exported[0], "--json").json
    assert told["cpu"] and told["threads"] == 1
    assert [stage["parity"]["batch"] for stage in told["stages"].values()] == [1, 2]
    assert cli("inspect", exported[0], "--use", "neck=fpn").code == 2


@pytest.mark.slow
def test_a_tracker_for_openvino_gives_the_runs_rows_without_torch(
    tracker: Path, video: Path, tmp_path: Path, cli: Callable
) -> None:
    pytest.importorskip("openvino")
    out = tmp_path / "tracker.sightline"
    assert cli("export", tracker, "--out", out, "--data", video, "--frames", 6, "--to", "openvino").code == 0
    assert read_tracker_file(out).card.engine == "openvino"
    ran = without_torch("track", out, video, "--out", tmp_path / "file.csv", "--json")
    assert ran.returncode == 0, ran.stderr
    assert cli("track", tracker, video, "--out", tmp_path / "run.csv", "--json").code == 0
    for one, other in zip(read_rows(tmp_path / "file.csv")[1], read_rows(tmp_path / "run.csv")[1], strict=True):
        np.testing.assert_allclose((one.x, one.y, one.score), (other.x, other.y, other.score), atol=0.02)


def test_int8_of_a_tracker_needs_labelled_clips(tracker: Path, video: Path, faces: Path) -> None:
    coarse = RunFolder(tracker / "coarse")
    with pytest.raises(UserError, match="judged on labelled clips"), labelled(video, coarse):
        pass
    with pytest.raises(UserError, match="holds single pictures"), labelled(faces, coarse):
        pass


def test_int8_is_refused_where_it_follows_worse_or_takes_as_long() -> None:
    score = ScoreCard(run=0.9, artefact=0.895, threshold_px=5, frames=40)
    assert score_refusal(score) is None
    told = score_refusal(score.model_copy(update={"artefact": 0.88}))
    assert told is not None and "0.8800 where the run has 0.9000 on 40 labelled frames" in told
    stage = parity(fp32_p50_ms=1.5)
    assert slower(Compared(stages={"coarse": stage, "fine": stage}, frames=9)) is None
    late = parity(fp32_p50_ms=0.4)
    assert "2.00 ms (median), in single precision: 1.90 ms" in (
        slower(Compared(stages={"coarse": stage, "fine": late}, frames=9)) or ""
    )


def parity(**changes: float) -> StageParity:
    values = {"largest_px": 0.01, "mean_px": 0.0, "largest_score": 0.0, "answers": 9, "placed": 9}
    times = dict.fromkeys(("p50_ms", "p95_ms", "run_p50_ms", "run_p95_ms"), 1.0)
    return StageParity.model_validate(values | times | changes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, None),
        ({"largest_px": 0.05}, None),
        ({"largest_px": 0.051}, "0.051 px"),
        ({"largest_score": 0.02}, "0.0200"),
    ],
)
def test_a_stage_that_answers_otherwise_is_refused(changes: dict[str, float], told: str | None) -> None:
    why = refusal(Compared(stages={"coarse": parity(), "fine": parity(**changes)}, frames=9))
    assert why is None if told is None else why is not None and told in why and "fine" in why


@pytest.mark.parametrize("codec", ["jpg", "mp4"])
def test_clips_of_a_data_set_are_taken_alike(tmp_path: Path, codec: str) -> None:
    folder = write_rallies(tmp_path / "rallies", clips=2, frames=5, seed=3, size_hw=(96, 160), codec=codec)  # type: ignore[arg-type]
    numbers = [[frame.number for frame in clip] for clip in clips_of(folder, frames=7)]
    assert numbers == [[0, 1, 2, 3], [0, 1, 2, 3]]
