"""Record -> Sample: decode, ONE composed affine warp, one colour change; the affine is kept.

Points go through exactly the matrix that the pixels go through. All randomness comes from a
generator that is keyed by (seed, epoch, record), so a sample does not depend on worker or order.
Next: loader.py
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from statistics import NormalDist

import cv2
import numpy as np

from sightline.config import AugmentConfig, DataConfig, EvaluateConfig, Experiment
from sightline.geometry import (
    Affine,
    Box,
    about,
    crop_to,
    fit_aspect,
    inside,
    mirror,
    rotation,
    scaling,
    translation,
)
from sightline.images import shrink_factor
from sightline.iou_crop import centre_inside, draw_iou_crop
from sightline.moving import moving_place
from sightline.records import Before, Objects, Record, Skeleton
from sightline.types import Sample
from sightline.view import base_box, drawn_window, jittered_box, jittered_window, warp

RETRIES = 5  # of the `faces` write-up
NO_OBJECTS = Objects.of(np.zeros((0, 4)), np.zeros(0, dtype=np.int64))
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def draw_affine(rng: np.random.Generator, augment: AugmentConfig, input_hw: tuple[int, int]) -> Affine:
    """One random map from the plain crop to the augmented one, both in input pixels."""
    height, width = input_hw
    scale = math.exp(rng.uniform(math.log(augment.scale_min), math.log(augment.scale_max)))
    shear = np.array([[1.0, rng.uniform(-augment.shear, augment.shear)], [0.0, 1.0]])
    turn = rotation(rng.uniform(-augment.rotate_deg, augment.rotate_deg))
    moved = about((width / 2, height / 2), turn @ shear * scale).matrix.copy()
    moved[:, 2] += rng.uniform(-augment.shift, augment.shift, 2) * (width, height)
    affine = Affine(moved)
    return mirror(width) @ affine if rng.random() < augment.flip else affine


def recolour(image: np.ndarray, rng: np.random.Generator, augment: AugmentConfig) -> np.ndarray:
    """Brightness, contrast, saturation, hue and grey as one 3 x 4 matrix; then blur, noise, a patch."""
    return recolour_frames([image], rng, augment)[0]


def recolour_frames(frames: Sequence[np.ndarray], rng: np.random.Generator, augment: AugmentConfig) -> list[np.ndarray]:
    """The same for frames of one clip, the current one first: one draw of colours and blur, own noise in each.

    The patch is on the current frame alone: what is hidden now was seen before.
    """
    if augment.brightness or augment.contrast or augment.saturation or augment.hue or augment.grey:
        matrix = _colour_matrix(rng, augment, mean=float(frames[0][::4, ::4].mean()))
        frames = [_coloured(frame, matrix) for frame in frames]
    if rng.random() < augment.blur:
        sigma = rng.uniform(0.4, 1.6)
        frames = [cv2.GaussianBlur(frame, (0, 0), sigma).reshape(frame.shape) for frame in frames]
    if augment.noise_std:
        frames = [_noisy(frame, rng, std=_draw_std(rng, augment) * 255) for frame in frames]
    if rng.random() < augment.occlude:
        frames = [_occluded(frames[0], rng), *frames[1:]]
    return list(frames)


def _coloured(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A colour matrix [3, 4] applied to [H, W, C] uint8."""
    if image.shape[2] == 3:
        return cv2.transform(image, matrix)
    # All grey levels: the sum of a row acts on one channel.
    row = np.array([[matrix[0, :3].sum(), matrix[0, 3]]], dtype=np.float32)
    return cv2.transform(image, row).reshape(image.shape)


def _draw_std(rng: np.random.Generator, augment: AugmentConfig) -> float:
    """The noise's standard deviation, as a share of white."""
    return rng.uniform(0, augment.noise_std) if augment.noise_draw == "each-image" else augment.noise_std


@lru_cache(maxsize=1)
def _normal_quantiles() -> np.ndarray:
    """The standard normal at 65,536 equal shares, [65536] float32: out to 4.3 std."""
    share = NormalDist()
    upper = np.array([share.inv_cdf((i + 0.5) / 65536) for i in range(32768, 65536)], dtype=np.float32)
    return np.concatenate([-upper[::-1], upper])


