"""(e) Matching 65,520 anchors with the objects of 32 pictures, and the loss, against a loop over the pictures.

The anchors are the driving write-up's (128 x 1024 input, six shapes on each of six levels, eight classes).
Next: table.py
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import box_iou, sigmoid_focal_loss

from sightline.anchors.generate import SsdAnchors
from sightline.anchors.offsets import to_offsets
from sightline.assign.assignment import fixed_iou
from sightline.bench.clock import interleaved, median_ratio, torch_threads
from sightline.bench.result import BenchResult, row
from sightline.codecs.anchors import AnchorsCodec, AnchorsCodecConfig
from sightline.codecs.protocol import CodecShape
from sightline.types import RawDense, Truth

INPUT_HW, LEVELS_HW = (128, 1024), ((32, 256), (16, 128), (8, 64), (4, 32), (2, 16), (1, 8))
ANCHORS = SsdAnchors(ratios=((2, 3),) * len(LEVELS_HW))
NUM_CLASSES, OBJECTS = 8, (5, 25)  # of a picture, both ends included
FASTER = 5.0
MIB = 2**20
LossKind = Literal["multibox", "softmax-focal", "sigmoid-focal"]
LOSS_KINDS: tuple[LossKind, ...] = get_args(LossKind)


@dataclass(frozen=True, kw_only=True)
class AnchorCase:
    """Batch, loss, whether the gradient is asked for, and by which way. Loss None: the matching alone."""

    batch: int
    loss: LossKind | None
    backward: bool = False
    way: Literal["ours", "loop"] = "ours"
    levels_hw: tuple[tuple[int, int], ...] = LEVELS_HW

    @property
    def name(self) -> str:
        """What a reader sees."""
        return f"matching + {self.loss} loss{', with gradient' * self.backward}" if self.loss else "matching alone"


@dataclass(frozen=True, kw_only=True, eq=False)
class AnchorInputs:
    """Random predictions, and objects about as large as the write-up's."""

    codec: AnchorsCodec
    raw: RawDense
    truth: Truth


def run_anchor_matching(*, quick: bool) -> BenchResult:
    """The batch of the bar; `quick` takes one of 8, and fewer rounds."""
    return measure(batch=8 if quick else 32, repeats=3 if quick else 7)


def measure(
    *,
    batch: int,
    repeats: int,
    losses: tuple[LossKind, ...] = LOSS_KINDS,
    levels_hw: tuple[tuple[int, int], ...] = LEVELS_HW,
) -> BenchResult:
    """Time of every loss with one thread, forward and with the gradient, and peak memory of each way."""
    kinds: tuple[LossKind | None, ...] = (None, *losses)
    cases = [
        AnchorCase(batch=batch, loss=loss, backward=backward, levels_hw=levels_hw)
        for loss in kinds
        for backward in ((False, True) if loss else (False,))
    ]
    with torch_threads(1):
        rows = [_time_row(case, repeats=repeats) for case in cases]
    rows += _memory_rows(cases)
    inputs = make_inputs(cases[0])
    notes = (
        f"{len(inputs.codec.anchors_xyxy):,} anchors, batch {batch}, {int(inputs.truth.valid.sum())} objects, "
        f"{NUM_CLASSES} classes; float32, one thread, its processor time, median of {repeats} rounds, in turn.",
        "other = a loop over the pictures: torchvision's box_iou of all pairs, best object of each anchor and best "
        "anchor of each object, the loss of each picture, summed; no target is built that its loss does not need, "
        "but torchvision's sigmoid_focal_loss takes a one-hot one.",
        "memory: highest resident size over that with the predictions in place, one process a measurement; "
        "'with gradient' counts the predictions' gradient, which any way must hand over.",
    )
    return BenchResult(name="anchor-matching", rows=rows, notes=notes)


