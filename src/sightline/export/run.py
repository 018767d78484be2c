"""A run to an artefact: trace, perhaps quantise, compare, time, write. Next: cli/export.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from sightline.calibration.file import Calibration
from sightline.checkpoint import RunFolder
from sightline.config import Experiment
from sightline.errors import UserError
from sightline.export.frames import Frames, find_frames, spread
from sightline.export.graph import to_onnx
from sightline.export.int8 import CALIBRATED_ON, LOOKED_AT, MOST_MOVED, Quantiser
from sightline.export.judge import Judge, latency_refusal
from sightline.export.latency import MOST_PICTURES, measure_latency
from sightline.export.openvino import to_openvino
from sightline.export.parity import compare, look, nothing_found, refusal
from sightline.files import require_place
from sightline.geometry import Box
from sightline.images import read_image
from sightline.predict import Predictor
from sightline.runtime.artefact import Artefact
from sightline.runtime.artefact_file import Stored, write_artefact
from sightline.runtime.card import INPUTS, Card, Engine, EvaluateCard, Int8Card, ParityCard, SkeletonCard, ViewCard

FRAMES = 200


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What came out: the card, and why the artefact was refused, if it was."""

    card: Card
    refused: str | None
    note: str = ""


def export_run(
    run: Path,
    out: Path,
    *,
    engine: Engine,
    int8: bool = False,
    data: Path | None = None,
    frames: int = FRAMES,
    threads: int = 2,
    repeats: int = 100,
    on_step: Callable[[str], None] = lambda _: None,
) -> Exported:
    """Write an artefact, unless it answers otherwise than its run.

    Args:
        run: a run folder.
        out: the file to write.
        engine: "onnx" or "openvino".
        int8: quantise; judged by the task's metric on labelled data instead of by the distance of points.
        data: pictures to compare on; those that the run was trained on without it.
        frames: how many of them at most.
        threads: of engine and run while they are timed.
        repeats: pictures timed.
        on_step: told what is done next.

    Raises:
        UserError: no run, no pictures, or a model that cannot be exported.
        MissingExtra: a library is missing.
    """
    folder = RunFolder(run)
    _refuse_folder(out)
    experiment = folder.experiment()
    if experiment.codec.finds == "track":
        raise UserError(
            f"{run} is one stage of a tracker, which sees several frames at once. Name it in the tracker.yaml of a "
            "tracker's folder, and export that folder."
        )
    predictor = Predictor.load(run)
    chosen = find_frames(folder, experiment, data=data, count=frames)
    if int8 and not chosen.records:
        reason = f" {chosen.note[0].upper()}{chosen.note[1:]}." if chosen.note else ""
        raise UserError(
            f"--int8 is judged on labelled pictures, and {chosen.source} has none that this run can be scored on."
            f"{reason} Give some by --data DATA."
        )
    on_step("tracing")
    plain = to_onnx(predictor.model, predictor.codec, experiment)
    card = card_of(
        experiment,
        engine=engine,
        int8=int8,
        thresholds=folder.load_thresholds(),
        calibration=folder.load_calibration(experiment),
    )
    if int8:
        made = _quantised(plain, card, predictor, chosen, threads=threads, on_step=on_step)
    else:
        made = _compared(plain, card, predictor, chosen, threads=threads, on_step=on_step)
    if made.refused is not None:
        return Exported(card=made.stored.card, refused=made.refused, note=chosen.note)
    on_step("timing")
    timed = list(_pictures(chosen, MOST_PICTURES, experiment))
    rival = Artefact.of(stored_as(plain, card), threads=threads) if int8 else None
    latency = measure_latency(predictor, made.artefact, timed, threads=threads, repeats=repeats, fp32=rival)
    card = made.stored.card.model_copy(update={"latency": latency})
    why = latency_refusal(latency) if int8 else None
    if why is None:
        write_artefact(out, Stored(card=card, graph=made.stored.graph, weights=made.stored.weights))
    return Exported(card=card, refused=why, note=chosen.note)


def stored_as(graph: bytes, card: Card) -> Stored:
    """A graph in ONNX as the file holds it for the card's engine; raises as `to_onnx` and `to_openvino` do."""
    if card.engine == "onnx":
        return Stored(card=card, graph=graph)
    xml, weights = to_openvino(graph)
    return Stored(card=card, graph=xml, weights=weights)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Made:
    """An artefact that was compared with its run, and why it is refused, if it is."""

    stored: Stored
    artefact: Artefact
    refused: str | None


