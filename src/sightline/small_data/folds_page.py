"""The page of a cross-validation: every fold with its interval, how they trained, the worst pictures of all.

In: a `FoldSummary` and its folder. Out: OUT/report.html.
Next: subsets.py
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from sightline.files import write_atomically
from sightline.report import story, track_film
from sightline.report.charts import Series, line_chart, linear_axis, thin_out, tick_text
from sightline.report.run_folder import RunFolder, read_run_folder
from sightline.report.sections import headline
from sightline.report.tables import Line, cell, number_table
from sightline.report.values import number, section
from sightline.report.words import counted, describe
from sightline.small_data.folds_summary import FoldSummary
from sightline.small_data.folds_words import fold_span, sentences
from sightline.small_data.page import page

_TONES = 7  # of the page's colours


def write_folds_page(found: FoldSummary) -> Path:
    """Write OUT/report.html.

    Raises:
        UserError: a file of a run that only the page needs is damaged, or it cannot be written.
    """
    path = found.path / "report.html"
    write_atomically(path, render(found))
    return path


def render(found: FoldSummary) -> str:
    """The whole page."""
    repeats = [read_run_folder(run.path) for run in found.made.lines[0].arm.runs]
    folds = [read_run_folder(found.path / fold.name) for fold in found.folds]
    first = repeats[0]
    lead = "".join(f"<p>{escape(_sentence(line))}</p>" for line in sentences(found))
    name = str(first.run.get("recipe") or found.path.resolve().name)
    each = len(found.folds) // len(repeats)
    origin = f"{counted(len(repeats), 'repeat')} of {each} folds, {counted(found.made.pictures, 'picture')}"
    pictures = track_film.filmstrips(first) if first.task == "track" else story.pictures(first)
    sections = (
        ("folds", "Folds", _forest(found) + _table(found)),
        ("metrics", "All pictures", _metrics(repeats)),
        ("curves", "Curves", _curves(found, folds)),
        ("pictures", "Pictures", pictures),
        ("settings", "Settings", story.settings(first)),
    )
    notes = [
        "A picture's prediction comes from the network of the fold that it was kept out of. Best weights were picked "
        "on the same pictures, so scores are a little too good; a test set of its own would say by how much.",
        *(f"{folder.path.name}: {note}" for folder in folds for note in folder.notes),
    ]
    if len(repeats) > 1:
        notes.insert(0, "The headline, pictures and settings are those of repeat-0.")
    return page(
        name, kind="folds", origin=origin, head=headline(first) + lead, sections=sections, notes=notes,
        scripts=("report.js", *(("track.js",) if first.task == "track" else ())),
    )  # fmt: skip


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _forest(found: FoldSummary) -> str:
    """The folds' values with their intervals below each other, and a line at the value over all pictures."""
    metric = describe(found.metric)
    known = [fold for fold in found.folds if fold.value is not None]
    if not known:
        return ""
    middle = found.made.lines[0].found.value
    ends = [
        value * metric.factor
        for fold in known
        for value in (fold.value, fold.low, fold.high, middle)
        if value is not None
    ]
    axis = linear_axis(min(ends), max(ends))
    width, row, left = 440, 24, 64
    height = row * len(known) + 34

    def at(value: float) -> float:
        return axis.place(value * metric.factor, start=left, end=width - 14)

    drawn = f'<line class="zero" x1="{at(middle):.1f}" x2="{at(middle):.1f}" y1="4" y2="{height - 26}"/>'
    for place, fold in enumerate(known):
        y = row * place + 16
        value = fold.value or 0.0
        drawn += f'<g><text x="4" y="{y + 5}">{escape(fold.name)}</text>'
        if fold.low is not None and fold.high is not None:
            drawn += f'<line class="span" x1="{at(fold.low):.1f}" x2="{at(fold.high):.1f}" y1="{y}" y2="{y}"/>'
        drawn += f'<circle cx="{at(value):.1f}" cy="{y}" r="5"/></g>'
    bottom = height - 24
    for tick in axis.ticks:
        x = axis.place(tick, start=left, end=width - 14)
        drawn += f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 5}"/>'
        drawn += f'<text class="tick" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{tick_text(tick)}</text>'
    unit = f", {metric.unit}" if metric.unit else ""
    title = f"{metric.title} of every fold{unit}"
    return (
        f'<svg class="forest" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title, quote=True)}">'
        f'{drawn}</svg><p class="fine">{escape(title)}, with 95 % intervals over its own pictures; dashed: all '
        "pictures.</p>"
    )


