"""The points of CVAT for images 1.1, as objects with named points.

An object is a `skeleton` with its `points`; or one `points` of many points, where a file has them of one label; or all
other `points` of a picture, apart by `group_id` where they have one. A `points` of one point gives its label as the
name, one of several gives `label_0`, `label_1`, ..., and where there is but one label its points are only counted.
`outside="1"` is not there, `occluded` is. The drawing of a skeleton in `meta` gives the edges.
In: the images of an XML. Out: a Dataset. Next: flip_order.py
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sightline.readers.assemble import Draft, Findings, LabelError, assemble, numbered_skeleton
from sightline.readers.assemble_boxes import size_said
from sightline.readers.pictures import Pictures
from sightline.readers.texts import is_finite, number
from sightline.readers.xml_nodes import Node
from sightline.records import Dataset, Skeleton
from sightline.skeletons import skeleton_for

_NODE = re.compile(r"<circle\b[^>]*>")
_EDGE = re.compile(r"<line\b[^>]*>")
_VALUE = re.compile(r'([\w-]+)="([^"]*)"')


@dataclass(frozen=True, kw_only=True)
class CvatImage:
    """An `image` element: where it stands, and the picture and part that it speaks of."""

    node: Node
    where: str
    split: str | None
    path: Path | None

    @property
    def name(self) -> str:
        """The picture as the XML calls it."""
        return self.node.attributes.get("name", "").strip()

    def size_hw(self, findings: Findings) -> tuple[int, int] | None:
        """(height, width) as the XML says it; None, with a warning, where that is no size."""
        try:
            return size_said(self.node.attributes.get("width", ""), self.node.attributes.get("height", ""))
        except LabelError as bad:
            findings.warning(bad.id, self.where, str(bad))
            return None


def number_pairs(text: str) -> list[list[float]]:
    """The numbers of `x,y;x,y`; raises ValueError where one is none."""
    return [[number(value) for value in pair.split(",")] for pair in text.split(";")]


def has_points(image: Node) -> bool:
    """Whether there are points in a picture, loose or of a skeleton."""
    return any(True for child in image.children for _ in _points_in(child))


def assemble_points(
    images: Sequence[CvatImage],
    *,
    root: Path,
    format: str,
    labels: Sequence[Node],
    findings: Findings,
    pictures: Pictures,
    elsewhere: Sequence[Path],
) -> Dataset:
    """The data set of the points of all pictures.

    Args:
        images: of all files.
        root: what picture names are told relative to.
        format: the reader's key in `FORMATS`.
        labels: the `label` elements of `meta`, for their order and the drawings of skeletons.
        findings: takes what is wrong.
        pictures: where to look.
        elsewhere: label files that are not read.
    """
    points = [point for image in images for child in image.node.children for point in _points_in(child)]
    listed = [label.text_of("name") for label in labels]
    met = [point.attributes.get("label", "").strip() for point in points]
    order = list(dict.fromkeys([*(name for name in listed if name in set(met)), *met]))
    counts = {label: _usual_count([p for p, name in zip(points, met, strict=True) if name == label]) for label in order}
    skeleton = _skeleton(counts, labels=labels, findings=findings, where=images[0].where.rsplit(":", 1)[0])
    starts = dict(zip(counts, np.cumsum([0, *counts.values()]).tolist(), strict=False))
    reading = _Reading(counts=counts, starts=starts, size=len(skeleton), findings=findings)
    return assemble(
        [draft for image in images for draft in reading.drafts(image)],
        root=root,
        format=format,
        skeleton=skeleton,
        findings=findings,
        pictures=pictures,
        labelled_elsewhere=elsewhere,
    )


def _points_in(shape: Node) -> Iterator[Node]:
    """A `points` itself, or those of a `skeleton`."""
    if shape.tag == "points":
        yield shape
    elif shape.tag == "skeleton":
        yield from shape.all("points")


def _usual_count(points: Sequence[Node]) -> int:
    """How many points most `points` of one label have; the fewest of what is equally frequent."""
    counts = Counter(point.attributes.get("points", "").count(";") + 1 for point in points)
    return min(counts, key=lambda count: (-counts[count], count))


def _skeleton(counts: dict[str, int], *, labels: Sequence[Node], findings: Findings, where: str) -> Skeleton:
    if len(counts) == 1 and (count := next(iter(counts.values()))) > 1:
        return numbered_skeleton(count, findings=findings, where=where)
    names: list[str] = []
    for label, count in counts.items():
        names += [label] if count == 1 else [f"{label}_{index}" for index in range(count)]
    known = skeleton_for(names)
    edges = [
        (names.index(first), names.index(second))
        for label in labels
        for first, second in _drawn_edges(label.text_of("svg"))
        if first in names and second in names
    ]
    return replace(known, edges=tuple(edges)) if edges else known


def _drawn_edges(svg: str) -> Iterator[tuple[str, str]]:
    """The names of the points that the lines of a skeleton's drawing join."""
    names: dict[str, str] = {}
    for circle in _NODE.findall(svg):
        values = dict(_VALUE.findall(circle))
        names[values.get("data-node-id", "")] = values.get("data-label-name", "")
    for line in _EDGE.findall(svg):
        values = dict(_VALUE.findall(line))
        yield names.get(values.get("data-node-from", ""), ""), names.get(values.get("data-node-to", ""), "")


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """What is needed to understand the points of a picture: how many each label has, and where they begin."""

    counts: dict[str, int]
    starts: dict[str, int]
    size: int
    findings: Findings

    def drafts(self, image: CvatImage) -> list[Draft]:
        """A draft for each object; one without points where there is none."""
        if not image.name:
            self.findings.error("row-unreadable", image.where, "an <image> without a name attribute")
            return []
        background = Draft(
            name=image.name,
            points_xy=np.zeros((self.size, 2)),
            visible=np.zeros(self.size, dtype=bool),
            source=image.where,
            listing=image.where,
            size_hw=image.size_hw(self.findings),
            split=image.split,
            path=image.path,
        )
        objects = self._objects(image.node)
        drafts = []
        for points in objects:
            source = f"{image.where.rsplit(':', 1)[0]}:{points[0].line}"
            try:
                points_xy, visible = self._placed(points)
            except LabelError as bad:
                self.findings.error(bad.id, source, str(bad), image_id=image.name)
                continue
            drafts.append(replace(background, points_xy=points_xy, visible=visible, source=source))
        return drafts if objects else [background]

    def _objects(self, image: Node) -> list[list[Node]]:
        """The points of each object."""
        objects: list[list[Node]] = []
        groups: dict[str, list[Node]] = {}
        for shape in image.children:
            points = list(_points_in(shape))
            if not points:
                continue
            if shape.tag == "skeleton" or (len(self.counts) == 1 and self.size > 1):
                objects.append(points)
            else:
                groups.setdefault(shape.attributes.get("group_id", ""), []).extend(points)
        return [*objects, *groups.values()]

    def _placed(self, points: Sequence[Node]) -> tuple[np.ndarray, np.ndarray]:
        """Points [K, 2] and which of them are there [K]."""
        points_xy, visible = np.zeros((self.size, 2)), np.zeros(self.size, dtype=bool)
        for point in points:
            label = point.attributes.get("label", "").strip()
            if point.attributes.get("outside") == "1":
                continue
            start, end = self.starts[label], self.starts[label] + self.counts[label]
            if visible[start]:
                raise LabelError(
                    "point-count",
                    f"the point '{label}' is there twice; expected it once for each object: draw "
                    "skeletons, or group the points of each object",
                )
            points_xy[start:end], visible[start:end] = _xy(point, count=self.counts[label]), True
        return points_xy, visible


def _xy(point: Node, *, count: int) -> list[list[float]]:
    """The points of a `points` element."""
    text = point.attributes.get("points", "")
    try:
        pairs = number_pairs(text)
    except ValueError:
        raise LabelError("row-unreadable", f"points is '{text[:60]}', expected 'x,y'") from None
    if len(pairs) != count or any(len(pair) != 2 for pair in pairs):
        label = point.attributes.get("label", "")
        raise LabelError("point-count", f"a <points> of {len(pairs)} points; '{label}' has {count} elsewhere")
    if not is_finite([value for pair in pairs for value in pair]):
        raise LabelError("point-not-finite", f"points is '{text[:60]}'")
    return pairs
