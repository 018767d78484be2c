"""Milliseconds a picture for suppression, and for all of decoding, against suppression in a plain Python loop.

The loop is what a reader would write from the definition, in NumPy: one class after the other, the best box
and, vectorised, its overlaps with all that are left, until none is left. Next: step.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sightline.bench.clock import interleaved, median_ratio
from sightline.bench.result import BenchResult, row
from sightline.codecs.anchor_free import AnchorFreeCodec, AnchorFreeCodecConfig
from sightline.codecs.protocol import CodecShape
from sightline.codecs.suppression import suppress
from sightline.types import RawDense

STRIDES = (8, 16, 32)
SCENES = {"5 objects": 5, "60 objects": 60}
CLASSES = (3, 80)
IOU, MOST = 0.6, 100


def run_suppression(*, quick: bool) -> BenchResult:
    """The `boxes` network's output for 320 px inputs."""
    return measure(side=320, repeats=3 if quick else 15)


def measure(*, side: int, repeats: int) -> BenchResult:
    """Few and many objects, few and many classes, at the threshold for curves and at one for use."""
    rows: list[dict[str, Any]] = []
    for scene, objects in SCENES.items():
        for classes in CLASSES:
            for threshold in (0.01, 0.3):
                rows += _rows(scene, objects, side=side, classes=classes, threshold=threshold, repeats=repeats)
    notes = (
        f"{side} x {side} inputs, strides {', '.join(map(str, STRIDES))}, one box a cell; IoU {IOU:g}, at most "
        f"{MOST} boxes and 1000 candidates a picture, batches of one, one thread's time. Other = the plain loop on the "
        "same candidates, which gives the same boxes.",
        "decode: sigmoid, distances to corners, cut at the edges, suppression.",
    )
    return BenchResult(name="suppression", rows=rows, notes=notes)


def codec_for(*, side: int, classes: int, threshold: float) -> AnchorFreeCodec:
    """That of the `boxes` recipe's levels."""
    levels = tuple((side // stride, side // stride) for stride in STRIDES)
    shape = CodecShape(input_hw=(side, side), levels_hw=levels, num_classes=classes)
    return AnchorFreeCodecConfig(score_threshold=threshold, iou=IOU, most=MOST).build(shape)


def plain_suppress(boxes_xyxy: np.ndarray, scores: np.ndarray, *, threshold: float) -> list[tuple[float, int, int]]:
    """One picture, [P, 4] and [P, C]: (score, class, place) of what stays, best first."""
    place, label = (scores >= threshold).nonzero()
    best = (-scores[place, label]).argsort(kind="stable")[:1000]
    place, label = place[best], label[best]
    kept: list[tuple[float, int, int]] = []
    for one in np.unique(label):
        left = place[label == one]
        while len(left):
            first, left = left[0], left[1:]
            kept.append((float(scores[first, one]), int(one), int(first)))
            x0, y0, x1, y1 = boxes_xyxy[first]
            others = boxes_xyxy[left]
            width = np.minimum(x1, others[:, 2]) - np.maximum(x0, others[:, 0])
            height = np.minimum(y1, others[:, 3]) - np.maximum(y0, others[:, 1])
            shared = np.maximum(width, 0) * np.maximum(height, 0)
            areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
            left = left[shared <= IOU * ((x1 - x0) * (y1 - y0) + areas - shared)]
    return sorted(kept, key=lambda found: -found[0])[:MOST]


def network_output(codec: AnchorFreeCodec, *, objects: int) -> RawDense:
    """As a trained network emits it: cells inside an object agree on its box, more or less; the rest see nothing."""
    generator = torch.Generator().manual_seed(0)
    height, width = codec.input_hw
    places, classes = len(codec.centres_xy), codec.num_classes
    sides = 16 + torch.rand(objects, 2, generator=generator) * min(height, width) / 3
    corners = torch.rand(objects, 2, generator=generator) * (torch.tensor([float(width), float(height)]) - sides)
    centres = codec.centres_xy[:, None]
    distances = torch.cat([centres - corners, corners + sides - centres], dim=2)  # [P, objects, 4]
    within = distances.amin(dim=2)
    nearest, owner = within.max(dim=1)  # of several objects, the one whose sides are furthest away
    boxes = distances[torch.arange(places), owner].clamp_min(1.0) / codec.units_xy.repeat(1, 2)
    boxes = boxes.log() + 0.1 * torch.randn(places, 4, generator=generator)
    logits = torch.randn(places, classes, generator=generator) - 8
    label = torch.randint(0, classes, (objects,), generator=generator)[owner][:, None]
    strength = torch.randn(places, 1, generator=generator) * 2
    logits = torch.where(nearest[:, None] > 0, logits.scatter(1, label, strength), logits)
    return RawDense(boxes=boxes[None], logits=logits[None], sizes_hw=codec.levels_hw)


def _rows(scene: str, objects: int, *, side: int, classes: int, threshold: float, repeats: int) -> list[dict[str, Any]]:
    codec = codec_for(side=side, classes=classes, threshold=threshold)
    raw = network_output(codec, objects=objects)
    boxes, scores = codec.boxes_xyxy(raw).clamp(0, side), raw.logits.sigmoid()
    arrays = boxes[0].numpy(), scores[0].numpy()
    ways: dict[str, Callable[[], object]] = {
        "ours": lambda: suppress(boxes, scores, score_threshold=threshold, iou=IOU, most=MOST),
        "plain": lambda: plain_suppress(*arrays, threshold=threshold),
        "decode": lambda: codec.decode(raw),
    }
    times = interleaved(ways, repeats=repeats, clock=time.thread_time)
    ours, plain, decode = (1e3 * statistics.median(times[name]) for name in ("ours", "plain", "decode"))
    above = min(1000, int((scores >= threshold).sum()))
    what = f"{scene}, {classes} classes, scores from {threshold:g}"
    ratio = median_ratio(times["plain"], times["ours"])
    extra = {"candidates": float(above)}
    return [
        row(f"{what}: suppression", ours=ours, other=plain, ratio=ratio, unit="ms", extra=extra),
        row(f"{what}: decode", ours=decode, unit="ms", extra=extra),
    ]
