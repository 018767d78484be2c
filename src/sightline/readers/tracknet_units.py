"""Whether a clip's table has pixels or fractions of the frame, told from its numbers.

In: the labels of one table. Out: the same with continuous pixels, or fractions as they are. Next: tracknet.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sightline.geometry import index_to_continuous
from sightline.readers.assemble import Findings
from sightline.readers.clip_assemble import FrameLabel, Place
from sightline.readers.texts import is_finite


@dataclass(frozen=True, kw_only=True)
class InUnit:
    """Labels in one unit.

    Attributes:
        labels: fractions of the frame, or continuous pixels.
        are_fractions: which; None where no label has a place that would tell.
        witness: the row or the file to show the user.
    """

    labels: list[FrameLabel]
    are_fractions: bool | None
    witness: str


def in_unit(labels: Sequence[FrameLabel], *, is_continuous: bool, where: str, findings: Findings) -> InUnit:
    """Tell the unit of a table.

    Args:
        labels: with the numbers as they stand there.
        is_continuous: whether they are known to be continuous pixels; else pixels are indices.
        where: the table, as problems call it.
        findings: takes a note where most places are fractions, but not all.
    """
    places = {label.source: label.xy for label in labels if label.xy is not None and is_finite(label.xy)}
    told = bool(places) or None
    if is_continuous:
        return InUnit(labels=[*labels], are_fractions=told and False, witness=where)
    if _are_fractions([*places.values()]):
        return InUnit(labels=[*labels], are_fractions=told and True, witness=where)
    odd = _report_nearly_fractions(places, findings=findings)
    return InUnit(labels=[_in_pixels(label) for label in labels], are_fractions=told and False, witness=odd or where)


def _are_fractions(places: Sequence[Place]) -> bool:
    """Whether no place is beyond 1, and they are not all at whole pixels."""
    values = np.array(places)
    return bool((values <= 1).all() and (values >= 0).all() and (values != values.round()).any())


def _report_nearly_fractions(places: Mapping[str, Place], *, findings: Findings) -> str | None:
    """A note where most places are fractions and the others make pixels of all; the row of the first of these."""
    values = np.array([*places.values()]).reshape(-1, 2)
    is_beyond = ((values < 0) | (values > 1)).any(axis=1)
    is_fraction = ~is_beyond & (values != values.round()).any(axis=1)
    if is_fraction.sum() <= is_beyond.sum():
        return None
    # One is beyond, since fractions alone would have been taken for such.
    source, (x, y) = [*places.items()][int(is_beyond.argmax())]
    message = (
        f"({x:g}, {y:g}) is no fraction of the frame, so all places are taken for pixels; but {is_fraction.sum()} of "
        f"{len(places)} lie within 0 and 1. If they are fractions, mend the {is_beyond.sum()} that lie beyond"
    )
    findings.note("columns-assumed", source, message)
    return source


def _in_pixels(label: FrameLabel) -> FrameLabel:
    """The label with its pixel-index place made continuous."""
    if label.xy is None:
        return label
    x, y = index_to_continuous(np.array(label.xy)).tolist()
    return replace(label, xy=(x, y))
