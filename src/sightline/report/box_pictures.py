"""Whole pictures with labelled and found boxes above them, and what became of each box.

The colour is the class; the line says the state, so that no state hangs on a colour: labelled boxes are
thin white dashes, right ones solid, wrong ones dotted with a cross, and an object that was missed has
corners only. Everything is in pixels of the original file.
Next: story.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path

import numpy as np

from sightline.geometry import iou
from sightline.report.box_facts import class_names, thresholds, wrong
from sightline.report.box_labels import TEXT, TEXT_PANORAMA, Label, Places
from sightline.report.box_states import FoundBox, Judged, TrueBox, judge
from sightline.report.pictures import embedded, picture_of
from sightline.report.run_folder import RunFolder
from sightline.report.values import Row
from sightline.report.words import figure

COLOURS = 8  # looks of classes in boxes.css; more classes share them
PANORAMA = 4  # so much wider than high, a picture gets a row of its own
_UNKNOWN = 0.5  # threshold where no operating point is known
_MOST_LETTERS = 24  # of a class's name on a picture
_MOST_KEPT = 100  # detections of a picture in predictions.json
_MOST_PIXELS = 250_000
_REASONS = {
    "place": "off its place",
    "both": "off its place, on {other}",
    "class": "is {other}",
    "duplicate": "found before",
    "background": "nothing there",
}


def box_tiles(run: RunFolder, groups: Sequence[tuple[str, Sequence[Row]]], *, roots: Sequence[Path]) -> str:
    """Titled groups of tiles with their legend.

    Raises:
        UserError: a box in predictions.json has a label that is no class.
    """
    entries = [entry for _, chosen in groups for entry in chosen]
    classes = _classes(run, entries)
    limits = {name: 0.0 for name in classes} if run.task == "one-box" else thresholds(run)
    known = bool(limits)
    limits = limits or {name: _UNKNOWN for name in classes}
    judged = iter(judge(entries, classes=classes, thresholds=limits))
    out, shown = "", set()
    for title, chosen in groups:
        tiles = ""
        for _ in chosen:
            one = next(judged)
            shown |= {box.label for box in (*one.found, *one.truth)}
            tiles += _tile(one, classes=classes, roots=roots, is_one=run.task == "one-box")
        if chosen:
            out += f'<h3>{escape(title)}</h3><div class="tiles wide">{tiles}</div>'
    return f"{_controls()}{_legend(sorted(shown), classes)}{out}{_remarks(run, is_known=known)}"


def _classes(run: RunFolder, entries: Sequence[Row]) -> tuple[str, ...]:
    """Names of all labels; numbers where no file names them."""
    labels = [one["label"] for entry in entries for key in ("objects", "detections") for one in entry[key]]
    names = class_names(run)
    if not names:
        return tuple(f"class {label}" for label in range(max(labels, default=0) + 1))
    if max(labels, default=0) >= len(names):
        complaint = f"a box has the label {max(labels)}, but there are {len(names)} classes, counted from 0"
        raise wrong(run, complaint, name="evaluation/predictions.json")
    return names


def _remarks(run: RunFolder, *, is_known: bool) -> str:
    if run.task == "one-box":
        text = "Ranked by IoU, those with a wrong class before all others."
    else:
        drawn = "Drawn are boxes whose score reaches the threshold of their class."
        if not is_known:
            drawn = f"The thresholds are not known here: boxes are drawn from a score of {_UNKNOWN} on."
        text = f"Ranked by the F1 of the picture. {drawn}"
    return f'<p class="fine">{text} Touch a picture to enlarge it: there each box has its name and score.</p>'


def _controls() -> str:
    """Switches that are a legend too: each has a sample of its line."""
    samples = (
        ("truth", "labelled", '<rect class="casing" x="2" y="2" width="22" height="12"/>'
         '<rect x="2" y="2" width="22" height="12"/>'),
        ("right", "found", '<rect x="2" y="2" width="22" height="12"/>'),
        ("wrong", "wrong", '<rect x="2" y="2" width="22" height="12"/><path class="cross" d="M9 4l8 8M17 4l-8 8"/>'),
        ("missed", "missed", '<path d="M2 6V2h6M18 2h6v4M24 10v4h-6M8 14H2v-4"/>'),
    )  # fmt: skip
    made = "".join(
        f'<label><input type="checkbox" checked data-layer="{kind}"><svg class="sample {kind}" viewBox="0 0 26 16" '
        f'aria-hidden="true">{drawn}</svg>{text}</label>'
        for kind, text, drawn in samples
    )
    names = '<label><input type="checkbox" data-layer="names">names and scores</label>'
    return f'<div class="controls" role="group" aria-label="What is drawn">{made}{names}</div>'


def _legend(labels: Sequence[int], classes: Sequence[str]) -> str:
    if len(labels) > 2 * COLOURS:
        return f'<p class="fine">{len(labels)} classes share {COLOURS} colours; the names tell which is which.</p>'
    listed = "".join(f'<li class="k{label % COLOURS}">{escape(classes[label])}</li>' for label in labels)
    return f'<ul class="classes" aria-label="Colours of classes">{listed}</ul>'


def _tile(one: Judged, *, classes: Sequence[str], roots: Sequence[Path], is_one: bool) -> str:
    name = escape(str(one.entry.get("image_id", "?")), quote=True)
    picture, complaint, size_hw = picture_of(one.entry, roots=roots)
    height, width = size_hw if min(size_hw) > 1 else _extent(one)
    inner = embedded(picture, most_pixels=_MOST_PIXELS) if picture is not None else ""
    inner += _drawing(one, classes=classes, size_hw=(height, width))
    note = f'<p class="missing">{escape(complaint)}</p>' if complaint else ""
    caption = escape(_caption_of_one(one, classes) if is_one else _caption(one))
    shape = " panorama" if width > PANORAMA * height else ""
    return (
        f'<figure class="tile{shape}"><button type="button" class="zoom" aria-label="Enlarge {name}">'
        f'<svg class="boxes{shape}" style="--w:{width}px;--r:{width / height:.3f}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{name}: {caption}">{inner}</svg></button>{note}<figcaption><b>{caption}</b>'
        f'<span title="{name}"><bdi>{name}</bdi></span></figcaption></figure>'
    )


def _extent(one: Judged) -> tuple[int, int]:
    """Height and width that hold all boxes, where the picture's size is not known."""
    corners = [box.box_xyxy[2:] for box in (*one.found, *one.truth)] or [(100.0, 100.0)]
    x, y = np.ceil(np.max(corners, axis=0)).clip(min=1)
    return int(y), int(x)


