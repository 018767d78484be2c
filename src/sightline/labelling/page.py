"""The contact sheet of `next`: the first pictures with what the model guesses drawn on them, and why they were chosen.

One HTML file that needs nothing else, as the report's. Next: match.py
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np

from sightline.files import write_atomically
from sightline.images import read_image
from sightline.labelling.choose import Choice
from sightline.predict_files import Names
from sightline.writers import BoxPrediction, Prediction
from sightline.writers.overlay import draw_boxes, draw_overlay

MOST_PICTURES = 60
_SIDE = 420
_QUALITY = 82
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


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
    style = "".join(
        files(package).joinpath(sheet).read_text(encoding="utf-8")
        for package, sheet in (("sightline.report", "style.css"), ("sightline.labelling", "page.css"))
    )
    models = ", ".join(escape(Path(name).name) for name in told.models)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>To label next - sightline</title><style>{style}</style></head><body>"
        f'<header><p class="origin">Chosen by <b>{models}</b></p><h1>To label next</h1>'
        f'<p class="lead">{len(choices):,} of {told.looked_at:,} pictures and frames, the first being worth most. '
        f"What is drawn is the model's guess.</p></header>"
        '<main><section id="pictures"><h2>Pictures</h2><div class="content">'
        f'<div class="sheet">{tiles}</div>{rest}</div></section>'
        f'<section id="how"><h2>How they were chosen</h2><div class="content"><p>{escape(told.how)}</p></div></section>'
        "</main><footer><p>Made by sightline.</p></footer></body></html>\n"
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
    height, width = picture.shape[:2]
    scale = _SIDE / max(height, width)
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    drawn = _with_guess(small, guess, names, np.array([size_wh[0] / width, size_wh[1] / height]))
    _, data = cv2.imencode(".jpg", drawn[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    text = base64.b64encode(data.tobytes()).decode()
    alt = escape(choice.seen.candidate.name, quote=True)
    return f'<img alt="{alt}" width="{size_wh[0]}" height="{size_wh[1]}" src="data:image/jpeg;base64,{text}">'


def _with_guess(picture: np.ndarray, guess: Prediction | BoxPrediction, names: Names, scale: np.ndarray) -> np.ndarray:
    if isinstance(guess, BoxPrediction):
        boxes = guess.boxes_xyxy * np.tile(scale, 2)
        return draw_boxes(picture, boxes_xyxy=boxes, labels=guess.labels, classes=names.classes, scores=guess.scores)
    return draw_overlay(picture, points_xy=guess.points_xy * scale, skeleton=names.skeleton, visible=guess.visible)
