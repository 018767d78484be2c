"""A tracker's networks in int8: calibrated on what they are asked while they follow labelled clips. Next: tracker.py.

Distances of single answers say little of int8, since a place may move where nothing is seen. What counts is how well
the tracker as a whole follows: F1 with the threshold that its folder names, the run's against the file's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.checkpoint import RunFolder
from sightline.errors import UserError
from sightline.export.frames import spread
from sightline.export.int8 import CALIBRATED_ON, LOOKED_AT, MOST_MOVED, Inputs, Quantiser, inner_convolutions
from sightline.export.judge import metric_refusal
from sightline.metrics.tracks import summarise_tracks
from sightline.prepare import load_data
from sightline.records import Record
from sightline.runtime.card import Int8Card
from sightline.runtime.engines import Engine
from sightline.runtime.tracker_file import ScoreCard, StageName, StoredGraph, StoredTracker
from sightline.track.artefact_stage import ArtefactStage, artefact_stages
from sightline.track.calibrate import track_frames
from sightline.track.config import ZoomConfig
from sightline.track.stage import Stages
from sightline.track.tracker import Tracker


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Frames of clips with their truth.

    Attributes:
        records: whose pictures lie on the disk.
        threshold_px: how far off a found point may be.
    """

    records: Sequence[Record]
    threshold_px: float

    def f1(self, stages: Stages, config: ZoomConfig) -> float:
        """How well a tracker follows, by its own threshold."""
        frames = track_frames(Tracker(stages, config), self.records)
        summary = summarise_tracks(frames, threshold_px=self.threshold_px, least_score=0.0)
        return float(summary.metrics["f1"].value)


@contextmanager
def labelled(data: Path, coarse: RunFolder) -> Iterator[Labelled]:
    """The labelled clips of a data set, unpacked as long as they are needed.

    Args:
        data: of clips; of the frames that the run kept for validation only these are taken, where it knows some.
        coarse: the run that sees whole frames.

    Raises:
        UserError: there are no labels.
    """
    with tempfile.TemporaryDirectory() as name:
        try:
            dataset = load_data(data, skip_broken=True, format=None, runs=Path(name))
        except UserError as error:
            raise UserError(
                f"--int8 of a tracker is judged on labelled clips, and {data} holds none: {error} Give videos or "
                "frames with a CSV of Frame, Visibility, X, Y beside them by --data."
            ) from error
        if any(record.before is None for record in dataset.records):
            raise UserError(f"--int8 of a tracker is judged on labelled clips, and {data} holds single pictures.")
        kept = coarse.validation_ids()
        records = [record for record in dataset.records if record.image_id in kept] or list(dataset.records)
        yield Labelled(records=records, threshold_px=coarse.experiment().evaluate.threshold_px)


class Overheard:
    """An engine, and some of what it was asked."""

    def __init__(self, engine: Engine, *, every: int) -> None:
        """Keep every so manieth of its inputs."""
        self.engine, self.every, self.asked = engine, every, 0
        self.kept: list[Inputs] = []

    def run(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """What the engine says."""
        if self.asked % self.every == 0:
            self.kept.append({name: np.array(value) for name, value in inputs.items()})
        self.asked += 1
        return self.engine.run(inputs)


def inputs_of(stored: StoredTracker, config: ZoomConfig, clips: Labelled) -> dict[str, list[Inputs]]:
    """What each network of a file in single precision is asked while the tracker follows clips, by graph."""
    every = max(1, len(clips.records) // CALIBRATED_ON)
    stages = artefact_stages(stored, from_planes=config.resize == "planes")
    heard: dict[str, Overheard] = {}
    for name, stage in stages.items():
        overheard = [Overheard(engine, every=every) for engine in stage.engines]
        heard |= zip(stored.card.stages[name].graphs(name), overheard, strict=True)
        stage.engines = tuple(overheard)
    clips.f1(as_stages(stages), config)
    return {graph: list(spread(engine.kept, CALIBRATED_ON)) for graph, engine in heard.items()}


def as_stages(stages: Mapping[StageName, ArtefactStage]) -> Stages:
    """In their places."""
    return Stages(coarse=stages["coarse"], fine=stages.get("fine"), support=stages.get("support"))


def quantised_tracker(
    stored: StoredTracker,
    *,
    run: Stages,
    config: ZoomConfig,
    clips: Labelled,
    convert: Callable[[StoredTracker], StoredTracker],
    on_step: Callable[[str], None],
) -> tuple[StoredTracker, ScoreCard]:
    """The least careful int8 that follows as well as the run, or else the most careful one; and how well that follows.

    Args:
        stored: in single precision, of ONNX graphs.
        run: the tracker itself.
        config: of both.
        clips: to calibrate and to judge on.
        convert: to the engine that the file is for.
        on_step: told what is done next.

    Raises:
        UserError: no network has anything to quantise.
    """
    on_step("calibrating")
    heard = inputs_of(stored, config, clips)
    quantisers = {
        name: Quantiser(graph.model, calibrate_on=heard[name], look_at=spread(heard[name], LOOKED_AT))
        for name, graph in stored.graphs.items()
        if heard[name] and inner_convolutions(graph.model)
    }
    if not quantisers:
        raise UserError("--int8 quantises convolutions between other convolutions, and no network here has any.")
    on_step("scoring the run")
    wanted = clips.f1(run, config)
    made = None
    for most in MOST_MOVED:
        on_step("choosing what becomes int8")
        chosen = {name: quantiser.robust(most) for name, quantiser in quantisers.items()}
        tried = convert(_with(stored, quantisers, chosen))
        on_step("scoring")
        stages = artefact_stages(tried, from_planes=config.resize == "planes")
        found = clips.f1(as_stages(stages), config)
        score = ScoreCard(run=wanted, artefact=found, threshold_px=clips.threshold_px, frames=len(clips.records))
        made = tried, score
        if score_refusal(score) is None:
            break
    assert made is not None
    return made


def score_refusal(score: ScoreCard) -> str | None:
    """Why int8 is refused; None where it follows as well as the run."""
    on = f"{score.frames} labelled frames"
    return metric_refusal(score.metric, score.run, score.artefact, less_is_better=False, on=on)


def _with(
    stored: StoredTracker, quantisers: Mapping[str, Quantiser], chosen: Mapping[str, Sequence[str]]
) -> StoredTracker:
    """The same tracker with these convolutions in int8."""
    graphs = stored.graphs | {
        name: StoredGraph(model=quantisers[name].quantised(whole)) for name, whole in chosen.items() if whole
    }
    cards = {}
    for name, card in stored.card.stages.items():
        own = [graph for graph in card.graphs(name) if graph in quantisers]
        done = sum(len(chosen[graph]) for graph in own)
        kept = sum(len(quantisers[graph].convolutions) for graph in own) - done
        cards[name] = card.model_copy(update={"int8": Int8Card(convolutions=done, kept=kept)})
    told = stored.card.model_copy(update={"stages": cards, "precision": "int8"})
    return StoredTracker(config=stored.config, card=told, radius=stored.radius, graphs=graphs)
