"""The journey page: versions in order, what each changed and brought, curves and pictures side by side.

In: a `Comparison`. Out: one HTML file that needs nothing else; its content security policy forbids it to load.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

from sightline.compare.comparison import Comparison, between
from sightline.compare.journey_curves import curves
from sightline.compare.journey_parts import costs, forest, score_table, settings, step
from sightline.compare.journey_pictures import pictures
from sightline.compare.scores import common_metrics
from sightline.compare.words import notes, sentence
from sightline.files import write_atomically
from sightline.report.frame import frame, with_links
from sightline.report.run_folder import RunFolder, read_run_folder
from sightline.report.words import counted, describe

_SHEETS = (("sightline.report", "boxes.css"), ("sightline.compare", "journey.css"))


def write_journey(made: Comparison, path: Path) -> None:
    """Write the page.

    Raises:
        UserError: a file of a run that only the page needs (predictions, logged lines) is damaged, or it cannot be
            written.
    """
    write_atomically(path, render(made))


def render(made: Comparison) -> str:
    """The whole page."""
    folders = [[read_run_folder(run.path) for run in line.arm.runs] for line in made.lines]
    sections = (
        ("scores", "Scores", score_table(made)),
        ("versions", "Versions", _versions(made)),
        ("curves", "Curves", curves(made, folders)),
        ("pictures", "Pictures", pictures(made, [each[0] for each in folders])),
        ("costs", "Costs", costs(made)),
        ("settings", "Settings", settings(made)),
    )
    links, body = with_links(sections)
    names = [line.arm.name for line in made.lines]
    title = f"{names[0]} to {names[-1]}" if len(names) > 1 else names[0]
    return frame(
        title=title,
        kind="compare",
        header=f'<p class="origin">{counted(len(names), "version")} on {counted(made.pictures, "picture")}, data '
        f"<b>{escape(made.first_run.fingerprint)}</b></p><h1>{escape(title)}</h1>{_lead(made)}{forest(made)}{links}",
        main=body,
        sheets=_SHEETS,
        scripts=("report.js",),
        notes=[*notes(made), *_gaps(folders)],
    )


def _lead(made: Comparison) -> str:
    """What came out, in a sentence or two."""
    judged = [line for line in made.lines if line.difference is not None]
    base = made.lines[made.baseline].arm.name
    parts = []
    for verdict in ("better", "worse", "cannot tell"):
        names = [line.arm.name for line in judged if line.difference and line.difference.verdict == verdict]
        if names:
            said = f"{verdict} than {base}" if verdict != "cannot tell" else f"not to be told from {base}"
            parts.append(f"{', '.join(names)}: {said}")
    if not parts:
        return f'<p class="lead">{escape(base)} alone: nothing to compare it with.</p>'
    metric = describe(made.metric)
    better = "less is better" if made.less_is_better else "more is better"
    return f'<p class="lead">By {escape(metric.title)} ({better}), {escape("; ".join(parts))}.</p>'


def _versions(made: Comparison) -> str:
    """One entry a version: what it changed, and what that brought against the version before."""
    metrics = common_metrics([run for line in made.lines for run in line.arm.runs])
    entries = ""
    for place, line in enumerate(made.lines):
        said = f"<p>{escape(sentence(line, made))}</p>" if line.difference is not None else "<p>The baseline.</p>"
        brought = ""
        if place:
            before = made.lines[place - 1].arm
            brought = step(line.arm, before, between(made.scores, before, line.arm, metrics))
        entries += f"<li><h3>{place + 1}. {escape(line.arm.name)}</h3>{said}{brought}</li>"
    return f'<ol class="versions">{entries}</ol>'


def _gaps(folders: list[list[RunFolder]]) -> list[str]:
    """What the runs' own files lack."""
    return [f"{folder.path.name}: {note}" for runs in folders for folder in runs for note in folder.notes]