def make_inputs(case: AnchorCase) -> AnchorInputs:
    """The inputs of a case, always the same."""
    generator = torch.Generator().manual_seed(0)
    levels = len(case.levels_hw)
    anchors = SsdAnchors(sizes_hw=ANCHORS.sizes_hw[: levels + 1], ratios=ANCHORS.ratios[:levels])
    shape = CodecShape(input_hw=INPUT_HW, levels_hw=case.levels_hw, num_classes=NUM_CLASSES)
    codec = AnchorsCodecConfig(anchors=anchors, loss_kind=case.loss or "multibox").build(shape)
    counts = torch.randint(OBJECTS[0], OBJECTS[1] + 1, (case.batch,), generator=generator)
    most = OBJECTS[1]
    # Medians near the write-up's: 30 px, widths and heights spread by a factor of 1.8.
    sides = (3.4 + 0.6 * torch.randn(case.batch, most, 2, generator=generator)).exp()
    centres = torch.rand(case.batch, most, 2, generator=generator) * torch.tensor(INPUT_HW[::-1])
    limit = torch.tensor([*INPUT_HW[::-1], *INPUT_HW[::-1]])
    boxes = torch.cat([centres - sides / 2, centres + sides / 2], dim=2).clamp_min(0).minimum(limit)
    labels = torch.randint(0, NUM_CLASSES, (case.batch, most), generator=generator)
    places, logits = len(codec.anchors_xyxy), codec.config.num_logits(NUM_CLASSES)
    raw = RawDense(
        boxes=torch.randn(case.batch, places, 4, generator=generator).requires_grad_(case.backward),
        logits=torch.randn(case.batch, places, logits, generator=generator).requires_grad_(case.backward),
        sizes_hw=case.levels_hw,
    )
    return AnchorInputs(codec=codec, raw=raw, truth=Truth.of_boxes(boxes, labels, torch.arange(most) < counts[:, None]))


def make_ways(case: AnchorCase, inputs: AnchorInputs) -> dict[str, Callable[[], float]]:
    """Functions that match, take the loss and go backward where asked; they return the loss (positives without one)."""
    codec, raw, truth = inputs.codec, inputs.raw, inputs.truth

    def ours() -> Tensor:
        if case.loss is None:
            return fixed_iou(codec.anchors_xyxy, truth).positive.sum()
        return codec.loss(raw, codec.encode(truth))

    def loop() -> Tensor:
        if case.loss is None:
            matched = (match_one(codec.anchors_xyxy, boxes) for boxes, _ in _pictures(truth))
            return torch.stack([(which >= 0).sum() for which in matched]).sum()
        return loop_loss(codec, raw, truth)

    def whole(loss_of: Callable[[], Tensor]) -> Callable[[], float]:
        def step() -> float:
            loss = loss_of()
            if case.backward:
                loss.backward()
                raw.boxes.grad = raw.logits.grad = None
            return loss.item()

        return step

    return {"ours": whole(ours), "loop": whole(loop)}


def match_one(anchors_xyxy: Tensor, boxes_xyxy: Tensor) -> Tensor:
    """One picture's matching as it is usually written: which object each anchor learns, or -1. [P]."""
    ious = box_iou(boxes_xyxy, anchors_xyxy)
    best, which = ious.max(dim=0)
    which[best <= 0.5] = -1
    best, anchor = ious.max(dim=1)
    for index in best.argsort().tolist():  # the best fit last: it stays
        which[anchor[index]] = index
    return which


