from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import signal
from scipy.cluster.vq import kmeans2

from sightline.anchors.auto import kmeans, kmeans_anchors, level_sizes, nearest_levels, peak_anchors
from sightline.anchors.coverage import best_ious
from sightline.anchors.generate import RetinaAnchors
from sightline.anchors.signals import find_peaks, highpass
from sightline.errors import UserError

LEVELS, INPUT = ((32, 32), (16, 16), (8, 8)), (256, 256)


def clusters(middles, *, each=200, spread=0.05, seed=0):
    """Boxes about some (width, height), normal in the logarithm."""
    rng = np.random.default_rng(seed)
    return np.concatenate([np.exp(np.log(m) + spread * rng.standard_normal((each, 2))) for m in middles])


@pytest.mark.parametrize("cutoff", [0.05, 0.15, 0.6])
@pytest.mark.parametrize("length", [1, 2, 102])
def test_the_highpass_is_scipys_butterworth_of_order_3(cutoff, length):
    values = np.random.default_rng(0).random(length) * 100
    wanted = signal.sosfilt(signal.butter(3, cutoff, "highpass", output="sos"), values)
    np.testing.assert_allclose(highpass(values, cutoff=cutoff), wanted, atol=1e-10)


@pytest.mark.parametrize("distance", [1, 2, 10])
def test_peaks_are_scipys_where_no_two_are_equal(distance):
    rng = np.random.default_rng(distance)
    for length in (1, 2, 3, 10, 102):
        for _ in range(20):
            values = rng.permutation(length).astype(float)
            np.testing.assert_array_equal(
                find_peaks(values, distance=distance), signal.find_peaks(values, distance=distance)[0]
            )


def test_a_flat_top_is_one_peak_and_the_ends_are_none():
    values = np.array([5.0, 1, 3, 3, 3, 3, 0, 4, 4])
    assert find_peaks(values, distance=1).tolist() == signal.find_peaks(values, distance=1)[0].tolist() == [3]
    assert find_peaks(np.ones(5), distance=1).tolist() == []


def test_kmeans_finds_clusters_that_stand_apart():
    middles = np.array([[10.0, 10], [40, 20], [20, 60], [90, 90]])
    found = np.exp(kmeans(np.log(clusters(middles)), count=4, rng=np.random.default_rng(0)))
    np.testing.assert_allclose(found[np.argsort(found[:, 0])], middles[np.argsort(middles[:, 0])], rtol=0.03)


def test_kmeans_is_not_worse_than_scipys():
    points = np.random.default_rng(0).standard_normal((500, 2))

    def cost(centres):
        return np.square(points[:, None] - centres).sum(axis=2).min(axis=1).sum()

    theirs = min(cost(kmeans2(points, 6, minit="++", seed=seed)[0]) for seed in range(5))
    assert cost(kmeans(points, count=6, rng=np.random.default_rng(0))) < 1.03 * theirs


def test_kmeans_gives_as_many_centres_as_asked_even_for_equal_points():
    assert kmeans(np.ones((3, 2)), count=5, rng=np.random.default_rng(0)).tolist() == [[1, 1]] * 5


def test_boxes_go_to_the_level_of_their_size():
    sizes = level_sizes(LEVELS, input_hw=INPUT)
    assert sizes.tolist() == [32, 64, 128]
    boxes = np.array([[1, 1], [16, 64], [46, 44], [46, 46], [900, 900]])
    assert nearest_levels(boxes, sizes=sizes).tolist() == [0, 0, 0, 1, 2]


def test_kmeans_anchors_stand_on_the_level_of_their_size_and_cover_what_the_usual_ones_miss():
    boxes = clusters([(8, 24), (60, 20), (12, 11)])
    found = kmeans_anchors(boxes, per_level=3, levels_hw=LEVELS, input_hw=INPUT)
    assert found.per_cell(3) == (3, 3, 3)
    first, _, last = np.array(found.shapes_wh)
    assert np.allclose(sorted(first.prod(axis=1)), first.prod(axis=1))
    assert np.isclose(first, [12, 11], rtol=0.06).all(axis=1).any()
    assert np.isclose(first, [8, 24], rtol=0.06).all(axis=1).any()
    # No box suits the last level: it has the data's ratios at its own size.
    np.testing.assert_allclose(np.sqrt(last.prod(axis=1)), 128, rtol=1e-3)
    np.testing.assert_allclose(sorted(last[:, 1] / last[:, 0]), [20 / 60, 11 / 12, 24 / 8], rtol=0.05)
    placed = [np.concatenate([np.full((len(boxes), 2), 60.0), 60 + boxes], axis=1)]
    ours = best_ious(placed, rule=found, levels_hw=LEVELS, input_hw=INPUT).mean()
    assert ours > best_ious(placed, rule=RetinaAnchors(), levels_hw=LEVELS, input_hw=INPUT).mean() + 0.1


