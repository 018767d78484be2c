"""(e) COCO's 12 figures of 5,000 pictures x 100 found boxes: this program, pycocotools and what else is installed.

Next: table.py
"""

from __future__ import annotations

import contextlib
import io
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from sightline.bench.clock import interleaved
from sightline.bench.result import BenchResult, row
from sightline.metrics.average_precision import Accumulator
from sightline.metrics.box_matches import match_boxes
from sightline.records import Detections, Objects

SECONDS, RATIO = 2.0, 1.5
EXACT = 1e-6
SIDE = 640
BAR_PICTURES = 5000
SLOW = ("pycocotools", "faster_coco_eval")  # run once
# Each library's name for loading results.
LIBRARIES = {"pycocotools": "loadRes", "faster_coco_eval": "loadRes", "hotcoco": "load_res"}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """How many of what there are: true boxes and found boxes in each picture."""

    name: str
    pictures: int
    classes: int
    true: int
    found: int


def run_average_precision(*, quick: bool) -> BenchResult:
    """The size of the bar, with few and with many true boxes; `quick` takes 250 pictures."""
    pictures = 250 if quick else BAR_PICTURES
    scenes = (
        Scene(name="80 classes, 7 true boxes", pictures=pictures, classes=80, true=7, found=100),
        Scene(name="3 classes, 20 true boxes", pictures=pictures, classes=3, true=20, found=100),
    )
    return measure(scenes=scenes, repeats=3 if quick else 5)


def measure(*, scenes: Sequence[Scene], repeats: int) -> BenchResult:
    """Seconds of each scene, for this program and for every library that is installed, and how far figures differ."""
    installed = [name for name in LIBRARIES if find_spec(name) is not None]
    rows = [line for scene in scenes for line in _rows(scene, installed, repeats=repeats)]
    absent = [name for name in LIBRARIES if name not in installed]
    notes = (
        f"{', '.join(scene.name for scene in scenes)} and 100 found ones a picture; all 12 figures, wall time, median "
        f"of {repeats} rounds, ours and hotcoco in turn; {' and '.join(SLOW)} run once, after them.",
        "Ours: one thread, from an array of boxes, of labels and of scores for each picture, checks included. "
        "Libraries: labels and results are loaded and indexed before, which is not counted; faster_coco_eval and "
        "hotcoco are compiled, hotcoco takes all threads.",
        *([f"Not installed, so not compared: {', '.join(absent)}."] if absent else []),
    )
    return BenchResult(name="average-precision", rows=rows, notes=notes)


def make_scene(scene: Scene, *, seed: int = 0) -> tuple[list[Detections], list[Objects]]:
    """Half of the found boxes lie about a true one, with its class four times out of five; the others anywhere."""
    rng = np.random.default_rng(seed)
    found, truth = [], []
    for _ in range(scene.pictures):
        boxes, labels = _anywhere(rng, scene.true), rng.integers(0, scene.classes, scene.true)
        near = rng.random(scene.found) < 0.5
        source = rng.integers(0, scene.true, scene.found)
        sides = np.tile(boxes[source, 2:] - boxes[source, :2], 2)
        moved = boxes[source] + 0.1 * sides * rng.normal(size=(scene.found, 4))
        guessed = np.where(near[:, None], moved, _anywhere(rng, scene.found))
        guessed[:, 2:] = np.maximum(guessed[:, 2:], guessed[:, :2] + 1)
        same = rng.random(scene.found) < 0.8
        found.append(
            Detections(
                boxes_xyxy=guessed,
                labels=np.where(same, labels[source], rng.integers(0, scene.classes, scene.found)),
                scores=np.clip(rng.beta(1, 3, scene.found) + 0.3 * near, 0, 1),
            )
        )
        truth.append(Objects.of(boxes, labels))
    return found, truth


def library_figures(
    name: str, found: Sequence[Detections], truth: Sequence[Objects], *, classes: int
) -> Callable[[], list[float]]:
    """COCO's 12 figures by a library, with everything loaded; what is returned does the evaluation."""
    api, evaluation = _api(name)
    with _silence():
        labelled = api() if name != "hotcoco" else api(_dataset(truth, classes=classes))
        if name != "hotcoco":
            labelled.dataset = _dataset(truth, classes=classes)
            labelled.createIndex()
        results = getattr(labelled, LIBRARIES[name])(_results(found))

    def evaluate() -> list[float]:
        with _silence():
            run = evaluation(labelled, results, "bbox")
            run.evaluate()
            run.accumulate()
            run.summarize()
        return [float(value) for value in list(run.stats)[:12]]

    return evaluate


