"""What all stages with a network share: pictures cut as in training, and features of whole frames kept.

A whole frame is the same picture now and as a past frame later, so the network looks at it once; windows lie elsewhere
in each frame and are computed anew. How the network is run is the subclass's matter: eager.py by PyTorch,
artefact_stage.py by ONNX Runtime. Needs no torch. Next: eager.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import cv2
import numpy as np

from sightline.geometry import Affine, Box, crop_to, inside, scaling
from sightline.track.rules import StagePoint
from sightline.video.frame import VideoFrame
from sightline.view import asked_area, warp

Features = TypeVar("Features")


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What a stage's network sees; the names are those of `data.*` and `context.*`.

    Attributes:
        input_hw: of the network.
        channels: 1 or 3.
        crop: "image", whole frames, or "window", native pixels.
        keep_aspect: whether whole frames keep their aspect, with black beside them.
        past_frames: how many frames before the current one.
        history: how many answers before.
        margin: none; whole frames and windows are shown as they are.
    """

    input_hw: tuple[int, int]
    channels: int
    crop: str
    keep_aspect: bool
    past_frames: int
    history: int
    margin: float = 0.0


class NetworkStage(Generic[Features]):
    """A `stage.Stage`, but for the three methods that run the network."""

    def __init__(self, sight: Sight, *, threshold: float, from_planes: bool) -> None:
        """Begin with nothing kept.

        Args:
            sight: what the network sees.
            threshold: from which probability on its run says "visible".
            from_planes: shrink whole frames in the decoder's planes, and not as in training.
        """
        self.sight, self.threshold, self.from_planes = sight, threshold, from_planes
        self.input_hw, self.past_frames, self.history = sight.input_hw, sight.past_frames, sight.history
        self._kept: dict[int | None, Features] = {}  # of whole frames by number; None: of black

    def look(self, pictures: np.ndarray) -> list[Features]:
        """Features of each of N pictures [N, H, W, C] uint8 by itself."""
        raise NotImplementedError

    def conclude(
        self, features: Sequence[Features], past_xy: np.ndarray, past_visible: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The answer to one whole frame.

        Args:
            features: of `1 + past_frames` frames, the current one first, then oldest first.
            past_xy: [1, history, 2] float32, input pixels; zeros where not shown.
            past_visible: [1, history] bool.

        Returns:
            Places [1, P, 2] in input pixels, the likeliest first, and the probability [1] that the point is visible.
        """
        raise NotImplementedError

    def answer(
        self, windows: np.ndarray, past_xy: np.ndarray, past_visible: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The answers to B windows [B, 1 + past_frames, H, W, C] uint8; frames, past and results as in `conclude`."""
        raise NotImplementedError

    @property
    def kept_frames(self) -> int:
        """Of how many frames features are kept."""
        return len(self._kept.keys() - {None})

    def reset(self) -> None:
        """Forget the frames of the last video."""
        self._kept.clear()

    def prepare(self, frame: VideoFrame) -> None:
        """What can be done with a frame before its turn, in another thread: shrink it."""
        if self.sight.crop == "image" and self.from_planes:
            area = asked_area(frame.size_hw, None, data=self.sight)
            frame.small(_small_hw(frame.size_hw, crop_to(area, self.input_hw)))

    def __call__(
        self,
        frames: Sequence[VideoFrame | None],
        areas: Sequence[Box],
        past_xy: np.ndarray,
        past_visible: np.ndarray,
    ) -> list[StagePoint]:
        """One answer an area; see `stage.Stage`."""
        now = frames[-1]
        assert now is not None
        assert len(frames) == 1 + self.past_frames, (len(frames), self.past_frames)
        ordered = [now, *frames[:-1]]
        if self.sight.crop == "image":
            assert len(areas) == 1, "a stage of whole frames has one area"
            areas = [asked_area(now.size_hw, None, data=self.sight)]
        to_input = [crop_to(area, self.input_hw) for area in areas]
        xy, shown = self._history(to_input, past_xy, past_visible)
        if self.sight.crop == "image":
            places, scores = self.conclude(self._whole(ordered, to_input[0]), xy, shown)
        else:
            places, scores = self.answer(self._windows(ordered, areas), xy, shown)
        rows = zip(areas, places, scores.tolist(), strict=True)
        return [self._point(area, found, visible=score) for area, found, score in rows]

    def _point(self, area: Box, places: np.ndarray, *, visible: float) -> StagePoint:
        """Places [P, 2] in input pixels as those of the frame."""
        x0, y0, x1, y1 = area
        height, width = self.input_hw
        (x, y), *others = [(x0 + x * (x1 - x0) / width, y0 + y * (y1 - y0) / height) for x, y in places.tolist()]
        return StagePoint(x=x, y=y, visible=visible, others=tuple(others))

    def _whole(self, ordered: Sequence[VideoFrame | None], to_input: Affine) -> list[Features]:
        """Features of whole frames, the current one first; those known already are not computed."""
        now = ordered[0]
        assert now is not None
        oldest = now.number - self.past_frames
        for number in [n for n in self._kept if n is not None and not oldest <= n <= now.number]:
            del self._kept[number]
        missing = [frame for frame in dict.fromkeys(ordered) if _number(frame) not in self._kept]
        if missing:
            looked = self.look(np.stack([self._shrunk(frame, to_input) for frame in missing]))
            self._kept |= zip(map(_number, missing), looked, strict=True)
        return [self._kept[_number(frame)] for frame in ordered]

    def _shrunk(self, frame: VideoFrame | None, to_input: Affine) -> np.ndarray:
        """A whole frame as the input shows it, [H, W, C]."""
        if frame is None:
            return self._black()
        if not self.from_planes:
            return self._coloured(warp(frame.image, to_input, self.input_hw))
        # Shrunk to the size that the frame has in the input; what is left is a shift by less than a pixel.
        (height, width), small_hw = frame.size_hw, _small_hw(frame.size_hw, to_input)
        small = frame.small(small_hw)
        if small_hw != self.input_hw:
            small = warp(small, to_input @ scaling(width / small_hw[1], height / small_hw[0]), self.input_hw)
        return self._coloured(small)

    def _windows(self, ordered: Sequence[VideoFrame | None], areas: Sequence[Box]) -> np.ndarray:
        """[B, T, H, W, C] of B areas, the current frame first."""
        windows = np.empty((len(areas), len(ordered), *self.input_hw, self.sight.channels), dtype=np.uint8)
        for row, area in zip(windows, areas, strict=True):
            for place, frame in zip(row, ordered, strict=True):
                place[:] = self._window(frame, area)
        return windows

    def _window(self, frame: VideoFrame | None, area: Box) -> np.ndarray:
        """An area as the input shows it, [H, W, C]; where it has whole pixels of the frame, these."""
        if frame is None:
            return self._black()
        x0, y0, x1, y1 = area
        height, width = self.input_hw
        if float(x0).is_integer() and float(y0).is_integer() and (x1 - x0, y1 - y0) == (width, height):
            return self._coloured(frame.crop(int(x0), int(y0), int(x1), int(y1)))
        return self._coloured(warp(frame.image, crop_to(area, self.input_hw), self.input_hw))

    def _black(self) -> np.ndarray:
        return np.zeros((*self.input_hw, self.sight.channels), dtype=np.uint8)

    def _coloured(self, picture: np.ndarray) -> np.ndarray:
        """An RGB picture, grey where the network is."""
        return picture if self.sight.channels == 3 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[:, :, None]

    def _history(
        self, to_input: Sequence[Affine], past_xy: np.ndarray, past_visible: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Past points [B, L, 2] in each input's pixels and which it shows [B, L]; zeros elsewhere, as in training."""
        mapped = np.stack([affine.points(past_xy) for affine in to_input])
        shown = past_visible & inside(mapped, self.input_hw)
        return np.where(shown[..., None], mapped, 0.0).astype(np.float32), shown


def _number(frame: VideoFrame | None) -> int | None:
    return None if frame is None else frame.number


def _small_hw(size_hw: tuple[int, int], to_input: Affine) -> tuple[int, int]:
    """The size that a whole frame has in the input, in whole pixels."""
    (height, width), (sx, sy) = size_hw, (to_input.matrix[0, 0], to_input.matrix[1, 1])
    return max(1, round(height * sy)), max(1, round(width * sx))
