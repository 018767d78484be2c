from __future__ import annotations

import json
import math

import pytest
import torch

from sightline.assign.assignment import fixed_iou
from sightline.bench.anchor_matching import (
    LEVELS_HW,
    LOSS_KINDS,
    AnchorCase,
    loop_loss,
    make_inputs,
    make_ways,
    match_one,
    measure,
)

COARSE = LEVELS_HW[2:]  # 4,080 anchors


def test_the_anchors_are_those_of_the_bar():
    assert len(make_inputs(AnchorCase(batch=1, loss=None)).codec.anchors_xyxy) == 65_520


def test_both_ways_match_the_same_anchors():
    inputs = make_inputs(AnchorCase(batch=4, loss=None, levels_hw=COARSE))
    found = fixed_iou(inputs.codec.anchors_xyxy, inputs.truth)
    for picture, valid in enumerate(inputs.truth.valid):
        which = match_one(inputs.codec.anchors_xyxy, inputs.truth.boxes_xyxy[picture, valid])
        assert (which >= 0).sum() >= 5
        assert torch.equal(found.object[picture], which)


@pytest.mark.parametrize("loss", LOSS_KINDS)
def test_both_ways_have_the_same_loss_and_gradient(loss):
    inputs = make_inputs(AnchorCase(batch=3, loss=loss, backward=True, levels_hw=COARSE))
    codec, raw = inputs.codec, inputs.raw
    values = [codec.loss(raw, codec.encode(inputs.truth)), loop_loss(codec, raw, inputs.truth)]
    torch.testing.assert_close(*values, rtol=1e-4, atol=1e-5)
    ours, theirs = (torch.autograd.grad(value, [raw.boxes, raw.logits]) for value in values)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_a_step_gives_the_loss_and_leaves_no_gradient_behind():
    case = AnchorCase(batch=2, loss="multibox", backward=True, levels_hw=COARSE)
    inputs = make_inputs(case)
    values = [way() for way in make_ways(case, inputs).values()]
    assert values[0] == pytest.approx(values[1], rel=1e-4)
    assert inputs.raw.logits.grad is None


def test_time_and_memory_are_measured():
    result = measure(batch=1, repeats=1, losses=("softmax-focal",), levels_hw=COARSE)
    rows = json.loads(json.dumps(result.to_json()))["rows"]
    for line in rows:
        assert all(math.isfinite(line[name]) for name in ("ours", "other", "ratio")), line
    kind = "matching + softmax-focal loss"
    names = ["matching alone", kind, f"{kind}, with gradient"]
    assert [line["what"] for line in rows] == [f"{what}: {name}" for what in ("time", "memory") for name in names]
    assert [line["what"] for line in rows if line["bar"]] == [f"time: {names[0]}", f"time: {names[2]}"]
