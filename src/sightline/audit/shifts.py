"""What cameras, files and framing do to a picture, each at two levels, and always the same for one picture.

Pixels are changed as the network gets them, behind crop and resize, as the training's own noise is; so a level means
the same for pictures of every size. Frames of a clip share one draw of a level, and have grain of their own. Scale
and shift are an `Affine` behind the crop, so that pixels and truth move together and nothing is resampled twice.
Next: conditions.py
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from sightline.geometry import Affine, about, translation

Frames = list[np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Shift:
    """One change of the input at one level.

    Attributes:
        kind: a key of KINDS.
        level: "mild" or "strong".
        amount: what the kind makes of it: a quality, a width in pixels of the input, a share.
        words: what is done, for people.
    """

    kind: str
    level: str
    amount: float
    words: str

    def move(self, image_id: str, *, input_hw: tuple[int, int]) -> Affine:
        """The map from the plain input to the moved one; the identity for what changes pixels alone."""
        height, width = input_hw
        if self.kind in ("smaller", "larger"):
            return about((width / 2, height / 2), np.eye(2) * self.amount)
        if self.kind == "shift":
            angle = _generator(self.kind, image_id).uniform(0, 2 * np.pi)
            return translation(self.amount * width * np.cos(angle), self.amount * height * np.sin(angle))
        return Affine.identity()

    def repaint(self, frames: Sequence[np.ndarray], image_id: str) -> Frames:
        """The frames [H, W, C] uint8 of one sample, the current one first, with their pixels changed."""
        change = _REPAINT.get(self.kind)
        return list(frames) if change is None else change(list(frames), self.amount, _generator(self.kind, image_id))


def _generator(kind: str, image_id: str) -> np.random.Generator:
    """Equal for both levels, so that the stronger one is the same change, only more of it."""
    return np.random.default_rng([zlib.crc32(kind.encode()), zlib.crc32(image_id.encode())])


def _jpeg(frames: Frames, quality: float, _: np.random.Generator) -> Frames:
    out = []
    for frame in frames:
        done, data = cv2.imencode(".jpg", frame[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
        assert done, frame.shape
        back = cv2.imdecode(data, cv2.IMREAD_COLOR if frame.shape[2] == 3 else cv2.IMREAD_GRAYSCALE)
        assert back is not None, frame.shape
        out.append(np.ascontiguousarray(back.reshape(frame.shape)[:, :, ::-1]))
    return out


def _blur(frames: Frames, sigma: float, _: np.random.Generator) -> Frames:
    return [cv2.GaussianBlur(frame, (0, 0), sigma).reshape(frame.shape) for frame in frames]


def _grain(frames: Frames, std: float, rng: np.random.Generator) -> Frames:
    """Gaussian noise of one strength for all frames, drawn anew in each."""
    return [_as_bytes(frame + rng.normal(0.0, std * 255, frame.shape)) for frame in frames]


def _any_grain(frames: Frames, most: float, rng: np.random.Generator) -> Frames:
    return _grain(frames, rng.uniform(0.0, most), rng)


def _light(frames: Frames, factor: float, _: np.random.Generator) -> Frames:
    return [_as_bytes(frame * factor) for frame in frames]


def _as_bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, 255).astype(np.uint8)


_REPAINT: dict[str, Callable[[Frames, float, np.random.Generator], Frames]] = {
    "jpeg": _jpeg,
    "blur": _blur,
    "noise-constant": _grain,
    "noise-random": _any_grain,
    "darker": _light,
    "brighter": _light,
}


def _two(kind: str, mild: float, strong: float, words: str) -> tuple[Shift, Shift]:
    make = partial(Shift, kind=kind)
    return (
        make(level="mild", amount=mild, words=words.format(mild, percent=100 * mild)),
        make(level="strong", amount=strong, words=words.format(strong, percent=100 * strong)),
    )


SHIFTS: tuple[Shift, ...] = (
    *_two("jpeg", 50, 15, "JPEG of quality {0:g}"),
    *_two("blur", 0.8, 2.0, "blur, sigma {0:g} px"),
    *_two("noise-constant", 0.02, 0.08, "noise, std {percent:g} %"),
    *_two("noise-random", 0.04, 0.16, "noise, any std up to {percent:g} %"),
    *_two("darker", 0.75, 0.45, "light x {0:g}"),
    *_two("brighter", 1.3, 1.8, "light x {0:g}"),
    *_two("smaller", 0.85, 0.7, "size x {0:g}"),
    *_two("larger", 1.15, 1.4, "size x {0:g}"),
    *_two("shift", 0.05, 0.15, "shifted by {percent:g} %"),
)
KINDS: tuple[str, ...] = tuple(dict.fromkeys(shift.kind for shift in SHIFTS))

# What brings such pictures in use, and what makes a network bear them.
IN_USE: dict[str, tuple[str, str]] = {
    "jpeg": ("files that were saved small, or a video stream of low rate", "train on pictures saved like those in use"),
    "blur": ("motion, a lens out of focus, pictures that were enlarged", "train with augment.blur"),
    "noise-constant": ("a sensor in little light", "train with augment.noise_std and augment.noise_draw=each-image"),
    "noise-random": ("sensors in changing light", "train with augment.noise_std and augment.noise_draw=each-image"),
    "darker": ("evening, shade, a short exposure", "train with augment.brightness and augment.contrast"),
    "brighter": ("sun, flash, a long exposure", "train with augment.brightness and augment.contrast"),
    "smaller": ("objects farther away, or looser crops", "train with a lower augment.scale_min"),
    "larger": ("objects nearer, or tighter crops", "train with a higher augment.scale_max"),
    "shift": ("crops or cameras that are off their place", "train with augment.shift"),
}
