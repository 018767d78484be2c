"""YOLO boxes: a YAML with `names`, pictures, and `labels/*.txt` with one `class cx cy w h` a line.

Convention of the format: fractions of the picture's width and height, from edge to edge, so they become
continuous pixels by multiplication. A picture without a text file, or with an empty one, has nothing to
find in it. Lines of outlines (`class x y x y x y ...`) give the box around them; a sixth number, a
score, is passed over. `names` is a list, or a mapping whose numbers may have gaps. Where train and val
are the same pictures, as in some small sets, they belong to no part.
In: a folder with such a YAML, or the YAML; or a folder with a list of classes (labelImg, Label Studio, darknet).
Out: a Dataset. Next: boxes_csv.py
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sightline.errors import UserError
from sightline.geometry import Box
from sightline.images import list_images
from sightline.readers.assemble import Findings, LabelError, place
from sightline.readers.assemble_boxes import BoxDraft, Fault, RawBox, assemble_boxes
from sightline.readers.class_names import read_class_list
from sightline.readers.pictures import Pictures
from sightline.readers.texts import number, read_text, read_yaml, split_of_name
from sightline.readers.yolo_layout import (
    PARTS,
    class_list,
    is_label,
    label_of,
    pictures_of,
    root_of,
    said_of,
    yaml_files,
)
from sightline.records import Dataset

FORMAT = "yolo"
LOOKED_FOR = (
    "data.yaml or config.yaml with names and train, or classes.txt or obj.names, beside images/ and labels/ (YOLO)"
)

# Labels with four decimals overshoot 1 by less than this.
_ROUNDING = 1e-3
_NO_LABELS = ("classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt")


@dataclass(frozen=True, kw_only=True)
class _Named:
    """What the YAML or class list says: the classes by number, the pictures of each part, and where."""

    root: Path
    where: str
    names: Mapping[int, str]
    parts: Mapping[str | None, Sequence[Path]]


def detect(path: Path) -> bool:
    """Whether the path is a YAML of boxes, a folder with one, or one with classes.txt and label files."""
    return bool(_yamls(path)) or class_list(path) is not None


def read(path: Path) -> Dataset:
    """Read the pictures that the YAML's train, val and test name, or those beside a class list.

    Raises:
        UserError: no YAML or several, what it says cannot be understood, or no picture has labels.
    """
    findings = Findings()
    listed = None if _yamls(path) else class_list(path)
    named = _from_yaml(path, findings) if listed is None else _from_class_list(path, listed)
    reading = _Reading(named=named, findings=findings)
    drafts = [
        reading.draft(picture, split=part, index=index)
        for part, pictures in named.parts.items()
        for index, picture in enumerate(pictures)
    ]
    pictures = Pictures(named.root)
    reading.report_orphans(pictures)
    if not drafts and not findings.has_errors:
        raise UserError(f"{named.root / named.where} names no pictures. Expected folders or lists of pictures.")
    if drafts and len(reading.without) == len(drafts):
        expected = label_of(reading.without[0], root=named.root)
        raise UserError(
            f"None of the {len(drafts)} pictures of {named.root} has a label file. Expected, for the first, {expected}."
        )
    reading.report()
    return assemble_boxes(
        drafts,
        root=named.root,
        format=FORMAT,
        classes=tuple(named.names.values()),
        class_ids=tuple(named.names),
        findings=findings,
        pictures=pictures,
        fractions=True,
        why_unlabelled=f"is in none of the lists of {named.where}",
    )


def _yamls(path: Path) -> list[Path]:
    """The YAML files with names and parts but without points: the path itself, or those directly in it."""

    def is_wanted(start: str) -> bool:
        has_parts = re.search(r"^(train|val|valid|validation|test)\s*:", start, re.MULTILINE)
        return bool(has_parts and re.search(r"^(names|nc)\s*:", start, re.MULTILINE)) and "kpt_shape" not in start

    return yaml_files(path, is_wanted=is_wanted)


def _from_yaml(path: Path, findings: Findings) -> _Named:
    files = _yamls(path)
    if len(files) != 1:
        names = ", ".join(file.name for file in files)
        found = f"holds several ({names}): give the path of one" if files else "is not one"
        raise UserError(f"'{FORMAT}' reads {LOOKED_FOR}; {path} {found}.")
    config = read_yaml(files[0])
    root = root_of(config, file=files[0])
    where = place(files[0], root)
    parts: dict[str | None, Sequence[Path]] = {
        part: list(pictures_of(said_of(config, part), root=root, split=part, file=files[0], findings=findings))
        for part in PARTS
    }
    if parts["train"] and set(parts["train"]) == set(parts["val"]):
        message = "train and val are the same pictures; they are taken once and belong to no part"
        findings.note("split-same", where, message)
        parts = {None: parts["train"], "test": parts["test"]}
    return _Named(root=root, where=where, names=_names(config, where=str(files[0])), parts=parts)


def _names(config: Mapping[str, object], *, where: str) -> dict[int, str]:
    """The classes by number."""
    names, count = config.get("names"), config.get("nc")
    if names is None and isinstance(count, int) and count > 0:
        return {index: str(index) for index in range(count)}
    pairs = (
        list(enumerate(names)) if isinstance(names, list) else list(names.items()) if isinstance(names, dict) else []
    )
    found: dict[int, str] = {}
    for key, name in pairs:
        if isinstance(name, bool) or not isinstance(name, str | int | float) or not str(name).strip():
            hint = ' (YAML reads yes, no, on and off so: put them in quotes, "no")' if isinstance(name, bool) else ""
            raise UserError(f"{where}: the name of class {key} is {name}{hint}. Expected text.")
        if isinstance(key, bool) or not str(key).isdecimal():
            raise UserError(f"{where}: names has the key '{key}'. Expected the classes' numbers, 0 and up.")
        found[int(key)] = str(name).strip()
    if not found:
        raise UserError(f"{where}: names is {names}. Expected a list of classes, or numbers with names.")
    if len(set(found.values())) < len(found):
        doubles = sorted({name for name in found.values() if list(found.values()).count(name) > 1})
        raise UserError(f"{where}: names lists {', '.join(doubles)} twice. Each class needs its own name.")
    return dict(sorted(found.items()))


def _from_class_list(path: Path, listed: Path) -> _Named:
    """All pictures of a folder; those in folders called train, val or test belong to these parts."""
    names = read_class_list([listed])
    parts: dict[str | None, list[Path]] = {}
    for picture in list_images(path):
        folders = [split_of_name(folder) for folder in picture.relative_to(path).parts[:-1]]
        parts.setdefault(next((part for part in folders if part), None), []).append(picture)
    return _Named(root=path, where=place(listed, path), names=dict(enumerate(names)), parts=parts)


@dataclass(kw_only=True)
class _Reading:
    """The label files of all pictures, and what is only known of all of them together."""

    named: _Named
    findings: Findings
    without: list[Path] = field(default_factory=list)
    label_folders: dict[Path, Path] = field(default_factory=dict)
    scores: list[str] = field(default_factory=list)
    outlines: list[str] = field(default_factory=list)

    def draft(self, picture: Path, *, split: str | None, index: int) -> BoxDraft:
        """One picture and the boxes of its label file."""
        label = label_of(picture, root=self.named.root)
        where = place(label, self.named.root)
        self.label_folders.setdefault(label.parent, picture.parent)
        boxes: list[RawBox] = []
        faults: list[Fault] = []
        if label.is_file():
            try:
                lines = read_text(label).splitlines()
            except UserError as error:
                lines = []
                faults.append(Fault(id="label-unreadable", source=where, message=str(error)))
            for line, text in enumerate(lines, start=1):
                if not text.strip():
                    continue
                try:
                    boxes.append(self._box(text.split(), source=f"{where}:{line}"))
                except LabelError as bad:
                    faults.append(Fault(id=bad.id, source=f"{where}:{line}", message=str(bad)))
        else:
            self.without.append(picture)
        return BoxDraft(
            name=place(picture, self.named.root),
            source=where,
            listing=f"{split}[{index}]",
            boxes=tuple(boxes),
            faults=tuple(faults),
            split=split,
            path=picture,
        )

    def _box(self, words: Sequence[str], *, source: str) -> RawBox:
        """One line, still in fractions."""
        try:
            numbers = [number(word) for word in words]
        except ValueError as error:
            raise LabelError("row-unreadable", str(error)) from None
        if len(numbers) not in (5, 6) and (len(numbers) < 7 or len(numbers) % 2 == 0):
            message = f"{len(numbers)} numbers; expected 5 (class, centre x and y, width, height)"
            raise LabelError("row-unreadable", message)
        known = self.named.names
        if numbers[0] not in known:
            expected = f"{min(known)} to {max(known)}" if len(known) == max(known) - min(known) + 1 else "others"
            raise LabelError("class-unknown", f"class {words[0]}; {self.named.where} names {expected}")
        if len(numbers) > 6:
            self.outlines.append(source)
            return RawBox(xyxy=_around(numbers[1:]), label=known[int(numbers[0])], source=source)
        if len(numbers) == 6:
            self.scores.append(source)
        cx, cy, width, height = numbers[1:5]
        _check_range([cx, cy, max(width, 0.0), max(height, 0.0)], words=words[1:5])
        box = (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
        return RawBox(xyxy=box, label=known[int(numbers[0])], source=source)

    def report_orphans(self, pictures: Pictures) -> None:
        """A warning for each label file whose picture is not there: its boxes are lost."""
        for labels, folder in self.label_folders.items():
            stems = {path.stem.lower() for path in pictures.in_folder(folder)}
            for file in sorted(labels.glob("*.txt")):
                if file.stem.lower() in stems or file.name.lower() in _NO_LABELS or not is_label(file):
                    continue
                count = sum(bool(line.strip()) for line in read_text(file).splitlines())
                message = f"there is no picture of that name in {place(folder, self.named.root)}; "
                message += f"its {count} boxes are left out"
                self.findings.warning("label-orphan", place(file, self.named.root), message)

    def report(self) -> None:
        """What was decided, once for all files."""
        if self.without:
            first = place(self.without[0], self.named.root)
            message = f"{len(self.without)} pictures have no label file, such as '{first}': nothing to find in them"
            self.findings.note("labels-absent", self.named.where, message)
        if self.outlines:
            message = f"{len(self.outlines)} lines are outlines, the first at {self.outlines[0]}; their boxes are used"
            self.findings.note("outline-boxed", self.named.where, message)
        if self.scores:
            message = f"{len(self.scores)} lines have a sixth number, the first at {self.scores[0]}: these seem to be "
            message += "detections with scores; all are taken for labels"
            self.findings.warning("score-ignored", self.named.where, message)


def _around(values: Sequence[float]) -> Box:
    """The box around an outline x, y, x, y, ..."""
    _check_range(values, words=[f"{value:g}" for value in values])
    return min(values[0::2]), min(values[1::2]), max(values[0::2]), max(values[1::2])


def _check_range(values: Sequence[float], *, words: Sequence[str]) -> None:
    """Raise where a fraction is not in 0..1; NaN is told with the box."""
    for value, word in zip(values, words, strict=True):
        if value < -_ROUNDING or value > 1 + _ROUNDING:
            hint = "; are these pixels?" if value > 2 else ""
            raise LabelError("box-out-of-range", f"{word} is not in 0..1: the format holds fractions{hint}")
