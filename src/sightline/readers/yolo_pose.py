"""YOLO pose: a data.yaml with `kpt_shape`, pictures, and `labels/*.txt` with one object a line.

A line is `class cx cy w h` and K times `x y` or `x y v`. Convention of the format: all are fractions
of the picture's width and height, from edge to edge, so they become continuous pixels by
multiplication. v = 0 is not labelled. Without v, a point at exactly (0, 0) or below 0 is taken for
not labelled, as the format's tools write such points. `flip_idx` gives the mirror twins.
In: a folder with data.yaml or config.yaml, or the YAML. Out: a Dataset. Next: flip_order.py
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.geometry import Box
from sightline.readers.assemble import Draft, Findings, LabelError, assemble, numbered_skeleton, place
from sightline.readers.pictures import Pictures
from sightline.readers.texts import is_finite, number, read_text, read_yaml
from sightline.readers.yolo_layout import label_of, pictures_of, root_of, said_of, yaml_files
from sightline.records import Dataset, Skeleton
from sightline.skeletons import skeleton_for

FORMAT = "yolo_pose"
LOOKED_FOR = "data.yaml or config.yaml with kpt_shape, beside images/ and labels/ (YOLO pose)"


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """What kpt_shape says: how many points, and whether each has a v."""

    count: int
    has_visibility: bool

    @property
    def width(self) -> int:
        """Numbers in a line."""
        return 5 + self.count * (3 if self.has_visibility else 2)


def detect(path: Path) -> bool:
    """Whether the path is a YAML with kpt_shape, or a folder with one."""
    return bool(_files(path))


def read(path: Path) -> Dataset:
    """Read the pictures that the YAML's train, val and test name.

    Raises:
        UserError: no YAML or several, or what it says cannot be understood or is not there.
    """
    files = _files(path)
    if len(files) != 1:
        names = ", ".join(file.name for file in files)
        found = f"holds several ({names}): give the path of one" if files else "is not one"
        raise UserError(f"'{FORMAT}' reads {LOOKED_FOR}; {path} {found}.")
    config = read_yaml(files[0])
    root = root_of(config, file=files[0])
    where = place(files[0], root)
    shape = _shape(config.get("kpt_shape"), where=str(files[0]))
    findings, drafts = Findings(), []
    skeleton = _skeleton(config, shape=shape, where=where, findings=findings)
    for split in ("train", "val", "test"):
        for picture in pictures_of(said_of(config, split), root=root, split=split, file=files[0], findings=findings):
            drafts += _drafts(picture, root=root, shape=shape, split=split, findings=findings)
    if not drafts and not findings.has_errors:
        raise UserError(
            f"{files[0]} names no pictures under train, val or test. Expected folders or lists of pictures."
        )
    return assemble(
        drafts,
        root=root,
        format=FORMAT,
        skeleton=skeleton,
        findings=findings,
        pictures=Pictures(root),
        fractions=True,
    )


def _files(path: Path) -> list[Path]:
    """The YAML files with kpt_shape: the path itself, or those directly in it."""
    return yaml_files(path, is_wanted=lambda start: "kpt_shape" in start)


def _shape(value: object, *, where: str) -> _Shape:
    """Understand kpt_shape."""
    if isinstance(value, list) and len(value) == 2 and all(isinstance(v, int) for v in value):
        count, dims = value
        if count > 0 and dims in (2, 3):
            return _Shape(count=count, has_visibility=dims == 3)
    raise UserError(f"{where}: kpt_shape is {value}. Expected [number of points, 2 or 3].")


def _skeleton(config: Mapping[str, object], *, shape: _Shape, where: str, findings: Findings) -> Skeleton:
    """Names where kpt_names has them; twins from flip_idx, else from the names."""
    listed = config.get("kpt_names")
    if isinstance(listed, dict) and len(listed) == 1:
        listed = next(iter(listed.values()))
    if isinstance(listed, list) and len({str(name) for name in listed}) == shape.count == len(listed):
        known = skeleton_for([str(name) for name in listed])
    else:
        if listed is not None:
            findings.warning("point-names-invalid", where, f"kpt_names does not hold {shape.count} different names")
        known = numbered_skeleton(shape.count, findings=findings, where=where)
    flip = config.get("flip_idx")
    if flip is None or flip == []:
        return known
    if (
        not isinstance(flip, list)
        or sorted(map(str, flip)) != sorted(map(str, range(shape.count)))
        or any(flip[flip[i]] != i for i in range(shape.count))
    ):
        message = f"flip_idx {flip} does not pair the points 0..{shape.count - 1} both ways; it is not used"
        findings.warning("flip-index-invalid", where, message)
        return replace(known, flip_pairs=())
    return replace(known, flip_pairs=tuple((i, other) for i, other in enumerate(flip) if i < other))


def _drafts(picture: Path, *, root: Path, shape: _Shape, split: str, findings: Findings) -> list[Draft]:
    """The objects of one picture; one without points where it has no label file or an empty one."""
    label = label_of(picture, root=root)
    name = place(picture, root)
    where = place(label, root)
    listing = f"{split}:{name}"
    background = Draft(
        name=name,
        points_xy=np.zeros((shape.count, 2)),
        visible=np.zeros(shape.count, dtype=bool),
        source=where,
        listing=listing,
        split=split,
        path=picture,
    )
    lines = enumerate(read_text(label).splitlines(), start=1) if label.is_file() else ()
    drafts, seen, empty = [], set(), True
    for line, text in lines:
        words = text.split()
        if not words:
            continue
        empty, source = False, f"{where}:{line}"
        if tuple(words) in seen:
            findings.warning("label-duplicated", source, "this line is there twice; it is used once", image_id=name)
            continue
        seen.add(tuple(words))
        try:
            box, points_xy, visible = _parse(words, shape=shape)
        except LabelError as bad:
            findings.error(bad.id, source, str(bad), image_id=name)
            continue
        drafts.append(replace(background, points_xy=points_xy, visible=visible, box_xyxy=box, source=source))
    return [background] if empty else drafts


def _parse(words: list[str], *, shape: _Shape) -> tuple[Box | None, np.ndarray, np.ndarray]:
    """The box, points and visibility of one line, all still fractions."""
    try:
        numbers = [number(word) for word in words]
    except ValueError as error:
        raise LabelError("row-unreadable", str(error)) from None
    if len(numbers) != shape.width:
        kind = "x y v" if shape.has_visibility else "x y"
        expected = f"expected {shape.width} (5 and {shape.count} times {kind})"
        raise LabelError("point-count", f"{len(numbers)} numbers; {expected}")
    cx, cy, width, height = numbers[1:5]
    has_box = (width, height) != (0, 0)  # 0 x 0 is how tools write none, or one around a single point
    if has_box and (not is_finite(numbers[1:5]) or width <= 0 or height <= 0):
        raise LabelError("box-invalid", f"the box {cx:g} {cy:g} {width:g} {height:g} has no area")
    table = np.array(numbers[5:]).reshape(shape.count, -1)
    if shape.has_visibility:
        if not np.isfinite(table[:, 2]).all():
            raise LabelError("visibility-invalid", "a point's v is NaN or infinite")
        visible = table[:, 2] > 0
    else:
        visible = ~((table < 0).any(axis=1) | (table == 0).all(axis=1))
    if not np.isfinite(table[visible, :2]).all():
        raise LabelError("point-not-finite", "a labelled point is NaN or infinite")
    box = (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2) if has_box else None
    return box, np.where(visible[:, None], table[:, :2], 0.0), visible
