"""What the training boxes decide: anchors by four methods, weights of the most frequent classes."""

from __future__ import annotations

import numpy as np
import pytest

from sightline.anchors.generate import ShapedAnchors, SsdAnchors
from sightline.codecs.anchor_fit import fit_alpha, fit_anchors, fit_codec, is_open
from sightline.codecs.anchor_rules import DataAnchors
from sightline.codecs.anchors import AnchorsCodecConfig
from sightline.codecs.protocol import CodecShape
from sightline.errors import UserError

INPUT = (128, 256)
LEVELS = ((32, 64), (16, 32), (8, 16))


def boxes(*, seed: int = 0, count: int = 300) -> np.ndarray:
    """Small tall ones, middle square ones, large wide ones: [M, 2] width and height."""
    rng = np.random.default_rng(seed)
    means = np.repeat([[6.0, 14.0], [24.0, 24.0], [90.0, 45.0]], count // 3, axis=0)
    return means * np.exp(rng.normal(0, 0.05, means.shape))


def best_iou(shapes: np.ndarray, boxes_wh: np.ndarray) -> np.ndarray:
    shared = np.minimum(boxes_wh[:, None], shapes).prod(axis=2)
    return (shared / (boxes_wh.prod(axis=1)[:, None] + shapes.prod(axis=1) - shared)).max(axis=1)


def flat(rule: SsdAnchors | ShapedAnchors) -> np.ndarray:
    return np.array([shape for level in rule.shapes(levels_hw=LEVELS, input_hw=INPUT) for shape in level])


@pytest.mark.parametrize("method", ["kmeans", "sizes", "per-level"])
def test_fitted_anchors_fit_boxes_of_clear_kinds(method: str) -> None:
    rule = DataAnchors(method=method, count=3)  # type: ignore[arg-type]
    fitted = fit_anchors(rule, boxes_wh=boxes(), levels_hw=LEVELS, input_hw=INPUT)
    assert best_iou(flat(fitted), boxes(seed=1)).min() > 0.75  # type: ignore[arg-type]


def test_sizes_keep_the_rule_and_go_from_small_to_large() -> None:
    fitted = fit_anchors(DataAnchors(method="sizes"), boxes_wh=boxes(), levels_hw=LEVELS, input_hw=INPUT)
    assert isinstance(fitted, SsdAnchors)
    assert fitted.per_cell(3) == DataAnchors(method="sizes").per_cell(3)
    wanted = [(14, 6), (24, 24), (45, 90)]
    for found, size in zip(fitted.sizes_hw, wanted, strict=False):
        assert found == pytest.approx(size, rel=0.05)
    assert all(ratio >= 1.1 for row in fitted.ratios for ratio in row)


def test_anchors_that_no_box_needs_are_left_out_level_by_level() -> None:
    fitted = fit_anchors(DataAnchors(method="per-level"), boxes_wh=boxes(), levels_hw=LEVELS, input_hw=INPUT)
    whole = fit_anchors(DataAnchors(method="sizes"), boxes_wh=boxes(), levels_hw=LEVELS, input_hw=INPUT)
    counts = fitted.per_cell(3)
    assert all(1 <= count <= 6 for count in counts)
    assert sum(counts) < 18
    # Only what is the best one of under half a per cent of the boxes goes, so hardly any box loses.
    before, after = (best_iou(flat(rule), boxes()) for rule in (whole, fitted))  # type: ignore[arg-type]
    assert (after < before - 1e-9).mean() < 0.05


def test_peaks_are_the_write_ups_two_squares_and_ratios() -> None:
    spread = np.concatenate([boxes(count=300), boxes(seed=2, count=300)])
    fitted = fit_anchors(DataAnchors(method="peaks"), boxes_wh=spread, levels_hw=LEVELS, input_hw=INPUT)
    assert fitted.per_cell(3) == DataAnchors(method="peaks").per_cell(3) == (7, 7, 7)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("method", ["kmeans", "sizes", "per-level"])
def test_fewer_boxes_than_levels_still_give_anchors(method: str, count: int) -> None:
    rule = DataAnchors(method=method)  # type: ignore[arg-type]
    fitted = fit_anchors(rule, boxes_wh=boxes()[:count], levels_hw=LEVELS, input_hw=INPUT)
    assert len(fitted.per_cell(3)) == 3
    assert np.isfinite(flat(fitted)).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["kmeans", "peaks", "sizes", "per-level"])
@pytest.mark.parametrize("nothing", [np.zeros((0, 2)), np.array([[0.0, 5.0], [3.0, 0.0]])])
def test_without_boxes_nothing_can_be_fitted(method: str, nothing: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"nothing to (fit|find) anchors"):
        fit_anchors(DataAnchors(method=method), boxes_wh=nothing, levels_hw=LEVELS, input_hw=INPUT)  # type: ignore[arg-type]


def test_the_most_frequent_classes_weigh_more() -> None:
    config = AnchorsCodecConfig(loss_kind="softmax-focal", alpha_frequent=(1.1, 1.05))
    # The write-up's training set: cars first, people second.
    published = [9563, 123, 445, 0, 1043, 615, 4910, 1588]
    labels = np.repeat(np.arange(8), published)
    weights = fit_alpha(config, labels=labels, num_classes=8)
    assert weights == pytest.approx((1100, 1000, 1000, 1000, 1000, 1000, 1050, 1000))
    assert fit_alpha(config, labels=np.zeros(3, dtype=int), num_classes=1) == pytest.approx((1100,))


def test_a_fitted_codec_can_be_built_and_is_no_longer_open() -> None:
    config = AnchorsCodecConfig(
        anchors=DataAnchors(method="kmeans"), loss_kind="softmax-focal", alpha_frequent=(1.1, 1.05)
    )
    assert is_open(config)
    fitted = fit_codec(
        config,
        boxes_wh=boxes(),
        labels=np.repeat([0, 1, 2], 100),
        num_classes=3,
        levels_hw=LEVELS,
        input_hw=INPUT,
    )
    assert not is_open(fitted)
    coder = fitted.build(CodecShape(input_hw=INPUT, levels_hw=LEVELS, num_classes=3))
    assert len(coder.anchors_xyxy) == 5 * sum(h * w for h, w in LEVELS)
    assert coder.alphas.tolist() == pytest.approx([10, 1100, 1050, 1000])


def test_a_codec_with_nothing_open_stays_as_it_is() -> None:
    config = AnchorsCodecConfig()
    fitted = fit_codec(
        config, boxes_wh=boxes(), labels=np.zeros(300, dtype=int), num_classes=1, levels_hw=LEVELS, input_hw=INPUT
    )
    assert fitted == config
