"""Points and pixels go through the same map, whatever is drawn; and every draw can be repeated."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sightline.config import AugmentConfig, DataConfig, EvaluateConfig
from sightline.errors import UserError
from sightline.geometry import Affine, cell_centres
from sightline.images import read_image
from sightline.records import Record, Skeleton
from sightline.transforms import (
    RETRIES,
    Framing,
    base_box,
    draw_affine,
    jittered_box,
    plain_sample,
    recolour,
    training_sample,
    warp,
)

SKELETON = Skeleton(names=("left", "right", "nose"), flip_pairs=((0, 1),))
POINTS = np.array([[60.3, 52.7], [99.6, 55.2], [80.1, 90.4]])
EVERYTHING = AugmentConfig(rotate_deg=40, shear=0.3, shift=0.05, scale_min=0.7, scale_max=1.2, flip=0.5)


def record(points: np.ndarray = POINTS, *, size_hw: tuple[int, int] = (140, 170), **more: object) -> Record:
    visible = more.pop("visible", np.ones(len(points), dtype=bool))
    return Record(image_id="a", path=Path("a"), points_xy=points, visible=visible, size_hw=size_hw, **more)


def dotted(
    xy: np.ndarray, *, size_hw: tuple[int, int] = (140, 170), sigma: float = 3.0, channels: int = 1
) -> np.ndarray:
    """A black picture with one smooth dot whose centre of mass is at `xy`."""
    height, width = size_hw
    x, y = cell_centres(width, 1), cell_centres(height, 1)
    values = np.exp(-((x - xy[0]) ** 2) / (2 * sigma**2))[None] * np.exp(-((y - xy[1]) ** 2) / (2 * sigma**2))[:, None]
    return np.repeat((values * 255).round().astype(np.uint8)[..., None], channels, axis=2)


def centroid(image: np.ndarray) -> np.ndarray:
    weights = image[..., 0].astype(np.float64)
    weights[weights < 8] = 0  # rounding to whole grey values leaves a skirt
    height, width = weights.shape
    x, y = cell_centres(width, 1), cell_centres(height, 1)
    return np.array([(weights.sum(0) * x).sum(), (weights.sum(1) * y).sum()]) / weights.sum()


def framing(**data: object) -> Framing:
    settings = {"input_hw": (96, 112), "crop": "points", "channels": 1, "margin": 1.5} | data
    return Framing(data=DataConfig.model_validate(settings), skeleton=SKELETON)


def sample(
    seed: int, *, augment: AugmentConfig = EVERYTHING, point: int = 2, given: Record | None = None, **data: object
):
    return training_sample(
        given or record(), dotted(POINTS[point]), framing=framing(**data), augment=augment,
        rng=np.random.default_rng(seed), index=0,
    )  # fmt: skip


# ---- one map


@pytest.mark.parametrize("seed", range(12))
def test_the_dot_is_where_the_nose_says_it_is(seed: int) -> None:
    drawn = sample(seed)
    assert drawn.visible[2]
    np.testing.assert_allclose(centroid(drawn.image), drawn.points_xy[2], atol=0.15)


def test_mirror_images_occur_and_the_dot_of_one_twin_gets_the_name_of_the_other() -> None:
    mirrored = 0
    for seed in range(12):
        drawn = sample(seed, point=0)
        is_mirrored = Affine(drawn.to_input).is_mirrored
        mirrored += is_mirrored
        # The dot lies on the left point; in a mirror image that is the right one.
        np.testing.assert_allclose(centroid(drawn.image), drawn.points_xy[1 if is_mirrored else 0], atol=0.15)
    assert 2 <= mirrored <= 10


def test_the_naive_flip_keeps_the_names_and_so_mixes_left_and_right() -> None:
    naive = EVERYTHING.model_copy(update={"flip": 1.0, "flip_swaps_twins": False})
    drawn = sample(3, augment=naive, point=0)
    assert Affine(drawn.to_input).is_mirrored
    np.testing.assert_allclose(centroid(drawn.image), drawn.points_xy[0], atol=0.15)


def test_visibility_changes_places_with_the_twins() -> None:
    hidden = record(visible=np.array([False, True, True]))
    drawn = sample(0, augment=AugmentConfig(flip=1.0), given=hidden)
    assert drawn.visible.tolist() == [True, False, True]
    assert drawn.points_xy[1].tolist() == [0, 0]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factor", [2.2, 3.7, 5.0])
def test_shrinking_far_keeps_the_dot_in_its_place(factor: float, channels: int) -> None:
    size_hw = (401, 523)
    xy = np.array([301.7, 187.2])
    image = dotted(xy, size_hw=size_hw, sigma=3.5 * factor, channels=channels)
    to_input = Affine(np.array([[1 / factor, 0, 1.3], [0, 1 / factor, -2.1]]))
    small = warp(image, to_input, (int(401 / factor), int(523 / factor)))
    assert small.shape[2] == channels
    np.testing.assert_allclose(centroid(small), to_input.points(xy), atol=0.1)


def test_shrinking_far_does_not_alias() -> None:
    stripes = np.zeros((256, 256, 1), dtype=np.uint8)
    stripes[:, ::2] = 255
    small = warp(stripes, Affine(np.array([[0.25, 0, 0], [0, 0.25, 0]])), (64, 64))
    assert np.ptp(small.astype(int)) <= 2


@pytest.mark.parametrize("size_hw", [(481, 641), (483, 645), (487, 647)])
@pytest.mark.parametrize("corner", [0.2, 0.9])
def test_pictures_decoded_at_a_fraction_keep_the_dot_in_its_place(
    tmp_path: Path, size_hw: tuple[int, int], corner: float
) -> None:
    height, width = size_hw
    xy = np.array([width * corner, height * corner])
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), dotted(xy, size_hw=size_hw, sigma=16), [cv2.IMWRITE_JPEG_QUALITY, 98])
    shrunk = read_image(path, channels=1, shrink_to=(60, 80))
    assert shrunk.shape[0] < height / 4
    given = record(np.stack([xy, xy, xy]), size_hw=size_hw)
    drawn = plain_sample(
        given, shrunk, framing=framing(crop="image", input_hw=(96, 128)), evaluate=EvaluateConfig(), index=0
    )
    np.testing.assert_allclose(centroid(drawn.image), drawn.points_xy[0], atol=0.12)


@pytest.mark.parametrize("seed", range(4))
def test_points_return_to_the_original_through_the_kept_map(seed: int) -> None:
    drawn = sample(seed)
    names = [1, 0, 2] if Affine(drawn.to_input).is_mirrored else [0, 1, 2]
    back = Affine(drawn.to_input).inverse().points(drawn.points_xy.astype(np.float64))
    np.testing.assert_allclose(back[drawn.visible], POINTS[names][drawn.visible], atol=1e-3)


def test_nothing_drawn_is_the_plain_crop() -> None:
    drawn = sample(0, augment=AugmentConfig())
    plain = plain_sample(record(), dotted(POINTS[2]), framing=framing(), evaluate=EvaluateConfig(jitter=0), index=0)
    assert (drawn.image == plain.image).all()
    assert (drawn.to_input == plain.to_input).all()


def test_the_drawn_maps_stay_in_their_limits() -> None:
    augment = AugmentConfig(scale_min=0.5, scale_max=2)
    scales = [draw_affine(np.random.default_rng(i), augment, (64, 64)).scale for i in range(300)]
    assert 0.5 <= min(scales) < 0.55 and 1.8 < max(scales) <= 2
    assert 0.85 < np.exp(np.mean(np.log(scales))) < 1.15  # as often in as out
    turned = [draw_affine(np.random.default_rng(i), AugmentConfig(rotate_deg=30), (64, 64)).matrix for i in range(300)]
    degrees = np.degrees([np.arctan2(m[1, 0], m[0, 0]) for m in turned])
    assert -30 <= degrees.min() < -27 and 27 < degrees.max() <= 30


# ---- the crop


def test_the_crop_of_points_holds_them_all_with_a_margin() -> None:
    x0, y0, x1, y1 = base_box(record(), (140, 170), DataConfig(crop="points", margin=0.2, keep_aspect=False))
    assert (x0, y0, x1, y1) == pytest.approx((56.37, 48.93, 103.53, 94.17), abs=0.01)


def test_the_crop_of_a_box_is_enlarged_and_gets_the_aspect_of_the_input() -> None:
    boxed = record(box_xyxy=(20, 40, 60, 60))
    data = DataConfig(crop="box", margin=0.5, input_hw=(100, 100))
    assert base_box(boxed, (140, 170), data) == pytest.approx((10, 20, 70, 80))


def test_a_box_that_is_not_there_is_told_with_file_and_line() -> None:
    with pytest.raises(UserError, match=r"labels.csv:7.*no box"):
        base_box(record(source="labels.csv:7"), (140, 170), DataConfig(crop="box"))


@pytest.mark.parametrize("keep_aspect", [True, False])
@pytest.mark.parametrize(
    "points", [[[5, 5]], [[5, 5], [5, 5]], [[5, 5], [5.2, 5.3]]], ids=["one", "twice the same", "nearly the same"]
)
def test_points_without_extent_take_the_whole_picture(points: list, keep_aspect: bool) -> None:
    given = record(np.array(points, dtype=float), size_hw=(40, 60))
    data = DataConfig(crop="points", keep_aspect=keep_aspect, input_hw=(40, 60))
    assert base_box(given, (40, 60), data) == (0, 0, 60, 40)


def test_points_on_a_line_can_be_cropped() -> None:
    given = record(np.array([[5, 5], [5, 25.0]]), size_hw=(40, 60))
    for keep_aspect in (True, False):
        x0, y0, x1, y1 = base_box(given, (40, 60), DataConfig(crop="points", keep_aspect=keep_aspect))
        assert x1 - x0 >= 1 and y1 - y0 >= 1


def test_jittered_boxes_are_the_same_every_time_and_differ_between_pictures_and_seeds() -> None:
    def jitter(name: str, seed: int = 0) -> tuple:
        return jittered_box((0, 0, 100, 100), amount=0.1, seed=seed, image_id=name)

    assert jitter("a") == jitter("a")
    assert len({jitter("a"), jitter("b"), jitter("a", 1)}) == 3
    drawn = np.array([jitter(str(i)) for i in range(400)])
    centre = (drawn[:, :2] + drawn[:, 2:]) / 2 - 50
    side = drawn[:, 2] - drawn[:, 0]
    assert np.abs(centre).max() <= 10 and np.abs(centre).max() > 9
    assert 90 <= side.min() < 92 and 108 < side.max() <= 110


def test_whole_pictures_are_not_jittered() -> None:
    one, two = (
        plain_sample(record(), dotted(POINTS[2]), framing=framing(crop="image"), evaluate=evaluate, index=0)
        for evaluate in (EvaluateConfig(jitter=0), EvaluateConfig(jitter=0.3))
    )
    assert (one.to_input == two.to_input).all()


# ---- points that leave


def test_points_that_leave_are_masked() -> None:
    far = AugmentConfig(shift=0.5)
    drawn = [sample(seed, augment=far) for seed in range(20)]
    visible = np.array([d.visible for d in drawn])
    assert 0.2 < visible.mean() < 0.9
    for one in drawn:
        assert (one.points_xy[~one.visible] == 0).all()
        inside = one.points_xy[one.visible]
        assert ((inside >= 0) & (inside < [112, 96])).all()


def test_drawing_again_keeps_all_points_or_falls_back_to_the_plain_crop() -> None:
    again = AugmentConfig(shift=0.5, leaving="retry")
    drawn = [sample(seed, augment=again) for seed in range(30)]
    assert all(d.visible.all() for d in drawn)
    plain = sample(0, augment=AugmentConfig()).to_input
    fallen = sum(bool((d.to_input == plain).all()) for d in drawn)
    assert 0 < fallen < 30
    assert RETRIES == 5


# ---- colour


def test_noise_is_drawn_anew_for_each_picture_or_constant() -> None:
    grey = np.full((64, 64, 1), 128, dtype=np.uint8)

    def stds(draw: str) -> np.ndarray:
        augment = AugmentConfig.model_validate({"noise_std": 0.1, "noise_draw": draw})
        return np.array([recolour(grey, np.random.default_rng(i), augment).std() / 255 for i in range(60)])

    constant, each = stds("constant"), stds("each-image")
    assert constant == pytest.approx(0.1, rel=0.06)
    assert each.min() < 0.02 and each.max() > 0.08
    assert each.mean() == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize("channels", [1, 3])
def test_colour_changes_keep_shape_and_type(channels: int) -> None:
    augment = AugmentConfig(
        brightness=0.4, contrast=0.4, saturation=0.5, hue=0.1, grey=0.3, blur=0.5, noise_std=0.05, occlude=0.5
    )
    image = np.random.default_rng(0).integers(0, 256, (40, 30, channels), dtype=np.uint8)
    before = image.copy()
    for seed in range(20):
        changed = recolour(image, np.random.default_rng(seed), augment)
        assert changed.shape == image.shape
        assert changed.dtype == np.uint8
    assert (image == before).all()  # a picture that is kept in memory must not change


def test_nothing_asked_for_changes_no_colour() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert (recolour(image, np.random.default_rng(0), AugmentConfig()) == image).all()


def test_grey_makes_the_channels_equal() -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    changed = recolour(image, np.random.default_rng(0), AugmentConfig(grey=1.0)).astype(int)
    assert np.ptp(changed, axis=2).max() <= 1


def test_hue_moves_colours_but_no_grey() -> None:
    grey = np.full((8, 8, 3), 100, dtype=np.uint8)
    red = np.zeros((8, 8, 3), dtype=np.uint8)
    red[..., 0] = 200
    for seed in range(5):
        assert np.abs(recolour(grey, np.random.default_rng(seed), AugmentConfig(hue=0.5)).astype(int) - 100).max() <= 1
    assert any((recolour(red, np.random.default_rng(s), AugmentConfig(hue=0.5)) != red).any() for s in range(3))


@pytest.mark.parametrize("channels", [1, 3])
def test_dark_and_bright_pictures_do_not_wrap_around(channels: int) -> None:
    augment = AugmentConfig(brightness=0.9, contrast=0.9)
    for value in (0, 255):
        image = np.full((8, 8, channels), value, dtype=np.uint8)
        for seed in range(30):
            changed = recolour(image, np.random.default_rng(seed), augment)
            assert np.ptp(changed) == 0


def test_contrast_on_grey_pictures_never_turns_dark_into_bright() -> None:
    ramp = np.linspace(0, 255, 64, dtype=np.uint8).reshape(1, 64, 1).repeat(8, axis=0)
    for seed in range(40):
        changed = recolour(ramp, np.random.default_rng(seed), AugmentConfig(contrast=0.9, brightness=0.5))
        assert (np.diff(changed[0, :, 0].astype(int)) >= 0).all()


def test_one_key_gives_one_sample_and_another_key_another() -> None:
    augment = EVERYTHING.model_copy(update={"noise_std": 0.05, "brightness": 0.2, "occlude": 0.5})
    one, same, other = (sample(seed, augment=augment) for seed in (1, 1, 2))
    assert (one.image == same.image).all() and (one.points_xy == same.points_xy).all()
    assert (one.to_input != other.to_input).any()


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 40), (33000, 3)], ids=["1x1", "1x40", "33000x3"])
def test_odd_pictures_can_be_warped(size_hw: tuple[int, int]) -> None:
    height, width = size_hw
    given = record(np.array([[0.5, 0.5]]), size_hw=size_hw)
    only = Framing(data=DataConfig(input_hw=(32, 32), crop="image"), skeleton=Skeleton(names=("p",)))
    image = np.full((height, width, 3), 200, dtype=np.uint8)
    drawn = plain_sample(given, image, framing=only, evaluate=EvaluateConfig(), index=0)
    assert drawn.image.shape == (32, 32, 3)
    assert drawn.visible.all()


def test_a_small_crop_of_a_very_wide_picture_is_right() -> None:
    xy = np.array([38000.4, 30.7])
    image = np.zeros((64, 40000, 1), dtype=np.uint8)
    image[:, 37900:38100] = dotted(np.array([100.4, 30.7]), size_hw=(64, 200))
    given = record(np.stack([xy - 20, xy + 20, xy]), size_hw=(64, 40000))
    drawn = plain_sample(given, image, framing=framing(), evaluate=EvaluateConfig(jitter=0), index=0)
    np.testing.assert_allclose(centroid(drawn.image), drawn.points_xy[2], atol=0.15)
