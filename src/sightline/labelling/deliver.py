"""What `next` leaves in its folder: the pictures, what a model guesses of them for people to correct, a table, a page.

    next.csv        what to label, the first being worth most
    next.html       the same as pictures, with the guesses drawn and the reasons
    tasks.json ...  the guesses in the formats asked for, and beside them, where each format looks, the pictures

Frames of videos become JPEG pictures here. Next: page.py
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from sightline.errors import UserError
from sightline.files import is_vacant, require_folder, write_atomically
from sightline.labelling.choose import Choice
from sightline.predict_files import Names, find_box_writer, find_writer, write_predictions
from sightline.video.source import open_source
from sightline.writers import BoxPrediction, Prediction
from sightline.writers.pictures import place_pictures

TABLE, PAGE = "next.csv", "next.html"
COLUMNS = ("rank", "picture", "frame", "time_s", "uncertainty", "disagreement", "distance", "why", "source")
_QUALITY = 95


@dataclass(frozen=True, kw_only=True, eq=False)
class Delivered:
    """What was written, and the choices with the pictures where they lie now."""

    written: tuple[Path, ...]
    choices: tuple[Choice, ...]


def require_empty(out: Path, data: Sequence[Path]) -> None:
    """Refuse a folder with something in it, or within the data, before minutes are spent.

    Raises:
        UserError: `out` is a file, a folder that is not empty, or in one of the folders of pictures.
    """
    if not is_vacant(out):
        raise UserError(f"{out} exists already and is not empty. Nothing is overwritten: give a new folder as --out.")
    require_folder(out)
    for folder in data:
        if folder.is_dir() and out.resolve().is_relative_to(folder.resolve()):
            raise UserError(
                f"{out} lies in {folder}: the next call would ask for its pictures again. Give another one."
            )


def require_formats(formats: Sequence[str], *, classes: Sequence[str]) -> None:
    """Refuse a format that cannot be written; raises UserError with the nearest name."""
    for name in formats:
        find_box_writer(name) if classes else find_writer(name)


def deliver(choices: Sequence[Choice], out: Path, *, names: Names, formats: Sequence[str]) -> Delivered:
    """Write the pictures, then the formats, then the table.

    Raises:
        UserError: something cannot be written, or a format cannot hold the guesses.
    """
    placed = _with_frames(choices, out)
    guesses = [choice.seen.guess for choice in placed]
    written = write_predictions(guesses, out, names=names, formats=formats, overlay=False)
    for name in formats:
        boxes = [guess for guess in guesses if isinstance(guess, BoxPrediction)]
        points = [guess for guess in guesses if isinstance(guess, Prediction)]
        if names.classes:
            place_pictures(boxes, out, picture_name=find_box_writer(name).picture_name)
        else:
            place_pictures(points, out, picture_name=find_writer(name).picture_name)
    write_atomically(out / TABLE, table(placed))
    return Delivered(written=(out / TABLE, *written), choices=tuple(placed))


def table(choices: Sequence[Choice]) -> str:
    """`next.csv`."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for choice in choices:
        seen, candidate = choice.seen, choice.seen.candidate
        rows.writerow(
            (
                choice.rank,
                candidate.name,
                "" if candidate.frame is None else candidate.frame,
                "" if candidate.time_s is None else f"{candidate.time_s:.3f}",
                f"{seen.doubt.value:.4f}",
                f"{seen.disagreement:.4f}",
                "" if choice.distance is None else f"{choice.distance:.4f}",
                choice.why,
                candidate.path,
            )
        )
    return text.getvalue()


def _with_frames(choices: Sequence[Choice], out: Path) -> list[Choice]:
    """Frames of videos written as pictures; their guesses name these."""
    by_video: dict[Path, dict[int, Choice]] = {}
    for choice in choices:
        if choice.seen.candidate.frame is not None:
            by_video.setdefault(choice.seen.candidate.path, {})[choice.seen.candidate.frame] = choice
    for video, wanted in by_video.items():
        _write_frames(video, wanted, lambda choice: out / choice.seen.candidate.name)
    placed = []
    for choice in choices:
        seen = choice.seen
        if seen.candidate.frame is not None:
            seen = replace(seen, guess=replace(seen.guess, path=out / seen.candidate.name))
        placed.append(replace(choice, seen=seen))
    return placed


def _write_frames(video: Path, wanted: dict[int, Choice], place: Callable[[Choice], Path]) -> None:
    """Decode a video once more, up to the last frame that is wanted, one frame in memory."""
    left = set(wanted)
    with open_source(video) as source:
        for frame in source:
            if frame.number in left:
                left.remove(frame.number)
                write_atomically(place(wanted[frame.number]), _jpeg(frame.image))
            if not left:
                return
    raise UserError(f"{video} gave its frames {sorted(left)[:5]} once and then no more. Is it still being written?")


def _jpeg(image_rgb: np.ndarray) -> bytes:
    ok, data = cv2.imencode(".jpg", image_rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert ok
    return data.tobytes()
