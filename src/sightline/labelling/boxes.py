"""Where the object is, for models of points that want a crop: from a table, or from a run that finds boxes.

In: a candidate and its pixels. Out: its box, or None where there is none. Next: survey.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from sightline.answers import Finder
from sightline.errors import UserError
from sightline.finders import is_finder, load_box_finder
from sightline.geometry import Box
from sightline.labelling.candidates import Candidate, Candidates
from sightline.records import Detections
from sightline.tasks import read_boxes


class Boxes(Protocol):
    """Says where the object of a candidate is."""

    @property
    def channels(self) -> frozenset[int]:
        """Which kinds of pictures it looks at."""
        ...

    @property
    def name(self) -> str:
        """For the guesses: where their boxes are from."""
        ...

    def of(self, candidate: Candidate, images: Mapping[int, np.ndarray]) -> Box | None:
        """The box; of several the first of a table, the surest of a run. None: nothing is there."""
        ...


@dataclass(frozen=True, kw_only=True)
class GivenBoxes:
    """From a table."""

    table: Mapping[str, Sequence[Box]]
    name: str = "given box"
    channels: frozenset[int] = frozenset()

    def of(self, candidate: Candidate, images: Mapping[int, np.ndarray]) -> Box | None:
        """See `Boxes.of`."""
        return self.table[candidate.name][0]


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundBoxes:
    """From a run, or an exported file."""

    finder: Finder
    name: str

    @property
    def channels(self) -> frozenset[int]:
        """See `Boxes.channels`."""
        return frozenset({self.finder.channels})

    def of(self, candidate: Candidate, images: Mapping[int, np.ndarray]) -> Box | None:
        """See `Boxes.of`."""
        found = self.finder(images[self.finder.channels], None)
        assert isinstance(found, Detections)
        if not len(found):
            return None
        x0, y0, x1, y1 = found.boxes_xyxy[int(found.scores.argmax())].tolist()
        return x0, y0, x1, y1


def read_box_source(boxes: Path, candidates: Candidates, *, device: str) -> GivenBoxes | FoundBoxes:
    """What `--boxes` names, held against the candidates.

    Args:
        boxes: a CSV of boxes, a run, or an exported file.
        candidates: what is to be looked at; those whose label file knows their box need none.
        device: auto, cpu or cuda.

    Raises:
        UserError: it cannot be read, finds points, or is a table that lacks a picture, or that would be asked about
            the frames of a video.
    """
    if is_finder(boxes):
        finder, name = load_box_finder(boxes, device=device)
        return FoundBoxes(finder=finder, name=name)
    if candidates.films:
        raise UserError(
            f"--boxes {boxes} is a table of pictures, and there are videos among the data. Give a run that finds "
            "boxes, or leave the videos out."
        )
    table = read_boxes(boxes)
    wanted = [candidate.name for candidate in candidates.pictures if candidate.box is None]
    lacking = [name for name in wanted if name not in table]
    if lacking:
        raise UserError(
            f"{boxes} has no box for {len(lacking)} of {len(wanted)} pictures, first {lacking[:3]}. Add a row for each."
        )
    return GivenBoxes(table=table)