def _caption(one: Judged) -> str:
    found = f"{one.right} of {one.objects} found" if one.objects else "nothing to find"
    more = ", or more," if len(one.found) >= _MOST_KEPT else ""
    return found + (f", {one.wrong}{more} wrong" if one.wrong else "")


def _caption_of_one(one: Judged, classes: Sequence[str]) -> str:
    truth = next((box for box in one.truth if not box.is_crowd), None)
    if truth is None:
        return "nothing to find"
    if not one.found:
        return "no box inside of the picture"
    best = one.found[0]
    true, told = (_short(classes[box.label]) for box in (truth, best))
    mistaken = f", {true} told as {told}" if best.label != truth.label else ""
    return f"IoU {figure(iou(best.box_xyxy, truth.box_xyxy))}{mistaken}"


def _drawing(one: Judged, *, classes: Sequence[str], size_hw: tuple[int, int]) -> str:
    seen = [box for box in one.truth if not box.is_missed]
    missed = [box for box in one.truth if box.is_missed]
    right = [box for box in one.found if box.state in ("right", "crowd")]
    bad = [box for box in one.found if box.state not in ("right", "crowd")]
    places = Places(size_hw, text=TEXT if size_hw[1] <= PANORAMA * size_hw[0] else TEXT_PANORAMA)
    # Mistakes choose their places first: they are what a reader looks for.
    texts = {
        "wrong": places.texts(_wrong_label(box, classes) for box in bad),
        "missed": places.texts(_label(box, f"missed {_short(classes[box.label])}") for box in missed if box.is_unseen),
        "right": places.texts(_label(box, f"{_short(classes[box.label])} {box.score:.2f}") for box in right),
    }
    layers = (
        ("truth", "".join(f'<g class="{look}">{_path(map(_outline, seen))}</g>' for look in ("casing", "top"))),
        ("missed", _layer(missed, outline=_corners)),
        ("right", _layer(right, outline=_outline)),
        ("wrong", _layer(bad, outline=_outline)),
        ("right names", texts["right"]),
        ("missed", texts["missed"]),
        ("wrong", texts["wrong"]),
    )
    return "".join(f'<g class="{name}">{drawn}</g>' for name, drawn in layers if drawn)


def _layer(boxes: Sequence[FoundBox | TrueBox], *, outline: Callable[[FoundBox | TrueBox], str]) -> str:
    """Boxes in their classes' colours, on a dark casing."""
    if not boxes:
        return ""
    by_colour: dict[int, list[str]] = {}
    for box in boxes:
        by_colour.setdefault(box.label % COLOURS, []).append(outline(box))
    every = [d for drawn in by_colour.values() for d in drawn]
    colours = "".join(f'<g class="k{colour}">{_path(drawn)}</g>' for colour, drawn in sorted(by_colour.items()))
    return f'<g class="casing">{_path(every)}</g>{colours}'


def _path(parts: Iterable[str]) -> str:
    return f'<path d="{"".join(parts)}"/>'


def _outline(box: FoundBox | TrueBox) -> str:
    x0, y0, x1, y1 = box.box_xyxy
    return f"M{x0:.1f} {y0:.1f}H{x1:.1f}V{y1:.1f}H{x0:.1f}Z"


def _corners(box: FoundBox | TrueBox) -> str:
    x0, y0, x1, y1 = box.box_xyxy
    arm = 0.3 * min(x1 - x0, y1 - y0)
    return "".join(
        f"M{x + dx:.1f} {y:.1f}H{x:.1f}V{y + dy:.1f}"
        for x, dx in ((x0, arm), (x1, -arm))
        for y, dy in ((y0, arm), (y1, -arm))
    )


def _short(name: str) -> str:
    return name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}\u2026"


def _label(box: FoundBox | TrueBox, text: str, *, more: str = "") -> Label:
    return Label(box_xyxy=box.box_xyxy, text=text, more=more, kind=f"k{box.label % COLOURS}")


def _wrong_label(box: FoundBox, classes: Sequence[str]) -> Label:
    """A cross and the class; what is wrong with it where there is room."""
    other = _short(classes[box.instead]) if box.instead is not None else "another"
    reason = _REASONS[box.state].format(other=other)
    return _label(box, f"\u00d7 {_short(classes[box.label])}", more=f" {box.score:.2f}: {reason}")
