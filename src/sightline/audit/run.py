"""An audit from a run folder and a data set to its findings, in order.

In: a run and labelled data. Out: `Audit`, from which the table, JSON and the page are made.
Next: parts.py
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sightline.audit.certainty import find_confusion, find_miscalibration
from sightline.audit.conditions import PLAIN, STRANGERS, Condition, conditions, not_tried, setting
from sightline.audit.differences import Effect, Measure, between_parts, effects
from sightline.audit.examples import Example, examples
from sightline.audit.findings import ORDER, Finding
from sightline.audit.measure import LOSS, Measured, Subject, measure
from sightline.audit.memory import LEAST_UNITS, find_ignored_pictures, find_memorised_points, find_overfitting
from sightline.audit.parts import DATA, TRAIN, VAL, Part, parts_of
from sightline.audit.skew import Row, Told, find_skew, most_harmful
from sightline.audit.twins import find_twins
from sightline.checkpoint import RunFolder
from sightline.config import Experiment
from sightline.errors import UserError
from sightline.evaluate import scoring_for
from sightline.geometry import Affine
from sightline.loader import Pictures
from sightline.pipeline import load_run
from sightline.prepare import load_data
from sightline.records import Dataset, FoundPoints, Record
from sightline.report.words import counted, describe
from sightline.task_data import resolve_crop, speaking_of, usable
from sightline.transforms import Framing

Tell = Callable[[str, int, int], None]  # what is measured, how many are done, of how many


@dataclass(frozen=True, kw_only=True, eq=False)
class Audit:
    """What an audit found.

    Attributes:
        run: the run's folder.
        data: the data set's.
        task: "points", "one-box", "boxes" or "track".
        metric: what is judged by, beside the loss.
        parts: pictures looked at.
        main: the part that findings and order are of: val, else data, else train.
        rows: all conditions of all parts but the plain ones; of the main part the most harmful first.
        plain: by part: metric and loss on plain pictures; None where there is no value.
        findings: the gravest first.
        notes: what limits the audit, in sentences.
        examples: pictures that the most harmful shift made worst.
        seconds: how long it took.
    """

    run: Path
    data: Path
    task: str
    metric: Measure
    parts: tuple[Part, ...]
    main: str
    rows: tuple[Row, ...]
    plain: Mapping[str, tuple[float | None, float | None]]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    examples: tuple[Example, ...]
    seconds: float

    def rows_of(self, part: str) -> list[Row]:
        """The rows of a part, in order."""
        return [row for row in self.rows if row.part == part]

    @property
    def has_errors(self) -> bool:
        """Whether any finding says that the model must not be used like this."""
        return any(finding.severity == "error" for finding in self.findings)


def audit_run(
    run: Path,
    data: Path,
    *,
    images: int,
    only: Sequence[str] = (),
    is_crossed: bool = False,
    format: str | None = None,
    skip_broken: bool = False,
    device: str = "cpu",
    tell: Tell = lambda *_: None,
) -> Audit:
    """Audit a run on a data set.

    Args:
        run: a run folder with weights.
        data: a label file or the folder that holds labels and pictures.
        images: pictures of each part at most.
        only: names of parts; all that there are without any.
        is_crossed: also every strong shift on top of the training's augmentation.
        format: the label format, where it cannot be found out.
        skip_broken: leave broken samples out.
        device: where to compute.
        tell: told before each condition.

    Raises:
        UserError: no run, no data, other points or classes than the model's, no pictures to audit, or no values.
    """
    started = time.monotonic()
    if images < 1:
        raise UserError(f"--images is {images}; at least 1 picture of each part is needed, and 100 tell more.")
    folder = RunFolder(run)
    experiment = folder.experiment()
    dataset, experiment = _fitting(experiment, load_data(data, skip_broken=skip_broken, format=format, runs=run.parent))
    parts = parts_of(dataset, folder.split, images=images, only=only)
    model, codec = load_run(folder)
    model.to(device)
    subject = Subject(
        model=model,
        codec=codec,
        experiment=experiment,
        scoring=scoring_for(experiment, thresholds=folder.load_thresholds()),
        device=device,
    )
    main = next(name for name in (VAL, DATA, TRAIN) if any(part.name == name for part in parts))
    tried = conditions(experiment.augment, is_crossed=is_crossed)
    pictures = {part.name: _pictures(part.records, experiment) for part in parts}
    subject = _with_fixed_thresholds(subject, pictures[main])
    measured = _measure_all(subject, pictures, tried, tell=tell)
    return _judged(
        run, dataset, subject, parts, pictures, tried, measured, main=main, seconds=time.monotonic() - started
    )


def _fitting(experiment: Experiment, dataset: Dataset) -> tuple[Dataset, Experiment]:
    """The data in the model's points or classes, and the experiment with the crop that the data allow."""
    dataset = usable(speaking_of(experiment, dataset), experiment.codec.finds, [])
    crop = resolve_crop(experiment.data, dataset, experiment.codec.finds)
    return dataset, experiment.model_copy(update={"data": experiment.data.model_copy(update={"crop": crop})})


