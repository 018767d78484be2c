"""A tracker to one file: graphs of its stages, compared with the runs on real frames, timed, written.

What shrinking and cropping give (uint8 of the network's input) goes in; normalisation and decoding are in the graphs.
What the file looks like is in runtime/tracker_file.py. Next: cli/export.py
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from sightline.checkpoint import RunFolder
from sightline.codecs.protocol import Codec
from sightline.codecs.track_peak import places_and_score
from sightline.devices import machine
from sightline.errors import MissingExtra, UserError
from sightline.export.graph import OPSET, quiet, reason_of
from sightline.export.openvino import to_openvino
from sightline.export.tracker_int8 import labelled, quantised_tracker, score_refusal
from sightline.export.tracker_parity import compare_stages, refusal, require_frames, slower
from sightline.export.translations import translations
from sightline.files import require_place
from sightline.model import Locator
from sightline.runtime.card import Engine
from sightline.runtime.tracker_file import (
    StageCard,
    StageName,
    StoredGraph,
    StoredTracker,
    TrackerCard,
    write_tracker_file,
)
from sightline.track.artefact_stage import artefact_stages
from sightline.track.config import TRACKER_FILE
from sightline.track.eager import EagerStage
from sightline.track.load import Choice, Parts, load_parts
from sightline.types import FeatureMaps

FRAMES = 200
MOST_WINDOWS = 64  # of one frame; the tracker asks for one to three


@dataclass(frozen=True, kw_only=True)
class ExportedTracker:
    """What came out: the card, and why the file was not written, if it was not."""

    card: TrackerCard
    refused: str | None


class Look(nn.Module):
    """frame [1, H, W, C] uint8 -> its maps."""

    def __init__(self, network: Locator) -> None:
        super().__init__()
        self.network = network

    def forward(self, frame: Tensor) -> tuple[Tensor, ...]:
        """Each level [1, C, h, w]."""
        return self.network.look(frame.permute(0, 3, 1, 2)).maps


class _Concluding(nn.Module):
    """What both graphs that answer share."""

    def __init__(self, network: Locator, codec: Codec, *, places: int = 1) -> None:
        super().__init__()
        self.network, self.codec, self.history, self.places = network, codec, network.history, places

    def decoded(self, maps: FeatureMaps, past: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Places [B, P, 2] in input pixels and probabilities [B], of maps [B, T, C, h, w]."""
        finest = maps.maps[0]
        if self.history:
            past_xy, past_visible = past
        else:
            past_xy = finest.new_zeros(finest.shape[0], 0, 2)
            past_visible = past_xy[..., 0].bool()
        raw = self.network.conclude(maps, past_xy, past_visible)
        places, score = places_and_score(self.codec, raw, count=self.places)
        return places.float(), score.float()


