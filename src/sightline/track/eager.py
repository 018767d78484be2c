"""A trained run as a stage of a tracker: pictures cut as in training, features of whole frames kept.

A whole frame is the same picture now and as a past frame later, so backbone and neck see it once; windows lie
elsewhere in each frame and are computed anew. Next: zoom.py
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from sightline.codecs.protocol import Codec
from sightline.config import Experiment
from sightline.fold import folded
from sightline.geometry import Affine, Box, crop_to, inside, scaling
from sightline.model import Locator, example_inputs
from sightline.track.rules import StagePoint
from sightline.types import FeatureMaps, Points
from sightline.video.frame import VideoFrame
from sightline.view import asked_area, warp

DEFAULT_THRESHOLD = 0.5  # of a run that was broken off before it chose one


class EagerStage:
    """A Locator of one point, in PyTorch."""

    def __init__(
        self,
        model: Locator,
        codec: Codec,
        experiment: Experiment,
        *,
        threshold: float = DEFAULT_THRESHOLD,
        device: str = "cpu",
        from_planes: bool = False,
    ) -> None:
        """Fold what can be folded and put the model in place.

        Args:
            model: in any mode; it is copied where folding changes it.
            codec: belongs to it, and finds a track.
            experiment: likewise.
            threshold: from which probability on the run says "visible".
            device: "cpu" or "cuda".
            from_planes: shrink whole frames in the decoder's planes, and not as in training.
        """
        assert experiment.codec.finds == "track", experiment.codec.finds
        self.input_hw = experiment.data.input_hw
        self.past_frames, self.history = experiment.context.past_frames, experiment.context.history
        self.threshold = threshold
        self.codec, self.experiment, self.device, self.from_planes = codec, experiment, device, from_planes
        placed = model.eval().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        copied = folded(placed, *example_inputs(experiment, count=1, device=device))
        assert isinstance(copied, Locator)
        self.model = copied
        self._kept: dict[int | None, tuple[Tensor, ...]] = {}  # maps [1, C, h, w] of whole frames; None: of black

    @property
    def sees_whole_frames(self) -> bool:
        """Whether any area asked for is the whole frame."""
        return self.experiment.data.crop == "image"

    @property
    def kept_frames(self) -> int:
        """Of how many frames features are kept."""
        return len(self._kept.keys() - {None})

    def reset(self) -> None:
        """Forget the frames of the last video."""
        self._kept.clear()

    @torch.inference_mode()
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
        if self.sees_whole_frames:
            assert len(areas) == 1, "a stage of whole frames has one area"
            areas = [asked_area(now.size_hw, None, data=self.experiment.data)]
            maps = self._whole(frames, areas[0])
        else:
            maps = self._windows(frames, areas)
        to_input = [crop_to(area, self.input_hw) for area in areas]
        xy, visible = self._history(to_input, past_xy, past_visible)
        decoded = self.codec.decode(self.model.conclude(maps, xy, visible))
        assert isinstance(decoded, Points)
        places, scores = decoded.xy[:, 0].double().cpu().numpy(), decoded.score[:, 0].double().cpu().numpy()
        found = [affine.inverse().points(place) for affine, place in zip(to_input, places, strict=True)]
        return [
            StagePoint(x=float(x), y=float(y), visible=float(score))
            for (x, y), score in zip(found, scores, strict=True)
        ]

    def _whole(self, frames: Sequence[VideoFrame | None], area: Box) -> FeatureMaps:
        """Maps [1, T, C, h, w] of whole frames, the current one first; those known already are not computed."""
        now = frames[-1]
        assert now is not None
        oldest = now.number - self.past_frames
        for number in [n for n in self._kept if n is not None and not oldest <= n <= now.number]:
            del self._kept[number]
        missing = [frame for frame in dict.fromkeys(frames) if (frame.number if frame else None) not in self._kept]
        if missing:
            to_input = crop_to(area, self.input_hw)
            maps = self.model.look(self._tensor([self._shrunk(frame, to_input) for frame in missing])).maps
            for row, frame in enumerate(missing):
                self._kept[frame.number if frame else None] = tuple(m[row : row + 1] for m in maps)
        ordered = [frames[-1], *frames[:-1]]
        rows = [self._kept[frame.number if frame else None] for frame in ordered]
        return FeatureMaps(maps=tuple(torch.stack(level, dim=1) for level in zip(*rows, strict=True)))

    def _windows(self, frames: Sequence[VideoFrame | None], areas: Sequence[Box]) -> FeatureMaps:
        """Maps [B, T, C, h, w] of B areas, the current frame first."""
        ordered = [frames[-1], *frames[:-1]]
        pictures = [self._window(frame, area) for area in areas for frame in ordered]
        maps = self.model.look(self._tensor(pictures)).maps  # [B * T, C, h, w]
        return FeatureMaps(maps=tuple(m.unflatten(0, (len(areas), len(ordered))) for m in maps))

    def _shrunk(self, frame: VideoFrame | None, to_input: Affine) -> np.ndarray:
        """A whole frame as the input shows it, [H, W, 3]."""
        if frame is None:
            return self._black()
        if not self.from_planes:
            return warp(frame.image, to_input, self.input_hw)
        # Shrunk to the size that the frame has in the input; what is left is a shift by less than a pixel.
        (height, width), (sx, sy) = frame.size_hw, (to_input.matrix[0, 0], to_input.matrix[1, 1])
        small_hw = (max(1, round(height * sy)), max(1, round(width * sx)))
        small = frame.small(small_hw)
        if small_hw == self.input_hw:
            return small
        return warp(small, to_input @ scaling(width / small_hw[1], height / small_hw[0]), self.input_hw)

    def _window(self, frame: VideoFrame | None, area: Box) -> np.ndarray:
        """An area as the input shows it, [H, W, 3]; where it has whole pixels of the frame, these."""
        if frame is None:
            return self._black()
        x0, y0, x1, y1 = area
        height, width = self.input_hw
        if float(x0).is_integer() and float(y0).is_integer() and (x1 - x0, y1 - y0) == (width, height):
            return frame.crop(int(x0), int(y0), int(x1), int(y1))
        return warp(frame.image, crop_to(area, self.input_hw), self.input_hw)

    def _black(self) -> np.ndarray:
        return np.zeros((*self.input_hw, 3), dtype=np.uint8)

    def _tensor(self, pictures: Sequence[np.ndarray]) -> Tensor:
        """[N, C, H, W] uint8 of RGB pictures, grey where the network is."""
        if self.experiment.data.channels == 1:
            pictures = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[:, :, None] for picture in pictures]
        return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).to(self.device)

    def _history(
        self, to_input: Sequence[Affine], past_xy: np.ndarray, past_visible: np.ndarray
    ) -> tuple[Tensor, Tensor]:
        """Past points [B, L, 2] in each input's pixels and which it shows [B, L]; zeros elsewhere, as in training."""
        mapped = np.stack([affine.points(past_xy) for affine in to_input])
        shown = past_visible & inside(mapped, self.input_hw)
        xy = np.where(shown[..., None], mapped, 0.0).astype(np.float32)
        return torch.from_numpy(xy).to(self.device), torch.from_numpy(shown).to(self.device)
