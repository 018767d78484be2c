"""The page of an audit: findings, charts of changes, pictures before and after, all numbers.

One HTML file that needs nothing else; its content security policy forbids it to load. Next: ../cli/audit.py
"""

from __future__ import annotations

from html import escape
from pathlib import Path

import cv2
import numpy as np

from sightline.audit.chart import differences
from sightline.audit.differences import Effect
from sightline.audit.examples import Example
from sightline.audit.findings import CHECKS, Finding
from sightline.audit.run import Audit
from sightline.audit.table import reading
from sightline.compare.words import p_text, signed, span
from sightline.files import write_atomically
from sightline.report.frame import frame, image_tag, scaled, with_links
from sightline.report.tables import Line, cell, number_table
from sightline.report.words import Metric, counted, describe, figure

_SHEETS = (("sightline.compare", "journey.css"), ("sightline.audit", "page.css"))
_SIDE = 360  # of an embedded picture
_PARTS = {"train": "training pictures", "val": "validation pictures", "data": "pictures that the run does not know"}


def write_page(made: Audit, path: Path) -> Path:
    """Write the page; raises UserError where the file cannot be written."""
    write_atomically(path, render(made))
    return path


def render(made: Audit) -> str:
    """The whole page."""
    name = made.run.resolve().name
    sections = (
        ("findings", "Findings", _findings(made)),
        ("changes", "Changes", _charts(made)),
        ("pictures", "Pictures", _pictures(made)),
        ("numbers", "Numbers", "".join(_numbers(made, part.name) for part in made.parts)),
    )
    links, body = with_links(sections)
    return frame(
        title=name,
        kind="audit",
        header=f'<p class="origin">Run <b>{escape(name)}</b> on <b>{escape(made.data.resolve().name)}</b></p>'
        f"<h1>Audit</h1>{_lead(made)}{links}",
        main=body,
        sheets=_SHEETS,
        notes=[*reading(made), *made.notes],
    )


def _lead(made: Audit) -> str:
    """The plain scores, and how much was found."""
    metric, loss = _metrics(made)
    told = "; ".join(
        f"{counted(len(part.records), 'picture')} of {part.name}: {metric.title} "
        f"{metric.show(made.plain[part.name][0])}, loss {loss.show(made.plain[part.name][1])}"
        for part in made.parts
    )
    counts = [(sum(one.severity == severity for one in made.findings), severity) for severity in ("error", "warning")]
    grave = ", ".join(counted(count, severity) for count, severity in counts if count) or "no error and no warning"
    return f'<p class="lead">Plain pictures, {escape(told)}. Found: {grave}.</p>'


def _metrics(made: Audit) -> tuple[Metric, Metric]:
    return describe(made.metric.name, task=made.task), describe("loss")


def _findings(made: Audit) -> str:
    listed = "".join(_finding(finding) for finding in made.findings)
    seen = {finding.id for finding in made.findings}
    others = [f"<li>{escape(meaning)} (<code>{id}</code>)</li>" for id, meaning in CHECKS.items() if id not in seen]
    rest = f"<details><summary>Looked for and not found ({len(others)})</summary><ul>{''.join(others)}</ul></details>"
    return f'<ul class="findings">{listed}</ul>{rest if others else ""}'


def _finding(finding: Finding) -> str:
    return (
        f'<li class="{finding.severity}"><h3>{finding.severity}: {finding.id} '
        f"<small>on {_PARTS[finding.part]}</small></h3><p>{escape(finding.text)}</p>"
        f'<p class="todo">{escape(finding.todo)}</p></li>'
    )


def _charts(made: Audit) -> str:
    """Metric and loss of the main part; the pixels of strangers would squeeze all others."""
    metric, loss = _metrics(made)
    rows = [row for row in made.rows_of(made.main) if row.axis != "strangers"]
    drawn = differences(
        [(row.words, row.metric) for row in rows if row.metric is not None],
        metric=metric,
        less_is_better=made.metric.less_is_better,
    ) + differences([(row.words, row.loss) for row in rows if row.loss is not None], metric=loss, less_is_better=True)
    return f'<div class="charts">{drawn}</div>' if drawn else ""


def _pictures(made: Audit) -> str:
    if not made.examples:
        return ""
    pairs = "".join(_pair(example) for example in made.examples)
    return (
        f"<p>What {escape(made.examples[0].words)} made worst: as the network saw it, plain and changed, with truth "
        f'and prediction.</p><div class="pairs">{pairs}</div>'
    )


def _pair(example: Example) -> str:
    name = escape(example.image_id, quote=True)
    before, after = example.errors
    return (
        f'<figure class="pair"><div>{_image(example.before, alt=f"{example.image_id}, plain")}'
        f"{_image(example.after, alt=f'{example.image_id}, changed')}</div><figcaption><b>error {figure(before)} to "
        f"{figure(after)}</b> {name}</figcaption></figure>"
    )


def _image(picture: np.ndarray, *, alt: str) -> str:
    return image_tag(scaled(picture, side=_SIDE, enlarge=cv2.INTER_AREA), alt=alt)


def _numbers(made: Audit, part: str) -> str:
    """A table of a part, the most harmful condition first."""
    metric, loss = _metrics(made)
    lines = [
        Line(name=row.words, cells=[*_cells(row.metric, metric), *_cells(row.loss, loss)]) for row in made.rows_of(part)
    ]
    head = ("Input", metric.title, "p", "Loss", "p")
    table = number_table(head, lines, most=12)
    return f"<h3>{escape(_PARTS[part].capitalize())}</h3>{table}"


def _cells(effect: Effect | None, metric: Metric) -> list[str]:
    if effect is None:
        return [cell("\u2013"), cell("\u2013")]
    sure = "sure" if effect.verdict != "cannot tell" else ""
    change = f'<span class="{sure}">{escape(signed(effect.difference, metric))}</span>'
    between = f"<small>{escape(span(effect.low, effect.high, metric))}</small>"
    said = f"<small>{effect.verdict}</small>" if sure else ""
    return [f"<td>{change}{between}</td>", f"<td>{escape(p_text(effect.p_corrected))}{said}</td>"]
