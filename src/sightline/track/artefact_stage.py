"""A stage of an exported tracker, run by ONNX Runtime or OpenVINO; without torch. Next: zoom.py.

Each network has one thread unless more are asked for: the decoder is the other half of the work, and two threads that
wait for each other in every small layer take its processor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sightline.runtime.engines import Engine, OnnxEngine, OpenVinoEngine
from sightline.runtime.tracker_file import StageCard, StageName, StoredTracker
from sightline.track.network_stage import NetworkStage, Sight

Maps = tuple[np.ndarray, ...]  # of one frame: each level [1, C, h, w]


class ArtefactStage(NetworkStage[Maps]):
    """One of the stages in a tracker's file."""

    def __init__(self, card: StageCard, engines: Sequence[Engine], *, from_planes: bool) -> None:
        """Put both together.

        Args:
            card: of the stage.
            engines: two for a stage of whole frames, one for a stage of windows, as `card.graphs` names them.
            from_planes: shrink whole frames in the decoder's planes, and not as in training.
        """
        sight = Sight(
            input_hw=card.input_hw,
            channels=card.channels,
            crop=card.crop,
            keep_aspect=card.keep_aspect,
            past_frames=card.past_frames,
            history=card.history,
        )
        super().__init__(sight, threshold=card.threshold, from_planes=from_planes)
        self.engines = tuple(engines)

    @staticmethod
    def of(stored: StoredTracker, name: StageName, *, from_planes: bool, threads: int = 1) -> ArtefactStage:
        """The stage of this name.

        Args:
            stored: what the file holds.
            name: of the stage.
            from_planes: as above.
            threads: that each graph may use.

        Raises:
            MissingExtra: onnxruntime or openvino is not installed.
            UserError: this version of it cannot run a graph.
        """
        card = stored.card.stages[name]
        engines = [_engine(stored, graph, threads=threads) for graph in card.graphs(name)]
        return ArtefactStage(card, engines, from_planes=from_planes)

    def look(self, pictures: np.ndarray) -> list[Maps]:
        """Maps of each picture; see `NetworkStage.look`."""
        return [tuple(self.engines[0].run({"frame": picture[None]})) for picture in pictures]

    def conclude(
        self, features: Sequence[Maps], past_xy: np.ndarray, past_visible: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The answer to one whole frame; see `NetworkStage.conclude`."""
        levels = {f"maps_{number}": np.stack(level, axis=1) for number, level in enumerate(zip(*features, strict=True))}
        return self._answers(self.engines[1], levels, past_xy, past_visible)

    def answer(
        self, windows: np.ndarray, past_xy: np.ndarray, past_visible: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The answers to windows; see `NetworkStage.answer`."""
        return self._answers(self.engines[0], {"windows": windows}, past_xy, past_visible)

    def _answers(
        self, engine: Engine, inputs: Mapping[str, np.ndarray], past_xy: np.ndarray, past_visible: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        given = dict(inputs)
        if self.history:
            given |= {"past_xy": past_xy, "past_visible": past_visible}
        xy, score = engine.run(given)
        return np.asarray(xy, dtype=np.float64), np.asarray(score, dtype=np.float64)


def artefact_stages(stored: StoredTracker, *, from_planes: bool, threads: int = 1) -> dict[StageName, ArtefactStage]:
    """All stages of a file by their places; arguments and errors as of `ArtefactStage.of`."""
    return {
        name: ArtefactStage.of(stored, name, from_planes=from_planes, threads=threads) for name in stored.card.stages
    }


def _engine(stored: StoredTracker, graph: str, *, threads: int) -> Engine:
    """A graph, ready to run. Threads must not spin: waiting costs the decoder its processor."""
    found = stored.graphs[graph]
    if stored.card.engine == "onnx":
        return OnnxEngine(found.model, threads=threads, spinning=False)
    return OpenVinoEngine(found.model, found.weights, threads=threads)
