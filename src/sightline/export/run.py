"""A run to an artefact: trace, perhaps quantise, compare, time, write. Next: cli/export.py."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sightline.calibration.file import Calibration
from sightline.checkpoint import RunFolder
from sightline.config import Experiment
from sightline.errors import MissingExtra, UserError
from sightline.evaluate import scoring_for
from sightline.export.frames import Frames, find_frames, spread
from sightline.export.graph import to_onnx
from sightline.export.latency import MOST_PICTURES, measure_latency
from sightline.export.parity import compare, look, nothing_found, refusal
from sightline.geometry import Box
from sightline.images import read_image
from sightline.predict import Predictor
from sightline.runtime.artefact import Artefact
from sightline.runtime.artefact_file import Stored, write_artefact
from sightline.runtime.card import Card, Engine, EvaluateCard, ParityCard, SkeletonCard, ViewCard
from sightline.view import base_box, jittered_box

if TYPE_CHECKING:
    from sightline.infer import Found

FRAMES = 200
CALIBRATED_ON = 64  # pictures; the ranges hardly move behind that
WORSE = 0.01  # int8: so much worse, as a share of the run's metric, it may be


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
        raise UserError(
            f"--int8 is judged on labelled pictures, and {chosen.source} has none. Give some by --data DATA."
        )
    on_step("tracing")
    graph = to_onnx(predictor.model, predictor.codec, experiment)
    if int8:
        from sightline.export.int8 import quantise

        on_step("calibrating")
        graph = quantise(graph, _pictures(chosen, CALIBRATED_ON, experiment))
    card = card_of(
        experiment,
        engine=engine,
        int8=int8,
        thresholds=folder.load_thresholds(),
        calibration=folder.load_calibration(experiment),
    )
    stored = to_openvino(graph, card) if engine == "openvino" else Stored(card=card, graph=graph)
    artefact = Artefact.of(stored, threads=threads)
    on_step("comparing")
    parity = _parity(predictor, artefact, chosen)
    why = refusal(parity)
    if int8 and not nothing_found(parity):
        on_step("scoring")
        parity, why = _judged_by_metric(parity, predictor, artefact, chosen)
    card = card.model_copy(update={"parity": parity})
    if why is not None:
        return Exported(card=card, refused=why, note=chosen.note)
    on_step("timing")
    timed = list(_pictures(chosen, MOST_PICTURES, experiment))
    latency = measure_latency(predictor, artefact, timed, threads=threads, repeats=repeats)
    card = card.model_copy(update={"latency": latency})
    write_artefact(out, Stored(card=card, graph=stored.graph, weights=stored.weights))
    return Exported(card=card, refused=None, note=chosen.note)


def to_openvino(graph: bytes, card: Card) -> Stored:
    """The same graph as OpenVINO's two files.

    Raises:
        MissingExtra: openvino is not installed.
        UserError: it cannot take the graph.
    """
    try:
        import openvino
    except ImportError as error:
        raise MissingExtra(feature="sightline export --to openvino", extra="export") from error
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "plain.onnx").write_bytes(graph)
        try:
            model = openvino.convert_model(folder / "plain.onnx")
            openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise UserError(f"OpenVINO cannot take this model ({reason}). Use --to onnx.") from error
        return Stored(card=card, graph=(folder / "model.xml").read_bytes(), weights=(folder / "model.bin").read_bytes())


def _refuse_folder(out: Path) -> None:
    """Before minutes of work, not behind them."""
    if out.is_dir():
        raise UserError(f"--out {out} is a folder. Name a file, for example {out / 'model.onnx'}.")


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


def _pictures(chosen: Frames, count: int, experiment: Experiment) -> list[tuple[np.ndarray, Box]]:
    """Some of the frames, decoded."""
    channels = experiment.data.channels
    return [(read_image(frame.path, channels=channels), frame.area) for frame in spread(chosen.frames, count)]


def _parity(predictor: Predictor, artefact: Artefact, chosen: Frames) -> ParityCard:
    """Both look at every frame; one picture at a time is in memory."""
    first, second = [], []
    for frame in chosen.frames:
        image = read_image(frame.path, channels=predictor.channels)
        first.append(look(predictor, image, frame.area))
        second.append(artefact.look(image, frame.area))
    return compare(first, second, source=chosen.source)


def _judged_by_metric(
    parity: ParityCard, predictor: Predictor, artefact: Artefact, chosen: Frames
) -> tuple[ParityCard, str | None]:
    """The task's own metric of both on labelled records, and why int8 is refused, if it is."""
    scoring = scoring_for(predictor.experiment)
    evaluate = predictor.experiment.evaluate
    answers: tuple[list[Found], list[Found]] = ([], [])
    for record in chosen.records:
        image = read_image(record.path, channels=predictor.channels)
        area = base_box(record, (image.shape[0], image.shape[1]), chosen.data)
        if chosen.data.crop != "image" and evaluate.jitter:
            area = jittered_box(area, amount=evaluate.jitter, seed=evaluate.seed, image_id=record.image_id)
        answers[0].append(look(predictor, image, area))
        answers[1].append(artefact.look(image, area))
    run, quantised = (scoring.quick(found, chosen.records) for found in answers)
    metric = scoring.choose(run)
    told = parity.model_copy(
        update={"metric": metric, "metric_run": run[metric], "metric_artefact": quantised.get(metric)}
    )
    return told, metric_refusal(
        metric, run[metric], quantised.get(metric), less_is_better=scoring.less_is_better, count=len(chosen.records)
    )


def metric_refusal(metric: str, run: float, artefact: float | None, *, less_is_better: bool, count: int) -> str | None:
    """Why int8 is refused: its metric is worse by more than WORSE of the run's; None where it is not."""
    if not np.isfinite(run) or (run <= 0 and not less_is_better):
        return (
            f"int8 is judged by {metric}, and the run itself has {run:.4f} on {count} labelled pictures; train it "
            "longer, or give pictures like those that it was trained on by --data"
        )
    if artefact is None or not np.isfinite(artefact):
        return f"int8 has no {metric} on {count} labelled pictures"
    loss = (artefact - run if less_is_better else run - artefact) / max(abs(run), 1e-12)
    if loss <= WORSE:
        return None
    return (
        f"int8 has {metric} {artefact:.4f} where the run has {run:.4f} on {count} labelled pictures: {loss:.1%} worse, "
        f"allowed {WORSE:.0%}"
    )