def test_a_level_with_fewer_different_boxes_than_anchors_has_them_all_and_more_of_their_size():
    boxes = np.concatenate([np.tile([[20.0, 10.0]], (9, 1)), clusters([(60, 70), (80, 50)])])
    first = kmeans_anchors(boxes, per_level=3, levels_hw=LEVELS, input_hw=INPUT).shapes_wh[0]
    assert (20.0, 10.0) in first
    assert [w * h for w, h in first] == pytest.approx([200] * 3, rel=0.01)
    assert len(set(first)) == 3


def test_no_automatic_anchor_is_larger_than_the_input():
    found = kmeans_anchors(clusters([(6, 60)]), per_level=2, levels_hw=LEVELS, input_hw=(256, 256))
    assert np.max(found.shapes_wh) == 256


def test_kmeans_anchors_depend_on_the_seed_alone():
    boxes = clusters([(20, 20)], spread=0.5)
    rules = [kmeans_anchors(boxes, per_level=4, levels_hw=LEVELS, input_hw=INPUT, seed=s) for s in (1, 1)]
    assert rules[0] == rules[1]


def test_peaks_in_the_sizes_become_one_size_a_level():
    boxes = clusters([(8, 8), (30, 30), (100, 100)], spread=0.03, each=400)
    found = peak_anchors(boxes, levels_hw=LEVELS, ratios_per_size=2)
    assert found.per_cell(3) == (4, 4, 4)
    step = 10 ** (5 / 102 / 2)  # a bin's width, as a factor of the side
    for level, side in zip(found.shapes_wh, (8, 30, 100), strict=True):
        (size, same), (larger, _), *rest = level
        assert size == same and side / step**2 < size < side * step
        assert larger == pytest.approx(size * math.sqrt(2), abs=0.02)
        assert all(math.sqrt(w * h) == pytest.approx(size, abs=0.02) for w, h in rest)


def test_ratios_are_found_around_each_size():
    boxes = clusters([(8, 8), (15, 60), (200, 50)], spread=0.02, each=400)
    found = peak_anchors(boxes, levels_hw=LEVELS, ratios_per_size=1)
    ratios = [level[2][1] / level[2][0] for level in found.shapes_wh]
    assert ratios == pytest.approx([1, 4, 0.25], rel=0.05)


def test_too_few_peaks_are_a_user_error_that_names_the_other_way():
    with pytest.raises(UserError, match=r"3 levels.*k-means"):
        peak_anchors(clusters([(20, 20)], spread=0.01), levels_hw=LEVELS)


@pytest.mark.parametrize("boxes", [np.zeros((0, 2)), np.array([[0.0, 5.0], [3.0, 0.0], [-1.0, 2.0]])])
def test_no_boxes_with_an_area_are_a_user_error(boxes):
    with pytest.raises(UserError, match="none with an area"):
        kmeans_anchors(boxes, per_level=3, levels_hw=LEVELS, input_hw=INPUT)
    with pytest.raises(UserError, match="none with an area"):
        peak_anchors(boxes, levels_hw=LEVELS)


def test_boxes_without_an_area_change_nothing():
    boxes = clusters([(20, 20), (60, 30)])
    with_empty = np.concatenate([boxes, [[0.0, 4.0]]])
    rules = [kmeans_anchors(b, per_level=2, levels_hw=LEVELS, input_hw=INPUT) for b in (boxes, with_empty)]
    assert rules[0] == rules[1]


def test_a_single_box_is_enough():
    found = kmeans_anchors(np.array([[30.0, 20.0]]), per_level=3, levels_hw=LEVELS, input_hw=INPUT)
    assert found.per_cell(3) == (3, 3, 3)