def _compared(
    graph: bytes,
    card: Card,
    predictor: Predictor,
    chosen: Frames,
    *,
    threads: int,
    on_step: Callable[[str], None],
    judge: Judge | None = None,
) -> _Made:
    """An artefact against its run, by their answers; or by the judge."""
    stored = stored_as(graph, card)
    artefact = Artefact.of(stored, threads=threads)
    on_step("comparing")
    parity = _parity(predictor, artefact, chosen)
    why = refusal(parity)
    if judge is not None and not nothing_found(parity):
        on_step("scoring")
        parity, why = judge.judged(parity, artefact)
    told = Stored(card=card.model_copy(update={"parity": parity}), graph=stored.graph, weights=stored.weights)
    return _Made(stored=told, artefact=artefact, refused=why)


def _quantised(
    plain: bytes,
    card: Card,
    predictor: Predictor,
    chosen: Frames,
    *,
    threads: int,
    on_step: Callable[[str], None],
) -> _Made:
    """The least careful int8 that is good enough, or else the most careful one."""
    experiment = predictor.experiment
    on_step("calibrating")
    quantiser = Quantiser(
        plain,
        calibrate_on=map(_inputs, _pictures(chosen, CALIBRATED_ON, experiment)),
        look_at=[_inputs(given) for given in _pictures(chosen, LOOKED_AT, experiment)],
    )
    judge = Judge(predictor, chosen)
    made = None
    for most in MOST_MOVED:
        on_step("choosing what becomes int8")
        whole = quantiser.robust(most)
        if not whole:
            break
        graph = quantiser.quantised(whole)
        told = card.model_copy(
            update={"int8": Int8Card(convolutions=len(whole), kept=len(quantiser.convolutions) - len(whole))}
        )
        made = _compared(graph, told, predictor, chosen, threads=threads, on_step=on_step, judge=judge)
        if made.refused is None:
            break
    if made is None:
        raise UserError("--int8: every convolution of this network loses too much by 8 bits. Leave it out.")
    return made


def _inputs(given: tuple[np.ndarray, Box]) -> dict[str, np.ndarray]:
    """A picture and its area as the graph takes them."""
    return dict(zip(INPUTS, (given[0], np.array(given[1], dtype=np.float64)), strict=True))


def _refuse_folder(out: Path) -> None:
    """Before minutes of work, not behind them."""
    if out.is_dir():
        raise UserError(f"--out {out} is a folder. Name a file, for example {out / 'model.onnx'}.")
    require_place(out)


def card_of(
    experiment: Experiment,
    *,
    engine: Engine,
    int8: bool,
    thresholds: dict[str, float],
    calibration: Calibration | None = None,
) -> Card:
    """What is known of an artefact before it is compared and timed."""
    finds = experiment.codec.finds
    assert finds != "track"
    data, scored, points = experiment.data, experiment.evaluate, experiment.skeleton
    return Card(
        sightline=version("sightline"),
        engine=engine,
        precision="int8" if int8 else "fp32",
        recipe=experiment.recipe,
        task=finds,
        skeleton=SkeletonCard(names=points.names, flip_pairs=points.flip_pairs, edges=points.edges),
        classes=experiment.classes,
        data=ViewCard(**{name: getattr(data, name) for name in ViewCard.model_fields}),
        evaluate=EvaluateCard(jitter=scored.jitter, seed=scored.seed, pck=scored.pck, size_limits=scored.size_limits),
        thresholds=thresholds,
        calibration=calibration,
        made=time.strftime("%Y-%m-%d %H:%M:%S"),
    )


def _pictures(chosen: Frames, count: int, experiment: Experiment) -> Iterator[tuple[np.ndarray, Box]]:
    """Some of the frames, decoded one after the other."""
    channels = experiment.data.channels
    for frame in spread(chosen.frames, count):
        yield read_image(frame.path, channels=channels), frame.area


def _parity(predictor: Predictor, artefact: Artefact, chosen: Frames) -> ParityCard:
    """Both look at every frame; one picture at a time is in memory."""
    first, second = [], []
    for frame in chosen.frames:
        image = read_image(frame.path, channels=predictor.channels)
        first.append(look(predictor, image, frame.area))
        second.append(artefact.look(image, frame.area))
    return compare(first, second, source=chosen.source)
