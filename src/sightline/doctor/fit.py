"""Checks of data against a recipe: object sizes against input, stride, crop and anchors. Needs torch. Next: run.py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from sightline.doctor.case import Case, suspect
from sightline.errors import UserError
from sightline.geometry import crop_to
from sightline.records import Problem, Record

if TYPE_CHECKING:
    from sightline.config import Experiment
    from sightline.prepare import Prepared

_SOME = 0.02  # of the objects
_SMALL_BOX = 4  # strides
_SMALL_SHAPE = 0.25  # of the input's shorter side
_FEW_ANCHORED = 0.95
_ENLARGED = 2.0
_MEASURED = 2000  # records


def check(case: Case, experiment: Experiment) -> tuple[Case, list[Problem]]:
    """Problems of the recipe on these data, and the case with the recipe's own split."""
    from dataclasses import replace

    from sightline.prepare import prepare

    try:
        prepared = prepare(experiment, case.dataset)
    except UserError as error:
        return case, [suspect("fit-impossible", case.dataset, f"{experiment.recipe}: {error}")]
    case = replace(case, split=prepared.split, no_split="")
    records = prepared.split.train[:: max(1, len(prepared.split.train) // _MEASURED)]
    finds = prepared.experiment.codec.finds
    if prepared.experiment.data.crop == "window":
        return case, []  # a piece of the frame in its own pixels: nothing is resized or cut to an object
    problems = [*_enlarged(case, prepared, records)]
    if finds == "points":
        problems += _points(case, prepared, records)
    else:
        problems += _boxes(case, prepared, records)
    return case, problems


def _enlarged(case: Case, prepared: Prepared, records: tuple[Record, ...]) -> Iterable[Problem]:
    scales = np.array([_to_input(prepared, record).scale for record in records])
    if np.median(scales) > _ENLARGED:
        message = f"{prepared.experiment.recipe} shows the median picture enlarged {np.median(scales):.1f} times"
        yield suspect("fit-enlarged", case.dataset, message)


def _to_input(prepared: Prepared, record: Record):  # noqa: ANN202 (Affine; transforms imports torch)
    from sightline.transforms import base_box

    assert record.size_hw is not None, record.image_id
    data = prepared.experiment.data
    return crop_to(base_box(record, record.size_hw, data), data.input_hw)


def _points(case: Case, prepared: Prepared, records: tuple[Record, ...]) -> Iterable[Problem]:
    """Points cut off by the crop, small shapes, and points that share a cell."""
    data, name = prepared.experiment.data, prepared.experiment.recipe
    height, width = data.input_hw
    cut, extents, placed = 0, [], []
    for record in records:
        points = _to_input(prepared, record).points(record.points_xy)[record.visible]
        cut += bool(((points < 0) | (points > (width, height))).any())
        placed.append(points)
        if len(points) > 1:
            extents.append(float(np.ptp(points, axis=0).max()))
    if cut > _SOME * len(records):
        message = f"in {cut} of {len(records)} records {name} (data.crop={data.crop}) cuts labelled points off"
        yield suspect("fit-crop-cuts", case.dataset, message)
    if extents and np.mean(extents) < _SMALL_SHAPE * min(height, width):
        message = f"the mean object spans {np.mean(extents):.0f} of {width} x {height} input pixels"
        yield suspect("fit-objects-small", case.dataset, message)
    stride = _stride_of_maps(prepared)
    if stride is None:
        return
    under = sum(extent < stride for extent in extents)
    if under > _SOME * len(records):
        message = f"{under} of {len(extents)} objects span less than one cell of the maps ({stride:g} pixels)"
        yield suspect("fit-objects-under-stride", case.dataset, message)
    shared = sum(len(np.unique(np.floor(points / stride), axis=0)) < len(points) for points in placed)
    if shared > _SOME * len(records):
        message = f"in {shared} of {len(records)} records two points lie in one cell of {stride:g} input pixels"
        yield suspect("fit-cells-shared", case.dataset, message)


def _stride_of_maps(prepared: Prepared) -> float | None:
    """Input pixels of one cell of the maps; None where points come without maps."""
    import torch

    from sightline.model import Locator, codec_for, without_pretrained

    with torch.device("meta"):
        experiment = without_pretrained(prepared.experiment)
        codec = codec_for(experiment, Locator(experiment).eval())
    stride = getattr(codec, "stride_xy", None)
    return None if stride is None else float(max(stride))


def _boxes(case: Case, prepared: Prepared, records: tuple[Record, ...]) -> Iterable[Problem]:
    from sightline.data_fit import input_objects

    experiment = prepared.experiment
    objects = input_objects(records, experiment)
    labelled = sum(int((~r.objects.crowd).sum()) for r in records if r.objects is not None)
    boxes = np.concatenate([np.zeros((0, 4)), *(each.boxes_xyxy for each in objects)])
    lost = labelled - len(boxes)
    height, width = experiment.data.input_hw
    if lost > _SOME * max(1, labelled):
        message = f"{lost} of {labelled} objects are below data.min_side_px={experiment.data.min_side_px:g} in the "
        yield suspect("fit-objects-lost", case.dataset, f"{message}{width} x {height} input")
    if len(boxes) == 0:
        return
    sides = boxes[:, 2:] - boxes[:, :2]
    if prepared.anchors is not None:
        finest = min(height / prepared.anchors.levels_hw[0][0], width / prepared.anchors.levels_hw[0][1])
        yield from _against_stride(case, sides, finest=finest, input_hw=(height, width))
        yield from _anchors(case, prepared)


def _against_stride(case: Case, sides: np.ndarray, *, finest: float, input_hw: tuple[int, int]) -> Iterable[Problem]:
    under = int((sides.max(axis=1) < finest).sum())
    at = f"at {input_hw[1]} x {input_hw[0]} input pixels"
    if under > _SOME * len(sides):
        message = f"{under} of {len(sides)} objects are smaller than the finest stride of {finest:g} {at}"
        yield suspect("fit-objects-under-stride", case.dataset, message)
    mean = float(np.sqrt(sides.prod(axis=1)).mean())
    if mean < _SMALL_BOX * finest:
        message = f"the mean object has {mean:.0f} pixels {at}, below {_SMALL_BOX} cells of {finest:g}"
        yield suspect("fit-objects-small", case.dataset, message)


def _anchors(case: Case, prepared: Prepared) -> Iterable[Problem]:
    from sightline.codecs.anchors import AnchorsCodecConfig

    report = prepared.anchors
    if report is None or not isinstance(prepared.experiment.codec, AnchorsCodecConfig):
        return
    cover = report.coverage
    shapes = report.rule.shapes(levels_hw=report.levels_hw, input_hw=report.input_hw)
    if cover.idle:
        total = sum(report.rule.per_cell(len(report.levels_hw)))
        first = ", ".join(f"{shapes[lv][k][0]:.0f} x {shapes[lv][k][1]:.0f}" for lv, k in cover.idle[:4])
        yield suspect("fit-anchors-idle", case.dataset, f"no object matches {len(cover.idle)} of {total}: {first}, ...")
    if cover.recall < _FEW_ANCHORED:
        missed = round((1 - cover.recall) * report.objects)
        message = f"{missed} of {report.objects} objects overlap no anchor by IoU 0.5"
        yield suspect("fit-objects-unanchored", case.dataset, message)
