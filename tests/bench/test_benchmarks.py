from __future__ import annotations

import json
import math

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console

from sightline.bench import BENCHMARKS, decode, loader, run, step, targets
from sightline.bench.dense import LOSS_KINDS
from sightline.bench.result import BenchResult, row
from sightline.bench.table import print_results
from sightline.bench.ways import Case, make_inputs, make_ways
from sightline.errors import UserError
from sightline.geometry import crop_to
from sightline.transforms import _noisy, warp


def assert_complete(result: BenchResult) -> None:
    assert result.rows
    for line in json.loads(json.dumps(result.to_json()))["rows"]:
        assert {"what", "ours", "other", "ratio", "unit", "bar", "met"} <= line.keys()
        numbers = [line["ours"], line["other"], line["ratio"], *line["extra"].values()]
        assert all(math.isfinite(n) for n in numbers if n is not None), line
    print_results([result], console=Console(width=160, quiet=True))


def test_targets_gives_time_and_memory_of_every_loss():
    result = targets.measure(sizes=((24, 2),), num_points=3, repeats=1)
    assert_complete(result)
    assert len(result.rows) == len(LOSS_KINDS) * (2 + 3)


@pytest.mark.parametrize("loss", LOSS_KINDS)
@pytest.mark.parametrize("side", [9, 24])
def test_the_ways_that_are_compared_have_the_same_loss(loss, side):
    case = Case(batch=2, num_points=3, side=side, loss=loss, backward=True)
    found = [way() for way in make_ways(case, make_inputs(case)).values()]
    assert found == pytest.approx([found[0]] * 3, rel=1e-4)


@pytest.mark.parametrize("loss", LOSS_KINDS)
def test_our_loss_stays_exact_for_extreme_logits_and_in_many_slices(loss, monkeypatch):
    from sightline.codecs import gaussian

    monkeypatch.setitem(gaussian.SLICE, "cpu", 1000)
    case = Case(batch=2, num_points=3, side=17, loss=loss, backward=False)
    inputs = make_inputs(case)
    for scale in (1.0, 30.0, 500.0):
        logits = (inputs.logits.detach() * scale).requires_grad_(True)
        grads, values = [], []
        for name in ("ours", "dense"):
            changed = type(inputs)(logits=logits, points_xy=inputs.points_xy, visible=inputs.visible)
            values.append(make_ways(case, changed)[name]())
            kept = changed.logits
            case_loss = _loss(case, changed, name)
            grads.append(torch.autograd.grad(case_loss, kept)[0])
        assert values[0] == pytest.approx(values[1], rel=1e-4)
        torch.testing.assert_close(grads[0], grads[1], rtol=1e-3, atol=1e-6)


def _loss(case, inputs, name):
    from sightline.bench.dense import dense_loss, dense_target
    from sightline.bench.ways import SIGMA, STRIDE
    from sightline.codecs.heatmap import HeatmapCodecConfig
    from sightline.codecs.protocol import CodecShape
    from sightline.types import RawHeatmaps, Truth

    side = case.side
    if name == "dense":
        target = dense_target(inputs.points_xy, map_hw=(side, side), stride=STRIDE, sigma=SIGMA)
        return dense_loss(inputs.logits, target, kind=case.loss)
    shape = CodecShape(input_hw=(4 * side, 4 * side), map_hw=(side, side))
    codec = HeatmapCodecConfig(loss_kind=case.loss, sigma=SIGMA).build(shape)
    return codec.loss(
        RawHeatmaps(logits=inputs.logits), codec.encode(Truth.of_points(inputs.points_xy, inputs.visible))
    )


def test_the_default_decoder_is_within_its_bar_and_rounding_costs_over_a_pixel():
    result = decode.measure(batch=1, num_points=32, repeats=1)
    assert_complete(result)
    by_name = {line["what"]: line for line in result.rows}
    assert by_name["dark (default): perfect"]["ours"] <= decode.BAR_PX
    assert by_name["integral (landmarks): perfect"]["ours"] <= decode.BAR_PX
    assert result.met
    assert by_name["argmax: rounded targets"]["ours"] > 1.2


def test_loader_compares_both_pipelines_with_and_without_jpeg():
    result = loader.measure(heights=(96,), side=32, samples=2, repeats=1)
    assert_complete(result)
    assert len(result.rows) == 2
    assert all(line["ratio"] > 0 for line in result.rows)


def test_step_splits_its_time_and_gives_the_share_of_waiting():
    result = step.measure(pictures=10, batch=2, blocks=1, steps=1, side=64, uncounted=0, threads=1)
    assert_complete(result)
    assert [line["unit"] for line in result.rows] == ["ms", "ms", "ms", "%", "%"]
    assert 0 <= result.rows[3]["ours"] <= 100


def test_an_unknown_benchmark_is_a_user_error_that_suggests_the_right_one():
    with pytest.raises(UserError, match="decode"):
        run(["decod"], quick=True)
    assert set(BENCHMARKS) == {
        "targets",
        "decode",
        "loader",
        "step",
        "anchor-matching",
        "average-precision",
        "suppression",
    }


def test_a_result_with_a_missed_bar_is_not_met():
    missed = row("x", ours=1.0, unit="ms", bar="<= 0.5 ms", met=False)
    assert not BenchResult(name="x", rows=[missed]).met
    assert BenchResult(name="x", rows=[row("x", ours=1.0, unit="ms")]).met


@pytest.mark.parametrize("channels", [1, 3])
def test_noise_is_normal_with_the_std_asked_for_and_stays_in_range(channels):
    grey = np.full((64, 64, channels), 128, dtype=np.uint8)
    away = _noisy(grey, np.random.default_rng(0), std=8.0).astype(float) - 128
    assert away.shape == grey.shape
    assert abs(away.mean()) < 0.5
    assert away.std() == pytest.approx(8.0, rel=0.05)
    assert (np.abs(away) > 16).mean() == pytest.approx(0.0455, abs=0.01)
    assert _noisy(np.zeros_like(grey), np.random.default_rng(0), std=8.0).max() < 60


def test_a_strong_shrink_averages_only_what_is_seen_and_gives_the_same_picture():
    source = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (400, 600, 3)).astype(np.uint8), (0, 0), 9)
    for box in ((-40.0, -30.0, 300.0, 310.0), (150.0, 50.0, 590.0, 399.0), (-900.0, 0.0, -500.0, 400.0)):
        affine = crop_to(box, (64, 64))
        shown = warp(source, affine, (64, 64)).astype(int)
        x = box[0] + (np.arange(64) + 0.5) * (box[2] - box[0]) / 64
        y = box[1] + (np.arange(64) + 0.5) * (box[3] - box[1]) / 64
        inner = ((x > 9) & (x < 591))[None, :] & ((y > 9) & (y < 391))[:, None]
        maps = np.meshgrid(x.astype(np.float32) - 0.5, y.astype(np.float32) - 0.5)
        wanted = cv2.remap(source, *maps, cv2.INTER_LINEAR).astype(int)
        assert np.abs(shown - wanted)[inner].max(initial=0) <= 3
