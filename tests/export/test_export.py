"""From a run to an artefact that answers as the run does; and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sightline.checkpoint import RunFolder
from sightline.errors import UserError
from sightline.export.judge import metric_refusal, time_refusal
from sightline.export.parity import compare, look, pair_up, refusal
from sightline.export.run import Exported, export_run
from sightline.files import write_atomically
from sightline.predict import Predictor
from sightline.recipes import recipe
from sightline.records import Detections, FoundPoints
from sightline.runtime.artefact import Artefact

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def noise(seed: int, height: int, width: int, channels: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def apart(first: FoundPoints | Detections, second: FoundPoints | Detections) -> float:
    assert isinstance(first, FoundPoints) and isinstance(second, FoundPoints)
    return float(np.abs(first.points_xy - second.points_xy).max())


@pytest.mark.parametrize(
    ("size_hw", "box"), [((50, 70), None), ((200, 310), (20.3, 31.0, 280.0, 170.5)), ((9, 9), None)]
)
def test_an_artefact_finds_the_points_of_its_run(
    points_file: tuple[Path, Exported], trained: Path, size_hw: tuple[int, int], box: tuple | None
) -> None:
    image = noise(0, *size_hw, 1)
    run, artefact = Predictor.load(trained)(image, box), Artefact.load(points_file[0])(image, box)
    assert isinstance(run, FoundPoints) and isinstance(artefact, FoundPoints)
    assert np.abs(run.points_xy - artefact.points_xy).max() < 0.05
    assert artefact.scores == pytest.approx(run.scores, abs=1e-4)


def test_a_face_in_a_large_picture_is_found_as_by_the_run(points_file: tuple[Path, Exported], trained: Path) -> None:
    """The runtime hands over only a part of such a picture, so the place of that part counts."""
    image = noise(1, 900, 1300, 1)
    box = (811.5, 402.25, 1000.0, 640.0)
    run, artefact = Predictor.load(trained)(image, box), Artefact.load(points_file[0])(image, box)
    assert apart(run, artefact) < 0.05


@pytest.mark.slow
def test_an_artefact_finds_the_boxes_of_its_run(boxes_file: tuple[Path, Exported], boxes_run: Path) -> None:
    predictor, artefact = Predictor.load(boxes_run, least_score=0.0), Artefact.load(boxes_file[0], least_score=0.0)
    for seed, size_hw in enumerate([(90, 130), (64, 64), (333, 150)]):
        image = noise(seed, *size_hw, 3)
        run, found = predictor(image), artefact(image)
        assert isinstance(run, Detections) and isinstance(found, Detections)
        assert len(run) > 3
        parity = compare([run], [found], source="noise")
        assert refusal(parity) is None, parity


@pytest.mark.slow
def test_thresholds_are_the_users_or_the_cards(boxes_file: tuple[Path, Exported]) -> None:
    image = noise(0, 90, 130, 3)
    every = Artefact.load(boxes_file[0], least_score=0.0)(image)
    some = Artefact.load(boxes_file[0], least_score=float(np.median(every.scores)))(image)
    assert 0 < len(some.scores) < len(every.scores)
    assert len(Artefact.load(boxes_file[0])(image).scores) == (every.scores >= 0.3).sum()


def test_the_card_tells_parity_and_times(points_file: tuple[Path, Exported]) -> None:
    card = Artefact.load(points_file[0]).card
    assert card.task == "points"
    assert card.parity is not None and card.latency is not None
    assert card.parity.pictures == 8
    assert card.parity.largest_px is not None and card.parity.largest_px <= 0.05
    assert card.latency.threads == 1
    assert 0 < card.latency.p50_ms <= card.latency.p95_ms
    assert card == points_file[1].card


def test_inspect_tells_how_far_it_is_from_its_run_and_how_long_it_takes(
    points_file: tuple[Path, Exported], tmp_path: Path, cli: Callable
) -> None:
    ran = cli("inspect", points_file[0])
    assert ran.code == 0
    for told in ("p95", "1 thread", "one picture at a time", "points at most", "8 pictures of"):
        assert told in " ".join(ran.out.split()), told
    latency = cli("inspect", points_file[0], "--json").json["latency"]
    assert latency["batch"] == 1 and latency["cpu"] and latency["fp32_p50_ms"] is None
    (tmp_path / "a.onnx").write_text("no model")
    ran = cli("inspect", tmp_path / "a.onnx")
    assert ran.code == 2 and "not an artefact" in ran.err


def test_other_onnx_tools_read_the_file(points_file: tuple[Path, Exported]) -> None:
    model = onnx.load(points_file[0])
    onnx.checker.check_model(model)
    assert [value.name for value in model.graph.input] == ["picture", "area_xyxy"]
    assert [value.name for value in model.graph.output] == ["points_xy", "scores"]
    assert {entry.key for entry in model.metadata_props} >= {"sightline", "sightline.sha256"}


def test_what_answers_otherwise_is_not_written(
    trained: Path, faces: Path, tmp_path: Path, cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sightline.export.parity.MOST_PX", -1.0)
    ran = cli("export", trained, "--out", tmp_path / "a.onnx", "--data", faces, "--frames", 2, "--threads", 1)
    assert ran.code == 1
    assert "from where the run finds it" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_pictures_without_labels_do_and_nothing_at_all_is_told(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run folder"):
        export_run(tmp_path / "none", tmp_path / "a.onnx", engine="onnx")
    with pytest.raises(UserError, match="is a folder"):
        export_run(trained, tmp_path, engine="onnx")


def test_data_that_are_gone_are_to_be_given(boxes_run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--data DATA"):
        export_run(boxes_run, tmp_path / "a.onnx", engine="onnx")


def test_int8_without_labels_that_the_run_can_be_scored_on_says_why(
    boxes_run: Path, faces: Path, shapes: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"judged on labelled pictures.* has no boxes with classes"):
        export_run(boxes_run, tmp_path / "a.onnx", engine="onnx", int8=True, data=faces)
    pictures = next(path.parent for path in sorted(shapes.rglob("*.*")) if path.suffix in (".jpg", ".png"))
    with pytest.raises(UserError, match="judged on labelled pictures"):
        export_run(boxes_run, tmp_path / "a.onnx", engine="onnx", int8=True, data=pictures)


def test_a_detector_that_finds_nothing_is_not_passed_empty() -> None:
    none = Detections(boxes_xyxy=np.zeros((0, 4)), labels=np.zeros(0, dtype=np.int64), scores=np.zeros(0))
    told = refusal(compare([none, none], [none, none], source="here"))
    assert told is not None and "no box in any of 2 pictures of here" in told


def test_a_stage_of_a_tracker_is_told_to_go_with_its_tracker(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "coarse")
    write_atomically(run.config, recipe("track-ball-coarse").to_yaml())
    with pytest.raises(UserError, match="one stage of a tracker"):
        export_run(run.path, tmp_path / "a.onnx", engine="onnx")


@pytest.mark.slow
def test_openvino_answers_as_the_run(trained: Path, faces: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    out = tmp_path / "a.zip"
    done = export_run(trained, out, engine="openvino", data=faces, frames=4, threads=1, repeats=5)
    assert done.refused is None
    image = noise(0, 50, 70, 1)
    assert apart(Predictor.load(trained)(image), Artefact.load(out)(image)) < 0.05


@pytest.mark.slow
def test_int8_of_a_network_without_inner_convolutions_is_refused(trained: Path, faces: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has none"):
        export_run(trained, tmp_path / "a.onnx", engine="onnx", int8=True, data=faces, frames=4, threads=1, repeats=5)


def test_boxes_pair_by_class_and_overlap() -> None:
    def boxes(*rows: tuple[float, float, float, float], labels: list[int]) -> Detections:
        return Detections(boxes_xyxy=np.array(rows), labels=np.array(labels), scores=np.linspace(0.9, 0.5, len(labels)))

    first = boxes((0, 0, 10, 10), (20, 0, 30, 10), (50, 50, 60, 60), labels=[0, 1, 0])
    second = boxes((20, 0, 30, 10), (0, 0, 10, 9), (50, 50, 60, 60), labels=[1, 0, 1])
    assert sorted(pair_up(first, second)) == [(0, 1), (1, 0)]
    parity = compare([first], [second], source="here")
    assert parity.least_iou == pytest.approx(0.9)
    assert parity.unmatched == 2
    assert "IoU" in (refusal(parity) or "")
    assert "counterpart" in (refusal(parity) or "")


@pytest.mark.parametrize(("flipped", "refused"), [(0, False), (1, False), (2, True)])
def test_one_decision_of_suppression_may_fall_otherwise(flipped: int, refused: bool) -> None:
    corners = np.arange(40)[:, None] * 100.0 + np.array([0.0, 0, 50, 50])
    first = Detections(boxes_xyxy=corners, labels=np.zeros(40, dtype=np.int64), scores=np.linspace(0.9, 0.5, 40))
    moved = corners.copy()
    moved[:flipped, 2] += 10  # the other one of two candidates, with a score of its own
    scores = first.scores - 0.2 * (np.arange(40) < flipped)
    parity = compare([first], [Detections(boxes_xyxy=moved, labels=first.labels, scores=scores)], source="here")
    assert (parity.apart, parity.unmatched, parity.largest_score) == (flipped, 0, 0)
    assert (refusal(parity) is not None) == refused


def test_a_point_that_is_no_number_is_refused() -> None:
    lost = FoundPoints(points_xy=np.array([[np.nan, 0.0]]), scores=np.ones(1))
    there = FoundPoints(points_xy=np.zeros((1, 2)), scores=np.ones(1))
    with np.errstate(invalid="ignore"):
        parity = compare([there], [there], source="here")
        assert refusal(parity) is None
        with pytest.raises(UserError, match="finite"):
            compare([there], [lost], source="here")


@pytest.mark.parametrize(
    ("run", "artefact", "less_is_better", "refused"),
    [(0.5, 0.496, False, False), (0.5, 0.49, False, True), (2.0, 2.01, True, False), (2.0, 2.1, True, True),
     (2.0, 1.0, True, False), (0.5, float("nan"), False, True), (0.0, 0.0, False, True)],
)  # fmt: skip
def test_int8_may_lose_one_percent(run: float, artefact: float, less_is_better: bool, refused: bool) -> None:
    told = metric_refusal("m", run, artefact, less_is_better=less_is_better, on="9 pictures")
    assert (told is not None) == refused


def test_int8_that_gains_no_time_is_refused() -> None:
    assert time_refusal(int8_ms=4.0, float_ms=5.0) is None
    assert "5.00 ms (median), in single precision: 5.00 ms" in (time_refusal(int8_ms=5.0, float_ms=5.0) or "")


def test_looking_at_an_area_is_what_the_predictor_does(trained: Path) -> None:
    predictor, image = Predictor.load(trained), noise(0, 64, 64, 1)
    assert apart(look(predictor, image, (0.0, 0.0, 64.0, 64.0)), predictor(image)) < 1e-4