def _pictures(records: Sequence[Record], experiment: Experiment) -> Pictures:
    return Pictures(records, experiment.data, past_frames=Framing.of(experiment).past_frames)


def _with_fixed_thresholds(subject: Subject, pictures: Pictures) -> Subject:
    """Where the run has chosen no thresholds, those of the plain pictures hold for all conditions."""
    plain = measure(subject, pictures, conditions(subject.experiment.augment)[0])
    return replace(subject, scoring=scoring_for(subject.experiment, thresholds=plain.evaluation.thresholds))


def _measure_all(
    subject: Subject, pictures: Mapping[str, Pictures], tried: Sequence[Condition], *, tell: Tell
) -> dict[str, dict[str, Measured]]:
    """By part and condition."""
    measured: dict[str, dict[str, Measured]] = {}
    total, done = len(pictures) * len(tried), 0
    for part, some in pictures.items():
        measured[part] = {}
        for condition in tried:
            tell(f"{part}: {condition.words}", done, total)
            if condition.key != STRANGERS or len(some.records) > 1:
                measured[part][condition.key] = measure(subject, some, condition)
            done += 1
    tell("", total, total)
    return measured


def _judged(
    run: Path,
    dataset: Dataset,
    subject: Subject,
    parts: Sequence[Part],
    pictures: Mapping[str, Pictures],
    tried: Sequence[Condition],
    measured: Mapping[str, Mapping[str, Measured]],
    *,
    main: str,
    seconds: float,
) -> Audit:
    scoring, augment = subject.scoring, subject.experiment.augment
    plain = {part: found[PLAIN] for part, found in measured.items()}
    known = {name: value.value for name, value in plain[main].evaluation.metrics.items()}
    metric = Measure(name=scoring.choose(known), less_is_better=scoring.less_is_better)
    loss = Measure(name=LOSS, less_is_better=True)
    tables = {part: {key: each.table for key, each in found.items()} for part, found in measured.items()}
    by_measure = [effects(tables, plain=PLAIN, measure=one) for one in (metric, loss)]
    rows = [
        _row(condition, part, by_measure[0].get((part, condition.key)), by_measure[1].get((part, condition.key)))
        for part, found in measured.items()
        for condition in tried
        if condition.key in found and condition.key != PLAIN
    ]
    rows.sort(key=lambda row: (row.part != main, row.part, row.axis == STRANGERS, -row.harm))
    told = Told(metric=describe(metric.name, task=plain[main].evaluation.task), loss=describe(LOSS))
    own = [row for row in rows if row.part == main]
    findings = find_skew(own, told=told, setting=lambda what: setting(augment, what))
    if TRAIN in plain and VAL in plain:
        findings += _overfitting(plain[TRAIN], plain[VAL], metric=metric, loss=loss, told=told)
    findings += _about_pictures(subject, pictures[main], measured[main], own, part=main, told=told)
    worst = most_harmful(own)
    return Audit(
        run=run,
        data=dataset.root,
        task=plain[main].evaluation.task,
        metric=metric,
        parts=tuple(parts),
        main=main,
        rows=tuple(rows),
        plain={part: _plain_values(each, metric) for part, each in plain.items()},
        findings=tuple(sorted(findings, key=lambda finding: ORDER[finding.severity])),
        notes=tuple(_notes(subject, parts, plain, main=main)),
        examples=tuple(examples(subject, pictures[main], plain[main], measured[main][worst.key])) if worst else (),
        seconds=seconds,
    )


def _row(condition: Condition, part: str, metric: Effect | None, loss: Effect | None) -> Row:
    return Row(
        key=condition.key,
        axis=condition.axis,
        what=condition.what,
        level=condition.level,
        words=condition.words,
        part=part,
        metric=metric,
        loss=loss,
    )


