"""Puts the sections of a run's report into one HTML file that needs nothing else.

In: a run folder. Out: RUN/report.html. It opens from a disk, without a network, on a phone as on a
screen; its content security policy forbids the page to load anything.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path

from sightline.files import write_atomically
from sightline.report import (
    anchor_section,
    box_mistakes,
    box_sections,
    calibrated_section,
    curves,
    sections,
    story,
    track_film,
    track_sections,
)
from sightline.report.frame import frame, with_links
from sightline.report.run_folder import RunFolder, read_run_folder
from sightline.report.values import Task

Make = Callable[[RunFolder], str]
# Anchor, title, what makes it, and what to say when the run has nothing to show there (nothing, if that is no lack).
_FIRST: tuple[tuple[str, str, Make, str], ...] = (
    ("metrics", "Metrics", sections.metric_table, "no evaluation"),
    ("training", "Training", story.training, "no run.json"),
    ("curves", "Curves", curves.training_curves, "nothing was logged"),
)
_OF_TASK: dict[Task, tuple[tuple[str, str, Make, str], ...]] = {
    "points": (
        ("distribution", "Distribution", sections.error_curve, "no error curve"),
        ("points", "Error per point", sections.error_per_point, "no error per point"),
        ("pictures", "Pictures", story.pictures, "no predictions"),
        ("calibrated", "Probability and radius", calibrated_section.calibrated, ""),
        ("budget", "Error budget", sections.error_budget, "no error budget"),
    ),
    "boxes": (
        ("precision-recall", "Precision and recall", box_sections.precision_recall_curves, "no curves"),
        ("classes", "Classes", box_sections.classes, "no table of classes"),
        ("mistakes", "Mistakes", box_mistakes.mistakes, "no kinds of mistakes"),
        ("confusion", "Confusion", box_mistakes.confused, "no confusion matrix"),
        ("pictures", "Pictures", story.pictures, "no predictions"),
        ("scores", "Scores", box_sections.scores, "no bins of scores"),
        ("calibrated", "Probability and margin", calibrated_section.calibrated, ""),
        ("labels", "Labels", box_sections.labels, "no label statistics"),
        ("anchors", "Anchors", anchor_section.anchors, "no anchors were looked at"),
    ),
    "one-box": (
        ("distribution", "Distribution", box_sections.iou_reached, "no IoU curve"),
        ("classes", "Classes", box_sections.classes, "no table of classes"),
        ("confusion", "Confusion", box_mistakes.confused, "no confusion matrix"),
        ("pictures", "Pictures", story.pictures, "no predictions"),
        ("scores", "Scores", box_sections.scores, "no bins of scores"),
        ("calibrated", "Probability and margin", calibrated_section.calibrated, ""),
        ("labels", "Labels", box_sections.labels, "no label statistics"),
    ),
    "track": (
        ("outcomes", "Outcomes", track_sections.outcomes, "no counts of outcomes"),
        ("film", "Worst moments", track_film.filmstrips, "no predictions of frames"),
        ("trajectories", "Trajectories", track_sections.trajectories, "no predictions of frames"),
        ("distance", "Distance", track_sections.distance_curve, "no curve"),
        ("guessing", "Against guessing", track_sections.guessing, "no baselines"),
        ("visibility", "Visibility", track_sections.visibility, "no calibration"),
        ("clips", "Clips", track_sections.clip_table, "fewer than two clips"),
    ),
}
_SHEETS: dict[Task, tuple[str, ...]] = {
    "points": ("boxes.css", "calibrated.css"),
    "boxes": ("boxes.css", "calibrated.css"),
    "one-box": ("boxes.css", "calibrated.css"),
    "track": ("boxes.css", "track.css"),
}
_SCRIPTS: dict[Task, tuple[str, ...]] = {"points": (), "boxes": (), "one-box": (), "track": ("track.js",)}
_LAST: tuple[tuple[str, str, Make, str], ...] = (
    ("inside", "Inside the network", story.inside, "no score maps or filters"),
    ("settings", "Settings", story.settings, "no config.yaml"),
)


def write_report(run_dir: Path) -> Path:
    """Write RUN/report.html from what is in the run folder.

    A part that the folder does not hold is left out, with a note on the page.

    Returns:
        The page's path.

    Raises:
        UserError: the folder is no run folder, a file in it cannot be understood, or the page cannot be written.
    """
    run = read_run_folder(Path(run_dir))
    page = run.path / "report.html"
    write_atomically(page, render(run))
    return page


def render(run: RunFolder) -> str:
    """The whole page."""
    made = [(anchor, title, make(run), gap) for anchor, title, make, gap in (*_FIRST, *_OF_TASK[run.task], *_LAST)]
    gaps = [f"{title.lower()} ({gap})" for _, title, html, gap in made if gap and not html]
    links, body = with_links([(anchor, title, html) for anchor, title, html, _ in made])
    name = str(run.run.get("recipe") or run.path.resolve().name)
    origin = f'<p class="origin">Run <b>{escape(run.path.resolve().name)}</b></p>'
    return frame(
        title=name,
        kind="report",
        header=f"{origin}<h1>{escape(name)}</h1>{sections.headline(run)}{links}",
        main=body,
        sheets=[("sightline.report", sheet) for sheet in _SHEETS[run.task]],
        scripts=("report.js", *_SCRIPTS[run.task]),
        notes=[*run.notes, *([f"Left out: {', '.join(gaps)}."] if gaps else [])],
    )