class Conclude(_Concluding):
    """maps of each level [1, T, C, h, w], and with a history past_xy [1, L, 2] and past_visible [1, L] -> answer."""

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Places [1, P, 2] and scores [1]."""
        levels = len(inputs) - (2 if self.history else 0)
        return self.decoded(FeatureMaps(maps=inputs[:levels]), inputs[levels:])


class Windows(_Concluding):
    """windows [B, T, H, W, C] uint8, and with a history past_xy [B, L, 2] and past_visible [B, L] -> answers."""

    def forward(self, windows: Tensor, *past: Tensor) -> tuple[Tensor, Tensor]:
        """Places [B, 1, 2] and scores [B]."""
        maps = self.network.look(windows.flatten(0, 1).permute(0, 3, 1, 2)).maps
        frames = windows.shape[1]
        return self.decoded(FeatureMaps(maps=tuple(m.unflatten(0, (-1, frames)) for m in maps)), past)


def export_tracker(
    tracker: Path,
    out: Path,
    *,
    data: Path | None,
    engine: Engine = "onnx",
    int8: bool = False,
    frames: int = FRAMES,
    threads: int = 1,
    on_step: Callable[[str], None] = lambda _: None,
) -> ExportedTracker:
    """Write a tracker's file, unless a stage answers otherwise than its run.

    Args:
        tracker: a tracker's folder, or a run that sees whole frames.
        out: the file to write.
        data: a video, a folder of numbered frames, or a data set of clips, to compare on; int8: a data set of clips.
        engine: "onnx" or "openvino".
        int8: quantise; judged by how well the tracker follows labelled clips, and by its time.
        frames: how many at most.
        threads: of each network while it is timed.
        on_step: told what is done next.

    Raises:
        UserError: no tracker, no frames, or a network that cannot be exported.
        MissingExtra: a library is missing.
    """
    if out.is_dir():
        raise UserError(f"--out {out} is a folder. Name a file, for example {out / 'tracker.sightline'}.")
    require_place(out)
    if data is None:
        raise UserError(
            "An exported tracker is compared with its runs on real frames: give a video, a folder of numbered frames "
            "or a data set of clips by --data."
        )
    require_frames(data)
    on_step("loading")
    parts = load_parts(tracker, Choice())
    stages = _stages_of(parts)
    score = None
    with ExitStack() as stack:
        # Before minutes of tracing: whether there are labels.
        clips = stack.enter_context(labelled(data, _coarse_run(tracker, parts))) if int8 else None
        plain = _stored(parts, stages, on_step=on_step)
        if clips is None:
            stored = _for_engine(plain, engine)
        else:
            stored, score = quantised_tracker(
                plain,
                run=parts.stages,
                config=parts.config,
                clips=clips,
                convert=lambda found: _for_engine(found, engine),
                on_step=on_step,
            )
    on_step("comparing")
    planes = parts.config.resize == "planes"
    exported = artefact_stages(stored, from_planes=planes, threads=threads)
    rivals = artefact_stages(_for_engine(plain, engine), from_planes=planes, threads=threads) if int8 else None
    compared = compare_stages(stages, exported, data=data, frames=frames, threads=threads, fp32=rivals)
    cards = {
        name: card.model_copy(update={"parity": compared.stages[name]}) for name, card in stored.card.stages.items()
    }
    told = {"data": data.name, "frames": compared.frames, "threads": threads, "cpu": str(machine()["cpu"])}
    card = stored.card.model_copy(update={"stages": cards, "score": score, **told})
    why = refusal(compared) if score is None else score_refusal(score) or slower(compared)
    if why is None:
        write_tracker_file(
            out, StoredTracker(config=stored.config, card=card, radius=stored.radius, graphs=stored.graphs)
        )
    return ExportedTracker(card=card, refused=why)


def _coarse_run(tracker: Path, parts: Parts) -> RunFolder:
    return RunFolder(tracker / parts.config.coarse if (tracker / TRACKER_FILE).is_file() else tracker)


def _for_engine(stored: StoredTracker, engine: Engine) -> StoredTracker:
    """A tracker of ONNX graphs as one of the engine's."""
    if engine == "onnx":
        return stored
    made = {name: to_openvino(graph.model) for name, graph in stored.graphs.items()}
    graphs = {name: StoredGraph(model=xml, weights=weights) for name, (xml, weights) in made.items()}
    card = stored.card.model_copy(update={"engine": engine})
    return StoredTracker(config=stored.config, card=card, radius=stored.radius, graphs=graphs)


def _stages_of(parts: Parts) -> dict[StageName, EagerStage]:
    named: dict[StageName, object] = {
        "coarse": parts.stages.coarse, "fine": parts.stages.fine, "support": parts.stages.support
    }  # fmt: skip
    return {name: stage for name, stage in named.items() if isinstance(stage, EagerStage)}


