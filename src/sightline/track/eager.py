"""A trained run as a stage of a tracker, in PyTorch. Next: artefact_stage.py."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sightline.codecs.protocol import Codec
from sightline.codecs.track_peak import places_and_score
from sightline.config import Experiment
from sightline.fold import folded
from sightline.model import Locator, example_inputs
from sightline.track.network_stage import NetworkStage, Sight
from sightline.types import FeatureMaps, Raw

DEFAULT_THRESHOLD = 0.5  # of a run that was broken off before it chose one

Maps = tuple[Tensor, ...]  # of one frame: each level [1, C, h, w]


class EagerStage(NetworkStage[Maps]):
    """A Locator of one point."""

    def __init__(
        self,
        model: Locator,
        codec: Codec,
        experiment: Experiment,
        *,
        threshold: float = DEFAULT_THRESHOLD,
        device: str = "cpu",
        from_planes: bool = False,
        places: int = 1,
    ) -> None:
        """Fold what can be folded and put the model in place.

        Args:
            model: in any mode; it is copied where folding changes it.
            codec: belongs to it, and finds a track.
            experiment: likewise.
            threshold: from which probability on the run says "visible".
            device: "cpu" or "cuda".
            from_planes: shrink whole frames in the decoder's planes, and not as in training.
            places: how many it names in a whole frame, where its codec can.
        """
        assert experiment.codec.finds == "track", experiment.codec.finds
        super().__init__(sight_of(experiment), threshold=threshold, from_planes=from_planes)
        self.codec, self.experiment, self.device, self.places = codec, experiment, device, places
        placed = model.eval().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        copied = folded(placed, *example_inputs(experiment, count=1, device=device))
        assert isinstance(copied, Locator)
        self.model = copied

    @torch.inference_mode()
    def look(self, pictures: np.ndarray) -> list[Maps]:
        """Maps of each picture; see `NetworkStage.look`."""
        maps = self.model.look(self._tensor(pictures)).maps
        return [tuple(m[row : row + 1] for m in maps) for row in range(len(pictures))]

    @torch.inference_mode()
    def conclude(
        self, features: Sequence[Maps], past_xy: np.ndarray, past_visible: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The answer to one whole frame; see `NetworkStage.conclude`."""
        maps = FeatureMaps(maps=tuple(torch.stack(level, dim=1) for level in zip(*features, strict=True)))
        return self._decoded(self.model.conclude(maps, *self._past(past_xy, past_visible)), count=self.places)

    @torch.inference_mode()
    def answer(
        self, windows: np.ndarray, past_xy: np.ndarray, past_visible: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The answers to windows; see `NetworkStage.answer`."""
        maps = self.model.look(self._tensor(windows.reshape(-1, *windows.shape[2:]))).maps  # [B * T, C, h, w]
        in_time = FeatureMaps(maps=tuple(m.unflatten(0, windows.shape[:2]) for m in maps))
        return self._decoded(self.model.conclude(in_time, *self._past(past_xy, past_visible)))

    def _decoded(self, raw: Raw, *, count: int = 1) -> tuple[np.ndarray, np.ndarray]:
        places, score = places_and_score(self.codec, raw, count=count)
        return places.double().cpu().numpy(), score.double().cpu().numpy()

    def _tensor(self, pictures: np.ndarray) -> Tensor:
        """[N, H, W, C] uint8 as [N, C, H, W] where the network is."""
        return torch.from_numpy(pictures).permute(0, 3, 1, 2).to(self.device)

    def _past(self, past_xy: np.ndarray, past_visible: np.ndarray) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(past_xy).to(self.device), torch.from_numpy(past_visible).to(self.device)


def sight_of(experiment: Experiment) -> Sight:
    """What a network of this experiment sees."""
    data, context = experiment.data, experiment.context
    return Sight(
        input_hw=data.input_hw,
        channels=data.channels,
        crop=data.crop,
        keep_aspect=data.keep_aspect,
        past_frames=context.past_frames,
        history=context.history,
    )
