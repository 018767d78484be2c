"""Filmstrips of the moments where the most goes wrong: a slider over the frames, with truth and prediction drawn.

A moment is one SVG in pixels of the original frames, cut to where the point and the predictions are; the page's script
shows the frame that the slider stands at. Next: page.py
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from sightline.geometry import Box, box_around
from sightline.report.pictures import embedded, picture_of
from sightline.report.run_folder import RunFolder
from sightline.report.story import picture_roots
from sightline.report.track_facts import FrameFacts, Moment, Place, clips_of, worst_moments
from sightline.report.track_words import OUTCOME_WORDS
from sightline.report.words import figure

_MOMENTS, _REACH = 4, 12
_TRAIL = 8  # earlier frames whose places stay drawn
_MOST_PIXELS = 480 * 270
_LEAST_SIDE, _LEAST_SHARE = 160.0, 0.2  # of what is shown: pixels, and of the frame's width


def filmstrips(run: RunFolder) -> str:
    """The worst moments, each with a slider."""
    moments = worst_moments(clips_of(run), most=_MOMENTS, reach=_REACH)
    if not moments:
        return ""
    roots = picture_roots(run)
    strips = "".join(_strip(moment, roots=roots) for moment in moments)
    layers = (("truth", "truth"), ("guess", "prediction"), ("gap", "error"))
    controls = "".join(
        f'<label class="{kind}"><input type="checkbox" checked data-layer="{kind}"><i></i>{text}</label>'
        for kind, text in layers
    )
    keys = "".join(f'<li><i class="{name.lower()}"></i>{title}</li>' for name, (title, _) in OUTCOME_WORDS.items())
    return (
        f'<div class="controls" role="group" aria-label="What is drawn">{controls}</div>'
        f'<div class="films">{strips}</div><ul class="outcome-keys">{keys}</ul>'
        '<p class="fine">Drag a slider, or choose it and press the arrow keys. It begins at the worst frame. Lines are '
        f"the last {_TRAIL} frames. The picture is cut to where the point and the predictions are.</p>"
        "<noscript><p>The sliders need the page's script, which is switched off here.</p></noscript>"
    )


def _strip(moment: Moment, *, roots: Sequence[Path]) -> str:
    worst = moment.frames[moment.worst]
    _, _, size_hw = picture_of(worst.entry, roots=roots)
    area = _area(moment.frames, size_hw=size_hw)
    x0, y0, x1, y1 = area
    complaints: dict[str, None] = {}
    shots = ""
    for place, frame in enumerate(moment.frames):
        shot, complaint = _shot(moment.frames, place, area=area, roots=roots)
        if complaint:
            complaints[complaint] = None
        on = " on" if place == moment.worst else ""
        shots += f'<g class="shot{on}" data-said="{escape(_said(frame), quote=True)}">{shot}</g>'
    bar = "".join(f'<i class="{frame.outcome.lower()}"></i>' for frame in moment.frames)
    notes = "".join(f'<p class="missing">{escape(note)}</p>' for note in complaints)
    name = escape(moment.clip, quote=True)
    last = len(moment.frames) - 1
    return (
        f'<figure class="film"><svg viewBox="{x0:.1f} {y0:.1f} {x1 - x0:.1f} {y1 - y0:.1f}" role="img" '
        f'aria-label="{name}">{shots}</svg>{notes}<input type="range" min="0" max="{last}" value="{moment.worst}" '
        f'step="1" aria-label="Frame of {name}"><div class="outcome-bar" aria-hidden="true">{bar}</div><figcaption>'
        f'<span class="clip"><bdi>{escape(moment.clip)}</bdi></span><output>{escape(_said(worst))}</output>'
        "</figcaption></figure>"
    )


def _shot(frames: Sequence[FrameFacts], place: int, *, area: Box, roots: Sequence[Path]) -> tuple[str, str]:
    """One frame with what is drawn on it, and what is wrong with its picture."""
    frame = frames[place]
    picture, complaint, _ = picture_of(frame.entry, roots=roots)
    left, top, right, bottom = (
        int(np.floor(area[0])),
        int(np.floor(area[1])),
        int(np.ceil(area[2])),
        int(np.ceil(area[3])),
    )
    inner = ""
    if picture is not None:
        part = np.ascontiguousarray(picture[max(0, top) : bottom, max(0, left) : right])
        if part.size:
            pixels = embedded(part, most_pixels=_MOST_PIXELS)
            inner = f'<g transform="translate({max(0, left)} {max(0, top)})">{pixels}</g>'
    radius = (area[2] - area[0]) * 0.014
    past = frames[max(0, place - _TRAIL) : place + 1]
    gap = ""
    if frame.truth is not None and frame.guess is not None:
        gap = _path([frame.truth, frame.guess], width=radius * 0.5)
    return (
        f'{inner}<g class="gap">{gap}</g>'
        f'<g class="truth">{_trail([one.truth for one in past], width=radius * 0.3)}'
        f"{_circle(frame.truth, radius=radius * 1.5, width=radius * 0.45)}</g>"
        f'<g class="guess">{_trail([one.guess for one in past], width=radius * 0.3)}'
        f"{_circle(frame.guess, radius=radius * 0.75, width=radius * 0.2)}</g>"
    ), complaint


def _area(frames: Sequence[FrameFacts], *, size_hw: tuple[int, int]) -> Box:
    """The part of the frame that holds all places of the moment, as wide for its height as the frame, inside of it."""
    height, width = size_hw
    places = [place for frame in frames for place in (frame.truth, frame.guess) if place is not None]
    if not places:
        return (0.0, 0.0, float(width), float(height))
    inside = np.clip(np.array(places), 0.0, [width, height])
    x0, y0, x1, y1 = box_around(inside)
    scale = max(1.3 * (x1 - x0) / width, 1.3 * (y1 - y0) / height, _LEAST_SHARE, _LEAST_SIDE / width)
    scale = min(1.0, scale)
    w, h = width * scale, height * scale
    left = min(max(0.0, (x0 + x1 - w) / 2), width - w)
    top = min(max(0.0, (y0 + y1 - h) / 2), height - h)
    return (left, top, left + w, top + h)


def _said(frame: FrameFacts) -> str:
    title, _ = OUTCOME_WORDS[frame.outcome]
    apart = f", {figure(frame.error)} px off" if frame.error is not None and frame.guess is not None else ""
    return f"frame {frame.number:,}: {title.lower()}{apart}"


def _trail(places: Sequence[Place | None], *, width: float) -> str:
    known: list[list[Place]] = [[]]
    for place in places:
        if place is None:
            known.append([])
        else:
            known[-1].append(place)
    return "".join(_path(piece, width=width) for piece in known if len(piece) > 1)


def _path(places: Sequence[Place], *, width: float) -> str:
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    return f'<path d="M{line}" stroke-width="{width:.2f}"/>'


def _circle(place: Place | None, *, radius: float, width: float) -> str:
    if place is None:
        return ""
    return f'<circle cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="{radius:.2f}" stroke-width="{width:.2f}"/>'