def _plain_values(measured: Measured, metric: Measure) -> tuple[float | None, float | None]:
    once = np.ones((1, len(measured.table)))
    found = [measured.table.values(name, once)[0] if name in measured.table.names else None
             for name in (metric.name, LOSS)]  # fmt: skip
    first, second = (None if value is None or not np.isfinite(value) else float(value) for value in found)
    return first, second


def _overfitting(train: Measured, val: Measured, *, metric: Measure, loss: Measure, told: Told) -> list[Finding]:
    by_metric, by_loss = (between_parts(val.table, train.table, measure=one) for one in (metric, loss))
    errors = (0.0, 0.0) if by_metric is None else (metric.error(by_metric.plain), metric.error(by_metric.value))
    return find_overfitting(by_metric, by_loss, errors=errors, told=told)


def _about_pictures(
    subject: Subject,
    pictures: Pictures,
    measured: Mapping[str, Measured],
    rows: Sequence[Row],
    *,
    part: str,
    told: Told,
) -> list[Finding]:
    """What the plain pictures, and the pixels of others, give away."""
    plain = measured[PLAIN]
    details = plain.evaluation.details
    classes = subject.experiment.classes
    findings = find_miscalibration(details, part=part) + find_confusion(details, classes, part=part)
    units = plain.table.units
    strange = next((row for row in rows if row.axis == STRANGERS), None)
    if strange is not None:
        findings += find_ignored_pictures(strange, units=int(units.max()) + 1, told=told)
    if subject.experiment.codec.finds != "points":
        return findings
    truth = np.stack([record.points_xy for record in pictures.records])
    visible = np.stack([record.visible for record in pictures.records])
    skeleton = subject.experiment.skeleton.skeleton()
    placed = {key: _in_input(measured[key]) for key in (PLAIN, STRANGERS) if key in measured}
    truth = _mapped(truth, plain.to_input)
    findings += find_twins(placed[PLAIN], truth, visible, skeleton=skeleton, units=units, part=part)
    if STRANGERS in placed:
        errors = {key: np.linalg.norm(found - truth, axis=-1) * visible for key, found in placed.items()}
        findings += find_memorised_points(
            errors[PLAIN],
            errors[STRANGERS],
            visible,
            spread=_spread(placed[PLAIN], visible) / np.maximum(_spread(truth, visible), 1e-9),
            names=skeleton.names,
            units=units,
            part=part,
        )
    return findings


def _in_input(measured: Measured) -> np.ndarray:
    """Found points [N, K, 2] in pixels of the input, which are the same for large and small pictures."""
    found = np.stack([each.points_xy for each in measured.found if isinstance(each, FoundPoints)])
    return _mapped(found, measured.to_input)


def _mapped(points_xy: np.ndarray, to_input: np.ndarray) -> np.ndarray:
    return np.stack([Affine(matrix).points(xy) for matrix, xy in zip(to_input, points_xy, strict=True)])


def _spread(points_xy: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Standard deviation of each point over the pictures that show it, [K]; 0 where fewer than two do."""
    count = np.maximum(visible.sum(axis=0), 1)[:, None]
    weights = visible[..., None]
    middle = (points_xy * weights).sum(axis=0) / count
    return np.sqrt((((points_xy - middle) ** 2) * weights).sum(axis=(0, 2)) / count[:, 0])


def _notes(subject: Subject, parts: Sequence[Part], plain: Mapping[str, Measured], *, main: str) -> list[str]:
    """What limits the audit."""
    told = [
        f"{part.name}: {len(part.records):,} of {part.total:,} pictures, chosen at random; --images takes more."
        for part in parts
        if len(part.records) < part.total
    ]
    units = {part: int(each.table.units.max()) + 1 for part, each in plain.items()}
    for part, count in units.items():
        if count < LEAST_UNITS:
            told.append(f"{part}: {counted(count, 'picture, clip or group')} can show large effects at most.")
        elif count < len(plain[part].table):
            told.append(f"{part}: its pictures are of {count} clips or groups, which are resampled as wholes.")
    names = [part.name for part in parts]
    if TRAIN not in names or VAL not in names:
        told.append("Overfitting is not judged: it takes pictures of the run's training and of its validation part.")
    left_out = not_tried(subject.experiment.augment)
    if left_out:
        told.append(f"Not tried, since they show another part of the picture: {', '.join(left_out)}.")
    if main == TRAIN:
        told.append(
            "Only training pictures were at hand: effects on pictures that the network has not seen may differ."
        )
    return told