def _table(found: FoldSummary) -> str:
    metric = describe(found.metric)
    lines = [
        Line(
            name=fold.name,
            cells=[
                cell(f"{fold.train:,}"),
                cell(f"{fold.val:,}"),
                cell(metric.show(fold.value)),
                cell(fold_span(fold, found)),
                f'<td><a href="{escape(fold.name, quote=True)}/report.html">report</a></td>',
            ],
        )
        for fold in found.folds
    ]
    return number_table(("Fold", "train", "validate", metric.title, "95 % interval", ""), lines)


def _metrics(repeats: Sequence[RunFolder]) -> str:
    """Every metric over all pictures: mean and spread of the repeats, or the interval of the one."""
    measured = [section(run.evaluation, "metrics") for run in repeats]
    lines = []
    for name in measured[0]:
        metric = describe(name, task=repeats[0].task)
        values = [number(section(each, name).get("value")) for each in measured]
        known = [value for value in values if value is not None]
        if not known:
            continue
        interval = section(measured[0], name)
        low, high = number(interval.get("low")), number(interval.get("high"))
        span = "\u2013" if low is None or high is None else metric.show_range(low, high)
        cells = [cell(metric.show(sum(known) / len(known))), cell(span)]
        if len(repeats) > 1:
            cells.append(cell(f"{metric.show(min(known))} \u2026 {metric.show(max(known))}"))
        lines.append(Line(name=metric.title, cells=cells))
    head = ["Metric", "value", "95 % interval" if len(repeats) == 1 else "95 % interval of repeat-0"]
    if len(repeats) > 1:
        head[1:2] = ["mean"]
        head.append("repeats from \u2026 to")
    links = ", ".join(f'<a href="{run.path.name}/report.html">{run.path.name}</a>' for run in repeats)
    return number_table(head, lines) + f'<p class="fine">Full reports over all pictures: {links}.</p>'


def _curves(found: FoldSummary, folds: Sequence[RunFolder]) -> str:
    """The metric in validation and the loss, a line a fold of the first repeat."""
    metric = describe(found.metric)
    first = [run for run, fold in zip(folds, found.folds, strict=True) if fold.repeat == 0][:_TONES]
    charts = [
        _chart(first, key=found.metric, title=f"{metric.title}, validation", y_label=metric.unit, factor=metric.factor),
        _chart(first, key="loss", title="Loss, validation", y_label="loss", factor=1.0),
    ]
    drawn = "".join(charts)
    left = len(folds) - len(first)
    more = f'<p class="fine">The other {left} folds are not drawn.</p>' if left else ""
    return f'<div class="charts">{drawn}</div>{more}' if drawn else ""


def _chart(folds: Sequence[RunFolder], *, key: str, title: str, y_label: str, factor: float) -> str:
    series = []
    for run in folds:
        pairs = [(number(row.get("step")), number(row.get(key))) for row in run.val_rows]
        known = [(x, y * factor) for x, y in pairs if x is not None and y is not None]
        if known:
            x, y, _ = thin_out([x for x, _ in known], [y for _, y in known])
            tone = f"k{len(series) % _TONES}"
            series.append(Series(name=run.path.name, x=x, y=y, tone=tone, dots=len(x) <= 12))
    return line_chart(series, title=title, x_label="step", y_label=y_label) if series else ""
