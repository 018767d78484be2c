"""A stage of an exported tracker, run by ONNX Runtime; without torch. Next: zoom.py.

Each network has one thread unless more are asked for: the decoder is the other half of the work, and two threads that
wait for each other in every small layer take its processor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sightline.errors import MissingExtra, UserError
from sightline.runtime.tracker_file import StageCard, StageName, StoredTracker
from sightline.track.network_stage import NetworkStage, Sight

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Maps = tuple[np.ndarray, ...]  # of one frame: each level [1, C, h, w]


class ArtefactStage(NetworkStage[Maps]):
    """One of the stages in a tracker's file."""

    def __init__(self, card: StageCard, graphs: Sequence[bytes], *, from_planes: bool, threads: int = 1) -> None:
        """Load the graphs.

        Args:
            card: of the stage.
            graphs: two for a stage of whole frames, one for a stage of windows, as `card.graphs` names them.
            from_planes: shrink whole frames in the decoder's planes, and not as in training.
            threads: that each graph may use.

        Raises:
            MissingExtra: onnxruntime is not installed.
            UserError: this version of it cannot run a graph.
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
        self._sessions = [open_session(graph, threads=threads) for graph in graphs]

    @staticmethod
    def of(stored: StoredTracker, name: StageName, *, from_planes: bool, threads: int = 1) -> ArtefactStage:
        """The stage of this name; arguments as above."""
        card = stored.card.stages[name]
        graphs = [stored.graphs[graph] for graph in card.graphs(name)]
        return ArtefactStage(card, graphs, from_planes=from_planes, threads=threads)

    def look(self, pictures: np.ndarray) -> list[Maps]:
        """Maps of each picture; see `NetworkStage.look`."""
        session = self._sessions[0]
        return [tuple(map(np.asarray, session.run(None, {"frame": picture[None]}))) for picture in pictures]

    def conclude(
        self, features: Sequence[Maps], past_xy: np.ndarray, past_visible: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The answer to one whole frame; see `NetworkStage.conclude`."""
        levels = {f"maps_{number}": np.stack(level, axis=1) for number, level in enumerate(zip(*features, strict=True))}
        return self._answers(self._sessions[1], levels, past_xy, past_visible)

    def answer(
        self, windows: np.ndarray, past_xy: np.ndarray, past_visible: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The answers to windows; see `NetworkStage.answer`."""
        return self._answers(self._sessions[0], {"windows": windows}, past_xy, past_visible)

    def _answers(
        self, session: InferenceSession, inputs: Mapping[str, np.ndarray], past_xy: np.ndarray, past_visible: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        given = dict(inputs)
        if self.history:
            given |= {"past_xy": past_xy, "past_visible": past_visible}
        xy, score = session.run(None, given)
        return np.asarray(xy, dtype=np.float64), np.asarray(score, dtype=np.float64)


def open_session(graph: bytes, *, threads: int) -> InferenceSession:
    """A graph, ready to run.

    Raises:
        MissingExtra: onnxruntime is not installed.
        UserError: this version of it cannot run the graph.
    """
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as state  # type: ignore[attr-defined]
    except ImportError as error:
        raise MissingExtra(feature="Running an exported tracker", extra="export") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting costs the decoder its processor
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"onnxruntime {onnxruntime.__version__} cannot run this tracker ({reason}). Install a newer onnxruntime."
        ) from error
