"""Training curves of all versions in one chart each: the metric in validation, and the loss of training.

Next: journey_pictures.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sightline.compare.comparison import Comparison
from sightline.report.charts import Series, line_chart, thin_out
from sightline.report.curves import MOST_LINES, best_and_worst
from sightline.report.run_folder import RunFolder
from sightline.report.values import Row, number
from sightline.report.words import describe

Rows = Callable[[RunFolder], list[Row]]


def curves(made: Comparison, folders: Sequence[Sequence[RunFolder]]) -> str:
    """Charts; of more versions than a chart can hold, those with the best and the worst scores."""
    names = [line.arm.name for line in made.lines]
    shown = best_and_worst(names, [line.found.value for line in made.lines])
    metric = describe(made.metric)
    charts = [
        _chart(names, folders, shown, title=f"{metric.title}, validation", y_label=metric.unit, key=made.metric,
               factor=metric.factor, rows=lambda run: run.val_rows),
        _chart(names, folders, shown, title="Loss, training", y_label="loss", key="loss", factor=1.0,
               rows=lambda run: run.train_rows),
        _chart(names, folders, shown, title="Loss, validation", y_label="loss", key="loss", factor=1.0,
               rows=lambda run: run.val_rows),
    ]  # fmt: skip
    drawn = "".join(charts)
    if not drawn:
        return ""
    left = len(names) - len(shown)
    more = f" {left} versions between the best and the worst are not drawn." if left else ""
    return (
        f'<div class="charts">{drawn}</div><p class="fine">Each line is the mean over the seeds of a version at steps '
        f"that all of them logged. Losses of different kinds cannot be compared.{more}</p>"
    )


def _chart(
    names: Sequence[str], folders: Sequence[Sequence[RunFolder]], shown: Sequence[str], *, title: str, y_label: str,
    key: str, factor: float, rows: Rows,
) -> str:  # fmt: skip
    series = []
    for name, runs in zip(names, folders, strict=True):
        if name not in shown:
            continue
        x, y = _mean([rows(run) for run in runs], key)
        if x:
            x, y, _ = thin_out(x, [value * factor for value in y])
            tone = f"k{len(series) % MOST_LINES}"
            series.append(Series(name=name, x=x, y=y, tone=tone, dots=len(x) <= 12))
    from_zero = key != "loss" and not describe(key).less_is_better
    if not series:
        return ""
    return line_chart(series, title=title, x_label="step", y_label=y_label, from_zero=from_zero)


def _mean(runs: Sequence[Sequence[Row]], key: str) -> tuple[list[float], list[float]]:
    """Steps that every run logged a value at, and the mean there."""
    columns = []
    for rows in runs:
        pairs = [(number(row.get("step")), number(row.get(key))) for row in rows]
        columns.append({step: value for step, value in pairs if step is not None and value is not None})
    steps = sorted(set.intersection(*(set(column) for column in columns)))
    return steps, [float(np.mean([column[step] for column in columns])) for step in steps]