def loop_loss(codec: AnchorsCodec, raw: RawDense, truth: Truth) -> Tensor:
    """The codec's loss, picture by picture: the rival, and what the tests hold the codec against."""
    config = codec.config
    classes, boxes, learning = [], [], 0
    # Unbound, not indexed: the gradient of an index would be a whole batch of zeros for each picture.
    predictions = zip(_pictures(truth), raw.logits.unbind(), raw.boxes.unbind(), strict=True)
    for (boxes_xyxy, labels), logits, predicted in predictions:
        which = match_one(codec.anchors_xyxy, boxes_xyxy)
        place = (which >= 0).nonzero()[:, 0]
        target = torch.zeros_like(which)
        target[place] = labels[which[place]] + 1
        if config.loss_kind == "multibox":
            losses = F.cross_entropy(logits, target, reduction="none")
            hardness = (-logits.detach().log_softmax(dim=1)[:, 0]).masked_fill(target > 0, -torch.inf)
            hardest = hardness.sort(descending=True).indices[: round(config.negatives * len(place))]
            classes.append(losses[place].sum() + losses[hardest].sum())
        elif config.loss_kind == "softmax-focal":
            log_p = logits.log_softmax(dim=1)[torch.arange(len(target)), target]
            weights = codec.alphas[target] * (1 - log_p.exp()) ** config.gamma
            classes.append(-(weights * log_p).mean())
        else:
            wanted = F.one_hot(target, NUM_CLASSES + 1)[:, 1:].float()
            classes.append(sigmoid_focal_loss(logits, wanted, config.alpha, config.gamma, reduction="sum"))
        offsets = to_offsets(boxes_xyxy[which[place]], codec.anchors_xyxy[place], variances=config.variances)
        boxes.append(F.smooth_l1_loss(predicted[place], offsets, reduction="sum"))
        learning += len(place)
    over = len(classes) if config.loss_kind == "softmax-focal" else learning
    return torch.stack(classes).sum() / over + torch.stack(boxes).sum() / learning


def _pictures(truth: Truth) -> list[tuple[Tensor, Tensor]]:
    return [(b[v], labels[v]) for b, labels, v in zip(truth.boxes_xyxy, truth.labels, truth.valid, strict=True)]


def _time_row(case: AnchorCase, *, repeats: int) -> dict[str, Any]:
    seconds = interleaved(make_ways(case, make_inputs(case)), repeats=repeats, clock=time.thread_time)
    ratio = median_ratio(seconds["loop"], seconds["ours"])
    barred = case.backward or case.loss is None  # a loss without its gradient is for validation only
    return row(
        f"time: {case.name}",
        ours=1e3 * statistics.median(seconds["ours"]),
        other=1e3 * statistics.median(seconds["loop"]),
        ratio=ratio,
        unit="ms",
        bar=f">= {FASTER:g}x faster" if barred else "",
        met=ratio >= FASTER if barred else None,
    )


def _memory_rows(cases: list[AnchorCase]) -> list[dict[str, Any]]:
    asked = [replace(case, way=way) for case in cases for way in ("ours", "loop")]
    text = json.dumps([asdict(case) for case in asked])
    command = [sys.executable, "-m", "sightline.bench.anchor_matching", text]
    found = iter(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    rows = []
    for case in cases:
        ours, loop = next(found), next(found)
        ratio = loop / max(ours, MIB)  # the resident size is not known to less
        rows.append(row(f"memory: {case.name}", ours=ours / MIB, other=loop / MIB, ratio=ratio, unit="MiB"))
    return rows


def _highest_rss() -> int:
    """Bytes; Linux counts in KiB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _forked_peak(case: AnchorCase, pipe: Connection) -> None:
    """The body of one forked process: extra bytes at the peak, beyond the predictions."""
    small = replace(case, batch=1, levels_hw=case.levels_hw[-2:])
    make_ways(small, make_inputs(small))[case.way]()  # kernels and libraries are loaded by now
    inputs = make_inputs(case)
    before = _highest_rss()
    make_ways(case, inputs)[case.way]()
    pipe.send(_highest_rss() - before)


def _main(text: str) -> None:
    """Measure cases in a process each, forked from this small one."""
    torch.set_num_threads(1)
    context = multiprocessing.get_context("fork")
    found = []
    for values in json.loads(text):
        levels = tuple((height, width) for height, width in values.pop("levels_hw"))
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_forked_peak, args=(AnchorCase(**values, levels_hw=levels), there))
        process.start()
        there.close()
        found.append(here.recv())
        process.join()
    print(json.dumps(found))


if __name__ == "__main__":
    _main(sys.argv[1])