def _rows(scene: Scene, installed: Sequence[str], *, repeats: int) -> list[dict[str, Any]]:
    found, truth = make_scene(scene)
    classes = [str(number) for number in range(scene.classes)]

    def ours() -> list[float]:
        figures = Accumulator(match_boxes(found, truth, classes=classes)).once().figures()
        return [float(values[0]) for values in figures.values()]

    figures: dict[str, list[float]] = {}
    ways = {"ours": ours} | {name: library_figures(name, found, truth, classes=scene.classes) for name in installed}
    slow = {name: ways.pop(name) for name in installed if name in SLOW}
    seconds = interleaved({name: _kept(way, figures, name) for name, way in ways.items()}, repeats=repeats)
    seconds |= interleaved({name: _kept(way, figures, name) for name, way in slow.items()}, repeats=1, warm_up=0)
    mine = statistics.median(seconds.pop("ours"))
    label = f"{scene.pictures} pictures, {scene.name}"
    full = scene.pictures >= BAR_PICTURES
    lines = [
        row(
            label,
            ours=mine,
            unit="s",
            bar=f"<= {SECONDS:g} s" if full else "",
            met=mine <= SECONDS if full else None,
        )
    ]
    for name, times in seconds.items():
        other = statistics.median(times)
        away = float(np.abs(np.nan_to_num(figures["ours"], nan=-1.0) - figures[name]).max())
        lines.append(
            row(
                f"{label}: against {name}",
                ours=mine,
                other=other,
                ratio=other / mine,
                unit="s",
                bar=f"<= {RATIO:g}x its time, within {EXACT:g}",
                met=mine <= RATIO * other and away <= EXACT,
                extra={"figures differ by": away},
            )
        )
    return lines


def _kept(way: Callable[[], list[float]], into: dict[str, list[float]], name: str) -> Callable[[], None]:
    """The same, but what comes out is kept."""

    def run() -> None:
        into[name] = way()

    return run


def _anywhere(rng: np.random.Generator, count: int) -> np.ndarray:
    """Boxes with sides of 8 to 200 px, uniform in their logarithm."""
    sides = np.exp(rng.uniform(np.log(8), np.log(200), (count, 2)))
    corner = rng.uniform(0, SIDE - sides)
    return np.concatenate([corner, corner + sides], axis=1)


def _api(name: str) -> tuple[Any, Any]:
    """A library's classes of labels and of evaluation."""
    if name == "pycocotools":
        return import_module("pycocotools.coco").COCO, import_module("pycocotools.cocoeval").COCOeval
    module = import_module(name)
    return module.COCO, module.COCOeval if name == "hotcoco" else module.COCOeval_faster


def _dataset(truth: Sequence[Objects], *, classes: int) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for number, objects in enumerate(truth, start=1):
        sizes = objects.boxes_xyxy[:, 2:] - objects.boxes_xyxy[:, :2]
        boxes = np.concatenate([objects.boxes_xyxy[:, :2], sizes], axis=1).tolist()
        for box, label, area in zip(boxes, objects.labels.tolist(), objects.areas.tolist(), strict=True):
            line = {"image_id": number, "category_id": label + 1, "bbox": box, "area": area, "iscrowd": 0}
            annotations.append(line | {"id": len(annotations) + 1})
    return {
        "info": {},
        "images": [{"id": number, "width": SIDE, "height": SIDE} for number in range(1, len(truth) + 1)],
        "annotations": annotations,
        "categories": [{"id": number, "name": str(number)} for number in range(1, classes + 1)],
    }


def _results(found: Sequence[Detections]) -> np.ndarray:
    """Rows of picture, x, y, width, height, score, class, as the libraries take them."""
    rows = [
        np.column_stack(
            [
                np.full(len(one), number),
                one.boxes_xyxy[:, :2],
                one.boxes_xyxy[:, 2:] - one.boxes_xyxy[:, :2],
                one.scores,
                one.labels + 1,
            ]
        )
        for number, one in enumerate(found, start=1)
    ]
    return np.concatenate(rows)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()):
        yield