def _noisy(image: np.ndarray, rng: np.random.Generator, *, std: float) -> np.ndarray:
    """Gaussian noise of `std` grey levels, clipped to 0..255.

    Pixels are whole numbers, so rounding the noise first changes nothing: one table a picture and 16 random bits
    a value replace a normal draw, which took four times as long as the warp and the colours together.
    """
    levels = np.rint(_normal_quantiles() * std).astype(np.int16)
    drawn = rng.integers(0, 2**64, -(-image.size // 4), dtype=np.uint64).view(np.uint16)[: image.size]
    noise = levels.take(drawn).reshape(image.shape)
    return cv2.add(image, noise, dtype=cv2.CV_8U).reshape(image.shape)


def _colour_matrix(rng: np.random.Generator, augment: AugmentConfig, *, mean: float) -> np.ndarray:
    """[3, 4] float32 on 0..255 values."""
    gain = rng.uniform(1 - augment.brightness, 1 + augment.brightness)
    contrast = rng.uniform(1 - augment.contrast, 1 + augment.contrast)
    saturation = rng.uniform(max(0.0, 1 - augment.saturation), 1 + augment.saturation)
    saturation = 0.0 if rng.random() < augment.grey else saturation
    grey = np.tile(LUMA, (3, 1))
    linear = saturation * _hue_matrix(rng.uniform(-augment.hue, augment.hue)) + (1 - saturation) * grey
    offset = np.full((3, 1), (1 - contrast) * mean * gain)
    return np.hstack([linear * gain * contrast, offset]).astype(np.float32)


def _hue_matrix(turns: float) -> np.ndarray:
    """Rotation about the grey axis by a share of a full turn."""
    angle = 2 * math.pi * turns
    third, root = 1 / 3, math.sqrt(1 / 3)
    axis = np.array([[0, -root, root], [root, 0, -root], [-root, root, 0]])
    return math.cos(angle) * np.eye(3) + (1 - math.cos(angle)) * np.full((3, 3), third) + math.sin(angle) * axis


def _occluded(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy with one rectangle of a random colour, up to 40 % of each side."""
    height, width = image.shape[:2]
    h, w = (rng.uniform(0.1, 0.4, 2) * (height, width)).astype(int)
    y, x = (rng.random(2) * (height - h, width - w)).astype(int)
    covered = image.copy()
    covered[y : y + h, x : x + w] = rng.integers(0, 256, image.shape[2])
    return covered


@dataclass(frozen=True, kw_only=True)
class Framing:
    """Everything that decides where a sample comes from, but for the record."""

    data: DataConfig
    skeleton: Skeleton
    past_frames: int = 0
    history: int = 0

    @staticmethod
    def of(experiment: Experiment) -> Framing:
        """As an experiment wants it."""
        return Framing(
            data=experiment.data,
            skeleton=experiment.skeleton.skeleton(),
            past_frames=experiment.context.past_frames,
            history=experiment.context.history,
        )


PastImages = Sequence[np.ndarray | None]  # oldest first; None where there was no frame


def training_sample(
    record: Record,
    image: np.ndarray,
    *,
    framing: Framing,
    augment: AugmentConfig,
    rng: np.random.Generator,
    index: int,
    past: PastImages = (),
) -> Sample:
    """An augmented sample; `image`, and likewise `past`, may be a shrunk decode of the record's picture."""
    size_hw = _size(record)
    if framing.data.crop == "window":
        box = drawn_window(
            record,
            framing.data,
            rng,
            jitter=augment.window_jitter,
            elsewhere=augment.window_elsewhere,
            place=partial(_tempting_place, image, past, rng, share=augment.window_moving),
        )
    else:
        box = base_box(record, size_hw, framing.data)
    if augment.iou_crop and rng.random() < augment.iou_crop:
        record, box = _iou_cropped(record, box, framing.data, rng)
    plain = _crop(box, framing.data)
    drawn = draw_affine(rng, augment, framing.data.input_hw) @ plain
    part_hw = augment.part_within(framing.data.input_hw)
    if part_hw is not None:
        drawn = (
            _to_part(record, drawn, framing.data.input_hw, part_hw, elsewhere=augment.part_elsewhere, rng=rng) @ drawn
        )
        framing = replace(framing, data=framing.data.model_copy(update={"input_hw": part_hw}))
    if augment.leaving == "retry":
        drawn = _retried(record, drawn, plain, framing, augment, rng)
    twins = framing.skeleton.flip_index if drawn.is_mirrored and augment.flip_swaps_twins else None
    sample = _sample(record, image, drawn, framing, twins=twins, index=index, past=past)
    if augment.history_noise:
        sample = replace(sample, past_xy=_shaken(sample, rng, augment.history_noise, framing.data.input_hw))
    image, *earlier = recolour_frames([sample.image, *sample.past_images], rng, augment)
    return replace(sample, image=image, past_images=_stacked(earlier, framing))


def _tempting_place(
    image: np.ndarray, past: PastImages, rng: np.random.Generator, *, share: float
) -> np.ndarray | None:
    """With a probability, a place where something moved since the frame before."""
    before = past[-1] if past else None
    if not share or before is None or rng.random() >= share:
        return None
    return moving_place(image, before, rng)


def _iou_cropped(record: Record, box: Box, data: DataConfig, rng: np.random.Generator) -> tuple[Record, Box]:
    """SSD's random crop: a new box to show, and the record without the objects whose centre lies outside of it."""
    objects = record.objects
    assert objects is not None, f"{record.image_id}: augment.iou_crop without boxes"
    crop = draw_iou_crop(rng, objects.boxes_xyxy[~objects.crowd], _size(record))
    if crop is None:
        return record, box
    shown = fit_aspect(crop, data.input_hw) if data.keep_aspect else crop
    kept = objects.select(objects.crowd | centre_inside(objects.boxes_xyxy, shown))
    return replace(record, objects=kept), shown


def _to_part(
    record: Record,
    drawn: Affine,
    input_hw: tuple[int, int],
    part_hw: tuple[int, int],
    *,
    elsewhere: float,
    rng: np.random.Generator,
) -> Affine:
    """The shift from the input to a part of it: with the probability `elsewhere` any, else one with the point."""
    part_wh = np.array(part_hw[::-1], dtype=np.float64)
    room = np.array(input_hw[::-1]) - part_wh
    corner = rng.random(2) * room
    place = rng.random(2) * part_wh
    if rng.random() >= elsewhere and record.visible[0]:
        corner = np.clip(drawn.points(record.points_xy)[0] - place, 0.0, room)
    return translation(-corner[0], -corner[1])


def _retried(
    record: Record, drawn: Affine, plain: Affine, framing: Framing, augment: AugmentConfig, rng: np.random.Generator
) -> Affine:
    """The `faces` rule: draw again while a point leaves; after 5 draws fall back to the plain crop."""
    shown = record.points_xy[record.visible]
    for _ in range(RETRIES - 1):
        if inside(drawn.points(shown), framing.data.input_hw).all():
            return drawn
        drawn = draw_affine(rng, augment, framing.data.input_hw) @ plain
    return drawn if inside(drawn.points(shown), framing.data.input_hw).all() else plain


def _shaken(sample: Sample, rng: np.random.Generator, amount: float, input_hw: tuple[int, int]) -> np.ndarray:
    """Past points [L, 2], each moved a little; a tracker's own past is not exact either."""
    sides = np.array(input_hw[::-1], dtype=np.float32)
    moved = sample.past_xy + rng.uniform(-amount, amount, sample.past_xy.shape).astype(np.float32) * sides
    return np.where(sample.past_visible[:, None], moved.clip(0.0, sides), 0.0).astype(np.float32)


def plain_sample(
    record: Record,
    image: np.ndarray,
    *,
    framing: Framing,
    evaluate: EvaluateConfig,
    index: int,
    past: PastImages = (),
) -> Sample:
    """The sample that validation and evaluation see: the same one every time."""
    to_input = _plain_crop(record, framing.data, evaluate)
    return _sample(record, image, to_input, framing, twins=None, index=index, past=past)


def changed_sample(
    record: Record,
    image: np.ndarray,
    *,
    framing: Framing,
    evaluate: EvaluateConfig,
    augment: AugmentConfig,
    then: Affine,
    rng: np.random.Generator,
    index: int,
    past: PastImages = (),
) -> Sample:
    """The sample that evaluation sees, with an augmentation's map, colours and noise on top, and `then` behind the map.

    Of `augment`, what chooses another part of the picture (windows, parts, random crops, mosaics) is not applied. With
    settings that change nothing it is `plain_sample`.
    """
    plain = _plain_crop(record, framing.data, evaluate)
    drawn = draw_affine(rng, augment, framing.data.input_hw) @ plain
    if augment.leaving == "retry":
        drawn = _retried(record, drawn, plain, framing, augment, rng)
    twins = framing.skeleton.flip_index if drawn.is_mirrored else None
    sample = _sample(record, image, then @ drawn, framing, twins=twins, index=index, past=past)
    if augment.history_noise:
        sample = replace(sample, past_xy=_shaken(sample, rng, augment.history_noise, framing.data.input_hw))
    image, *earlier = recolour_frames([sample.image, *sample.past_images], rng, augment)
    return replace(sample, image=image, past_images=_stacked(earlier, framing))


def _plain_crop(record: Record, data: DataConfig, evaluate: EvaluateConfig) -> Affine:
    """Original pixels to those of the input, always the same for one picture."""
    if data.crop == "window":
        box = jittered_window(record, data, jitter=evaluate.window_jitter, seed=evaluate.seed)
    else:
        box = base_box(record, _size(record), data)
        if data.crop != "image" and evaluate.jitter:
            box = jittered_box(box, amount=evaluate.jitter, seed=evaluate.seed, image_id=record.image_id)
    return _crop(box, data)


def _size(record: Record) -> tuple[int, int]:
    assert record.size_hw is not None, f"{record.image_id}: scan the data set before samples are made"
    return record.size_hw


def _crop(box: Box, data: DataConfig) -> Affine:
    return crop_to(box, data.input_hw)


def _sample(
    record: Record,
    image: np.ndarray,
    to_input: Affine,
    framing: Framing,
    *,
    twins: tuple[int, ...] | None,
    index: int,
    past: PastImages,
) -> Sample:
    """Warp pixels and points, past ones too, with the same map."""
    data = framing.data
    # Not the quotient of the sizes: a decode at a half rounds 481 up to 241, coordinates are halved exactly.
    factor = shrink_factor(_size(record), decoded_hw=(image.shape[0], image.shape[1]))
    from_decoded = to_input @ scaling(factor, factor)
    points = to_input.points(record.points_xy)
    visible = record.visible & inside(points, data.input_hw)
    if twins is not None:
        points, visible = points[list(twins)], visible[list(twins)]
    boxes = placed_objects(record.objects, to_input, data)
    past_xy, past_visible = _placed_history(record.before, to_input, framing)
    assert len(past) == framing.past_frames, (len(past), framing.past_frames)
    black = np.zeros((*data.input_hw, image.shape[2]), dtype=np.uint8)
    earlier = [black if frame is None else warp(frame, from_decoded, data.input_hw) for frame in past]
    return Sample(
        image=warp(image, from_decoded, data.input_hw),
        points_xy=np.where(visible[:, None], points, 0.0).astype(np.float32),
        visible=visible,
        boxes_xyxy=boxes.boxes_xyxy.astype(np.float32),
        labels=boxes.labels,
        crowd=boxes.crowd,
        past_images=_stacked(earlier, framing),
        past_xy=past_xy,
        past_visible=past_visible,
        to_input=to_input.matrix,
        index=index,
    )


def _stacked(frames: Sequence[np.ndarray], framing: Framing) -> np.ndarray:
    """[P, H, W, C]; P may be 0."""
    shape = (0, *framing.data.input_hw, framing.data.channels)
    return np.stack(frames) if frames else np.zeros(shape, dtype=np.uint8)


def _placed_history(before: Before | None, to_input: Affine, framing: Framing) -> tuple[np.ndarray, np.ndarray]:
    """The last points [L, 2] in input pixels and which of them the input shows [L]; zeros elsewhere."""
    length = framing.history
    if not length:
        return np.zeros((0, 2), dtype=np.float32), np.zeros(0, dtype=bool)
    assert before is not None, "a past is asked for, but the record has none"
    points = to_input.points(before.points_xy[-length:])
    visible = before.visible[-length:] & inside(points, framing.data.input_hw)
    return np.where(visible[:, None], points, 0.0).astype(np.float32), visible


def placed_objects(objects: Objects | None, to_input: Affine, data: DataConfig) -> Objects:
    """The boxes as the input shows them: cut at its edges, and without those of which too little is left.

    A rotated or sheared box becomes the upright box around its corners. Crowds stay as long as any of them is seen:
    what lies in them must not count as background.
    """
    if objects is None or not len(objects):
        return NO_OBJECTS
    height, width = data.input_hw
    whole = to_input.boxes(objects.boxes_xyxy)
    cut = whole.clip(0.0, [width, height, width, height])
    sides = cut[:, 2:] - cut[:, :2]
    seen = sides.prod(axis=1) / (whole[:, 2:] - whole[:, :2]).prod(axis=1)
    there = (sides > 0).all(axis=1)
    keep = there & (objects.crowd | ((seen >= data.min_seen) & (sides >= data.min_side_px).all(axis=1)))
    kept = replace(objects, boxes_xyxy=np.where(keep[:, None], cut, objects.boxes_xyxy))
    return kept.select(keep)
