"""What the camera does to a frame of a rally: shake, focus, white balance, noise, the station's graphics, compression.

In: a canvas of what was there. Out: the frame. Only the shake moves pixels, and it is told.
Next: rally_folder.py
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from sightline.drawn.rally_court import NAMES, write_name
from sightline.errors import UserError
from sightline.geometry import translation

Range = tuple[float, float]
_FULL_WIDTH = 1920


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """How hard the camera makes it: ranges from which each clip draws once.

    Attributes:
        exposure: share of the frame's interval during which the shutter is open.
        noise: standard deviation at middle grey, in grey levels of 256; it grows with the signal.
        defocus_px: sigma of the blur at 1920 pixels width; it scales with the size.
        shake: amplitude as a share of the width.
        balance: how far the gain of each colour strays from 1.
        compression: share of clips whose frames pass through JPEG.
        quality: of that JPEG.
        graphics: share of clips with the station's score and mark in the corners.
    """

    exposure: Range = (0.15, 0.95)
    noise: Range = (0.6, 4.5)
    defocus_px: Range = (0.2, 1.2)
    shake: Range = (0.0, 0.0010)
    balance: Range = (0.0, 0.10)
    compression: float = 0.6
    quality: Range = (40, 92)
    graphics: float = 0.7

    def __post_init__(self) -> None:
        """Check every range."""
        for name in ("exposure", "noise", "defocus_px", "shake", "balance", "quality"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise UserError(f"The range of {name} is {low} to {high}; it must not fall and not go below 0.")
        if not (self.exposure[0] > 0 and self.exposure[1] <= 1 and self.quality[1] <= 100 and self.shake[1] <= 0.01):
            raise UserError(
                f"An exposure of {self.exposure}, a quality of {self.quality} or a shake of {self.shake} cannot be "
                "drawn; exposure is above 0 and at most 1, quality at most 100, shake at most 0.01."
            )


CLEAN = Conditions(
    exposure=(0.5, 0.5), noise=(0, 0), defocus_px=(0, 0), shake=(0, 0), balance=(0, 0), compression=0.0, graphics=0.0
)


class Photo:
    """One clip's camera."""

    def __init__(self, conditions: Conditions, *, size_hw: tuple[int, int], seed: int) -> None:
        """Draw this clip's values; those that decide the truth do not depend on the size."""
        rng = np.random.default_rng(seed)
        self.exposure = float(rng.uniform(*conditions.exposure))
        self.noise = float(rng.uniform(*conditions.noise))
        self.sigma = float(rng.uniform(*conditions.defocus_px)) * size_hw[1] / _FULL_WIDTH
        self.quality = int(rng.uniform(*conditions.quality)) if rng.random() < conditions.compression else None
        self._shake = float(rng.uniform(*conditions.shake)) * rng.uniform(0.3, 1, (2, 3)) / 2
        self._rate, self._phase = rng.uniform(0.2, 2.2, (2, 3)), rng.uniform(0, 6.28, (2, 3))
        stray = float(rng.uniform(*conditions.balance))
        gains = 1 + stray * rng.uniform(-1, 1, 3)
        self._table = _table(gains if stray else None, gamma=1 + stray * float(rng.uniform(-1, 1)))
        self._graphics = _Graphics(size_hw, rng=rng) if rng.random() < conditions.graphics else None
        self.size_hw = size_hw
        self.margin_px = int(np.ceil(3 * float(np.abs(self._shake).max()) * size_hw[1])) + 1 if self._shake.any() else 0
        self._seed = seed
        self._grain = self._make_grain() if self.noise else None
        levels = np.arange(256)
        growth = np.sqrt(0.35 + 0.65 * levels / 128)  # read noise and photons: variance = a + b * signal
        self._spread = np.round(growth * self.noise * 8).clip(0, 255).astype(np.uint8)

    def shift(self, time: float) -> np.ndarray:
        """[2], by how much the picture is moved at a time, in pixels of the frame."""
        wave = np.sin(2 * np.pi * self._rate * time + self._phase)
        return (self._shake * wave).sum(axis=1) * self.size_hw[1]

    def hides(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray | None:
        """The cover of the graphics in a region of the frame, float32 [h, w], or None without any there."""
        return None if self._graphics is None else self._graphics.cover_in(x0, y0, x1, y1)

    def take(self, canvas: np.ndarray, *, time: float, index: int) -> np.ndarray:
        """The frame uint8 [H, W, 3] of a canvas with this camera's margin."""
        height, width = self.size_hw
        frame = canvas
        if self.margin_px:
            matrix = translation(*(self.shift(time) - self.margin_px).tolist()).matrix
            frame = cv2.warpAffine(canvas, matrix, (width, height), flags=cv2.INTER_LINEAR)
        if self.sigma > 0.2:
            frame = cv2.GaussianBlur(frame, (0, 0), self.sigma)
        if self._table is not None:
            frame = cv2.LUT(frame, self._table)
        if self._grain is not None:
            frame = self._noisy(frame, self._grain, index=index)
        if self._graphics is not None:
            frame = self._graphics.lay(frame)
        if self.quality is not None:
            frame = _through_jpeg(frame, quality=self.quality)
        return np.ascontiguousarray(frame)

    def _make_grain(self) -> np.ndarray:
        """Normal noise of std 32, larger than a frame on each side; frames take different parts of it."""
        rng = np.random.default_rng([self._seed, 1])
        height, width = self.size_hw
        grain = np.empty((height + 96, width + 96, 3), np.int8)
        for row in range(0, len(grain), 64):  # in strips: float noise for a whole frame would take a lot of memory
            part = grain[row : row + 64]
            part[:] = (rng.standard_normal(part.shape, dtype=np.float32) * 32).clip(-127, 127)
        return grain

    def _noisy(self, frame: np.ndarray, grain: np.ndarray, *, index: int) -> np.ndarray:
        rng = np.random.default_rng([self._seed, 2, index])
        height, width = self.size_hw
        y, x = rng.integers(0, 96, 2).tolist()
        part = grain[y : y + height, x : x + width]
        flip = int(rng.integers(4))
        part = part if flip == 3 else cv2.flip(part, flip - 1)
        sign = 1 if rng.random() < 0.5 else -1
        noise = cv2.multiply(cv2.LUT(frame, self._spread), part, scale=sign / (8 * 32), dtype=cv2.CV_8S)
        return cv2.add(frame, noise, dtype=cv2.CV_8U)


class _Graphics:
    """Score box and mark of a station, the same in every frame."""

    def __init__(self, size_hw: tuple[int, int], *, rng: np.random.Generator) -> None:
        width, height = 1280, 720  # drawn at one size, then resized: the same at all sizes
        colour, cover = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8)
        x, y = (int(rng.integers(30, 110)), int(rng.choice([30, 580])))
        wide, back = int(rng.integers(180, 280)), rng.integers(10, 90, 3).tolist()
        for row in range(2):
            top = y + 34 * row
            cv2.rectangle(colour, (x, top), (x + wide, top + 31), back, -1)
            cv2.rectangle(cover, (x, top), (x + wide, top + 31), 235, -1)
            name = NAMES[int(rng.integers(len(NAMES)))]
            write_name(colour, name[:9], left_base=(x + 10, top + 23), size_px=15, colour=(245, 245, 245))
            score = str(int(rng.integers(0, 22)))
            write_name(colour, score, left_base=(x + wide - 36, top + 23), size_px=15, colour=(250, 240, 120))
        mark = np.zeros((height, width), np.uint8)
        place = (int(rng.integers(1020, 1120)), int(rng.choice([60, 680])))
        cv2.putText(
            mark, NAMES[int(rng.integers(len(NAMES)))][:7], place, cv2.FONT_HERSHEY_DUPLEX, 0.9, 190, 2, cv2.LINE_AA
        )
        colour[mark > 0] = 250
        cover = np.maximum(cover, mark)
        size = (size_hw[1], size_hw[0])
        self._cover = cv2.resize(cover, size, interpolation=cv2.INTER_AREA)
        weighted = cv2.multiply(colour, cv2.merge([cover] * 3), scale=1 / 255)
        weighted = cv2.resize(weighted, size, interpolation=cv2.INTER_AREA)
        count, labels = cv2.connectedComponents((cv2.blur(self._cover, (31, 31)) > 0).astype(np.uint8))
        self._parts: list[tuple[slice, slice, np.ndarray, np.ndarray]] = []
        for label in range(1, count):
            left, top, wide, high = cv2.boundingRect((labels == label).astype(np.uint8))
            rows, columns = slice(top, top + high), slice(left, left + wide)
            kept = cv2.bitwise_not(self._cover[rows, columns])
            self._parts.append((rows, columns, weighted[rows, columns].copy(), cv2.merge([kept] * 3)))

    def lay(self, frame: np.ndarray) -> np.ndarray:
        """Over a frame, in place where it may be written."""
        frame = frame if frame.flags.writeable else frame.copy()
        for rows, columns, colour, kept in self._parts:
            frame[rows, columns] = cv2.add(cv2.multiply(frame[rows, columns], kept, scale=1 / 255), colour)
        return frame

    def cover_in(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray | None:
        """Float32 cover of a region that may reach outside; None where it is empty."""
        height, width = self._cover.shape
        part = self._cover[max(y0, 0) : max(min(y1, height), 0), max(x0, 0) : max(min(x1, width), 0)]
        if not part.any():
            return None
        result = np.zeros((y1 - y0, x1 - x0), np.float32)
        top, left = max(-y0, 0), max(-x0, 0)
        result[top : top + part.shape[0], left : left + part.shape[1]] = part / np.float32(255)
        return result


def _table(gains: np.ndarray | None, *, gamma: float) -> np.ndarray | None:
    """A look-up table [256, 1, 3] for gain and gamma, or None where it would change nothing."""
    if gains is None:
        return None
    levels = (np.arange(256) / 255) ** gamma * 255
    return np.clip(levels[:, None, None] * gains, 0, 255).round().astype(np.uint8).reshape(256, 1, 3)


def _through_jpeg(frame: np.ndarray, *, quality: int) -> np.ndarray:
    # OpenCV writes BGR: without the swap, JPEG would keep red worse than blue.
    coded = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    assert decoded is not None, quality
    return cast(np.ndarray, cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB))
