"""The contact sheet of `next`: the first pictures with what the model guesses drawn on them, and why they were chosen.

One HTML file that needs nothing else, as the report's. Next: match.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from sightline.files import write_atomically
from sightline.images import read_image
from sightline.labelling.choose import Choice
from sightline.predict_files import Names
from sightline.report.frame import frame, image_tag, scaled, with_links
from sightline.writers import BoxPrediction, Prediction
from sightline.writers.overlay import draw_boxes, draw_overlay

MOST_PICTURES = 60
_SIDE = 420


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the page says beside the pictures.

    Attributes:
        models: who was asked, as the user called them.
        looked_at: how many pictures and frames.
        how: what disagreement means here, in a sentence.
    """

    models: Sequence[str]
    looked_at: int
    how: str


def write_page(choices: Sequence[Choice], path: Path, *, names: Names, told: Told) -> Path:
    """Write the page; raises UserError where the file cannot be written."""
    write_atomically(path, render(choices, names=names, told=told))
    return path


def render(choices: Sequence[Choice], *, names: Names, told: Told) -> str:
    """The whole page."""
    shown = choices[:MOST_PICTURES]
    tiles = "".join(_tile(choice, names) for choice in shown)
    more = len(choices) - len(shown)
    rest = f'<p class="fine">{more:,} more stand in next.csv.</p>' if more else ""
    models = ", ".join(escape(Path(name).name) for name in told.models)
    _, body = with_links(
        (
            ("pictures", "Pictures", f'<div class="sheet">{tiles}</div>{rest}'),
            ("how", "How they were chosen", f"<p>{escape(told.how)}</p>"),
        )
    )
    return frame(
        title="To label next",
        kind="",
        header=f'<p class="origin">Chosen by <b>{models}</b></p><h1>To label next</h1>'
        f'<p class="lead">{len(choices):,} of {told.looked_at:,} pictures and frames, the first being worth most. '
        "What is drawn is the model's guess.</p>",
        main=body,
        sheets=(("sightline.labelling", "page.css"),),
    )


def _tile(choice: Choice, names: Names) -> str:
    candidate = choice.seen.candidate
    reasons = "".join(f"<li>{escape(text)}</li>" for text in choice.why.split("; "))
    place = f", {candidate.time_s:.1f}&nbsp;s" if candidate.time_s is not None else ""
    return (
        f'<figure class="pick">{_drawn(choice, names)}<figcaption><p class="name"><b>{choice.rank}</b> '
        f"{escape(candidate.name)}{place}</p><ul>{reasons}</ul></figcaption></figure>"
    )


def _drawn(choice: Choice, names: Names) -> str:
    """The picture with the guess on it, as an <img>."""
    guess = choice.seen.guess
    picture = read_image(guess.path, channels=3)
    small = scaled(picture, side=_SIDE)
    scale = np.array([small.shape[1] / picture.shape[1], small.shape[0] / picture.shape[0]])
    return image_tag(_with_guess(small, guess, names, scale), alt=choice.seen.candidate.name, like=small)


def _with_guess(picture: np.ndarray, guess: Prediction | BoxPrediction, names: Names, scale: np.ndarray) -> np.ndarray:
    if isinstance(guess, BoxPrediction):
        boxes = guess.boxes_xyxy * np.tile(scale, 2)
        return draw_boxes(picture, boxes_xyxy=boxes, labels=guess.labels, classes=names.classes, scores=guess.scores)
    return draw_overlay(picture, points_xy=guess.points_xy * scale, skeleton=names.skeleton, visible=guess.visible)
