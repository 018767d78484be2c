"""The page of a learning curve: the forecast, the curve with its law and band, every run.

In: a `LearningCurve`. Out: OUT/learning-curve.html.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np

from sightline.files import write_atomically
from sightline.report.charts import Series, line_chart
from sightline.report.tables import Line, cell, number_table
from sightline.report.words import counted, describe
from sightline.small_data.curve import MORE, LearningCurve, mean_of, spread_of
from sightline.small_data.curve_words import labels_text, sentences
from sightline.small_data.page import page

_STEPS = 60  # of the drawn law


def write_curve_page(found: LearningCurve) -> Path:
    """Write OUT/learning-curve.html; raises UserError where it cannot be written."""
    path = found.path / "learning-curve.html"
    write_atomically(path, render(found))
    return path


def render(found: LearningCurve) -> str:
    """The whole page."""
    sections = (("curve", "Curve", _chart(found)), ("shares", "Shares", _shares(found)), ("runs", "Runs", _runs(found)))
    origin = f"{counted(len(found.runs), 'run')} on growing shares of the labels, {found.val:,} records to validate"
    notes = [
        "Every run is judged on the same validation records, which also picked its best weights; the forecast is about "
        "these records, and about more labels of the same kind.",
        "Within a seed each share holds the one before; each seed draws its own.",
    ]
    return page(found.recipe, kind="learning curve", origin=origin, head=_head(found), sections=sections, notes=notes)


def _head(found: LearningCurve) -> str:
    metric = describe(found.metric, task=found.task)
    number = ""
    if found.curve.forecasts:
        one = found.curve.forecasts[0]
        number = (
            f'<p class="number"><strong>{metric.show(one.value)}</strong> <span>{escape(metric.title)} with twice the '
            f'labels<span class="range">95\u202f% interval {metric.show_range(one.low, one.high)}</span></span></p>'
        )
    lines = sentences(found)
    rest = "".join(f"<p>{escape(line[0].upper() + line[1:])}.</p>" for line in lines[1:])
    return f'{number}<p class="lead">{escape(lines[0][0].upper() + lines[0][1:])}.</p>{rest}'


def _chart(found: LearningCurve) -> str:
    metric = describe(found.metric, task=found.task)
    factor = metric.factor
    shares = found.shares
    series = [
        Series(
            name="mean of the seeds",
            x=[mean_of([run.labels for run in runs]) for _, runs in shares],
            y=[mean_of([run.value for run in runs]) * factor for _, runs in shares],
            tone="a",
            dots=True,
        )
    ]
    law = found.curve.law
    if law is not None:
        x = np.geomspace(min(run.labels for run in found.runs), found.band.forecasts[-1].labels, _STEPS).tolist()
        series.append(Series(name="law", x=x, y=[law.score(n) * factor for n in x], tone="b"))
        band = found.band.forecasts
        for name, ends in (("95 % of runs: from", [b.low for b in band]), ("to", [b.high for b in band])):
            series.append(Series(name=name, x=[b.labels for b in band], y=[end * factor for end in ends], tone="c"))
    most = max(run.labels for run in found.runs)
    marks = [(float(most), "labels there are")] if law is not None else []
    drawn = line_chart(
        series, title=f"{metric.title} by labels", x_label="labelled records that train", y_label=metric.unit,
        marks=marks,
    )  # fmt: skip
    return f'<div class="charts">{drawn}</div>'


def _shares(found: LearningCurve) -> str:
    metric = describe(found.metric, task=found.task)
    lines = []
    for share, runs in found.shares:
        values = [run.value for run in runs]
        law = found.curve.law
        fitted = "\u2013" if law is None else metric.show(law.score(mean_of([run.labels for run in runs])))
        cells = [labels_text([run.labels for run in runs]), metric.show(mean_of(values)),
                 metric.show(spread_of(values)), fitted]  # fmt: skip
        lines.append(Line(name=f"{share:g} %", cells=[cell(text) for text in cells]))
    for one in found.curve.forecasts:
        span = metric.show_range(one.low, one.high)
        cells = [cell(f"{one.labels:,}"), cell("\u2013"), cell("\u2013")]
        fitted = f"<td>{escape(metric.show(one.value))}<small>{escape(span)}</small></td>"
        lines.append(Line(name=f"{MORE} x all", cells=[*cells, fitted]))
    return number_table(("Share", "labels", f"mean {metric.title}", "spread over seeds", "law"), lines)


def _runs(found: LearningCurve) -> str:
    metric = describe(found.metric, task=found.task)
    lines = []
    for run in found.runs:
        known = run.low is not None and run.high is not None
        span = metric.show_range(run.low or 0.0, run.high or 0.0) if known else "\u2013"
        cells = [cell(f"{run.labels:,}"), cell(metric.show(run.value)), cell(span)]
        cells.append(f'<td><a href="{escape(run.name, quote=True)}/report.html">report</a></td>')
        lines.append(Line(name=run.name, cells=cells))
    return number_table(("Run", "labels", metric.title, "95 % interval, pictures", ""), lines, most=24)