def _stored(parts: Parts, stages: dict[StageName, EagerStage], *, on_step: Callable[[str], None]) -> StoredTracker:
    """All that the file holds but how it compares; stages are named by their place."""
    cards: dict[StageName, StageCard] = {}
    graphs: dict[str, StoredGraph] = {}
    for name, stage in stages.items():
        on_step(f"tracing the {name} stage")
        cards[name] = stage_card(stage)
        traced = (StoredGraph(model=graph) for graph in stage_graphs(stage))
        graphs |= zip(cards[name].graphs(name), traced, strict=True)
    names = {name: name if name in stages else None for name in ("fine", "support")}
    return StoredTracker(
        config=parts.config.model_copy(update={"coarse": "coarse", **names}).to_yaml(),
        card=TrackerCard(sightline=version("sightline"), made=time.strftime("%Y-%m-%d %H:%M:%S"), stages=cards),
        radius=None if parts.radius is None else parts.radius.to_json(),
        graphs=graphs,
    )


def stage_card(stage: EagerStage) -> StageCard:
    """What the file says of a stage before it was compared."""
    sight = stage.sight
    assert sight.crop in ("image", "window") and sight.channels in (1, 3), sight
    return StageCard(
        recipe=stage.experiment.recipe,
        input_hw=sight.input_hw,
        channels=sight.channels,  # type: ignore[arg-type]
        crop=sight.crop,  # type: ignore[arg-type]
        keep_aspect=sight.keep_aspect,
        past_frames=sight.past_frames,
        history=sight.history,
        threshold=stage.threshold,
    )


def stage_graphs(stage: EagerStage) -> tuple[bytes, ...]:
    """The graphs of a stage, in the order of `StageCard.graphs`.

    Raises:
        MissingExtra: onnx or onnxscript is not installed.
        UserError: the network has an operation that ONNX cannot express.
    """
    model, recipe = (
        copy.deepcopy(stage.model).cpu().eval().to(memory_format=torch.contiguous_format),
        stage.experiment.recipe,
    )  # type: ignore[call-overload]
    (height, width), frames = stage.input_hw, 1 + stage.past_frames
    picture = torch.zeros(1, height, width, stage.sight.channels, dtype=torch.uint8)
    if stage.sight.crop == "image":
        with torch.no_grad():
            maps = Look(model)(picture)
        levels = [m.unsqueeze(1).repeat(1, frames, 1, 1, 1) for m in maps]
        names = [f"maps_{number}" for number in range(len(levels))]
        look = _graph(Look(model), {"frame": picture}, names, batch=False, recipe=recipe)
        given = dict(zip(names, levels, strict=True)) | _past(stage, count=1)
        return look, _graph(
            Conclude(model, stage.codec, places=stage.places), given, ["xy", "score"], batch=False, recipe=recipe
        )
    given = {"windows": picture.repeat(2, 1, 1, 1).unsqueeze(1).repeat(1, frames, 1, 1, 1)} | _past(stage, count=2)
    return (_graph(Windows(model, stage.codec), given, ["xy", "score"], batch=True, recipe=recipe),)


def _past(stage: EagerStage, *, count: int) -> dict[str, Tensor]:
    """Inputs of a stage that looks at past answers; none have no place in a graph."""
    if not stage.history:
        return {}
    visible = torch.zeros(count, stage.history, dtype=torch.bool)
    return {"past_xy": torch.zeros(count, stage.history, 2), "past_visible": visible}


def _graph(module: nn.Module, inputs: dict[str, Tensor], outputs: Sequence[str], *, batch: bool, recipe: str) -> bytes:
    """A module as ONNX, serialised; `batch` leaves open how many rows its inputs have."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtra(feature="sightline export", extra="export") from error
    rows = torch.export.Dim("windows", min=1, max=MOST_WINDOWS)
    shapes = tuple({0: rows} for _ in inputs)
    # The tracer wants the shapes of what `*past` takes as one.
    open_shapes = (shapes[0], shapes[1:])[: len(inputs)] if batch else None
    try:
        with quiet():
            program = torch.onnx.export(
                module.eval(),
                tuple(inputs.values()),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=open_shapes,
                custom_translation_table=translations(),
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise UserError(
            f"Recipe '{recipe}' cannot be exported: {reason_of(error)}. Its network or decoder has an operation that "
            "ONNX cannot express; `sightline pieces` lists others to train with."
        ) from error
    assert program is not None
    return program.model_proto.SerializeToString()
