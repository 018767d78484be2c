"""Pascal VOC: an XML for each picture, with an `object` for each box.

Convention: xmin, ymin, xmax, ymax are taken for edges as they stand, continuous pixels, so that a box
may end at the picture's width. That is how labelImg, CVAT and Roboflow write them. The format's own
tool counted pixels from 1, the last one included; its boxes come out one pixel short on the left and
on top, which no file tells apart. `difficult` becomes crowd. A class list (`classes.txt`, one name a
line, or CVAT's `labelmap.txt`) gives the order of classes where there is one; else they are sorted.
In: a folder with `Annotations/` (`annots/`, `xml/`, `labels/`), `JPEGImages/` and
`ImageSets/Main/{train,val,test}.txt`; or XML files beside the pictures, there or in folders of parts
(train/, valid/, test/), or in such folders of these; or one XML. Out: a Dataset. Next: yolo_layout.py
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from sightline.errors import UserError
from sightline.images import IMAGE_SUFFIXES
from sightline.readers.assemble import Findings, LabelError, place
from sightline.readers.assemble_boxes import BoxDraft, Fault, RawBox, assemble_boxes, size_said
from sightline.readers.class_names import class_order, read_class_list
from sightline.readers.pictures import Pictures
from sightline.readers.texts import number, read_start, read_text, split_of_name
from sightline.readers.xml_nodes import Node, read_nodes, xml_files
from sightline.records import Dataset

FORMAT = "voc"
LOOKED_FOR = "Annotations/*.xml with <annotation> and <object>, or such files beside the pictures (Pascal VOC)"

_EDGES = ("xmin", "ymin", "xmax", "ymax")
_PARTS = ("train", "val", "test")
_LOOKED_AT = 10
_XML_FOLDERS = ("annotations", "annotation", "annots", "xml", "xmls", "labels")
_PICTURE_FOLDERS = ("JPEGImages", "images", "Images", "imgs", "img")


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Where the XML files and pictures of a data set lie.

    Attributes:
        files: each XML with the part that its folder tells.
        labels: the folder that XML names are told relative to.
        lists: ImageSets/Main, or where it would be.
    """

    root: Path
    files: tuple[tuple[Path, str | None], ...]
    labels: Path
    lists: Path


def detect(path: Path) -> bool:
    """Whether the path is a VOC file, or a folder with such files in one of the known places."""
    return _layout(path) is not None


def read(path: Path) -> Dataset:
    """Read all XML files; a file that cannot be understood is a problem of its picture.

    Raises:
        UserError: there are no such files, or a list of names cannot be read.
    """
    layout = _layout(path)
    if layout is None:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    findings, pictures = Findings(), Pictures(layout.root)
    parts = _parts(layout, findings=findings)
    drafts = []
    for file, split in layout.files:
        name = file.relative_to(layout.labels).with_suffix("").as_posix()
        draft = _draft(file, root=layout.root, name=name, pictures=pictures, findings=findings)
        if draft is not None:
            drafts.append(replace(draft, split=split or parts.get(name)))
    found = [box.label for draft in drafts for box in draft.boxes]
    listed = read_class_list([layout.root / "classes.txt"]) or _label_map(layout.root / "labelmap.txt")
    return assemble_boxes(
        drafts,
        root=layout.root,
        format=FORMAT,
        classes=class_order(found, listed=listed),
        findings=findings,
        pictures=pictures,
    )


def _layout(path: Path) -> _Layout | None:
    """The known places, in turn; None where no XML there is of this format."""
    if path.is_file():
        files = [path] if path.suffix.lower() == ".xml" and _is_voc(path) else []
        root, labels = path.parent, path.parent
    elif files := _some_voc(xml_files(path)):
        root, labels = path, path
    elif found := _folder_of_xml(path):
        (labels, files), root = found, path
    else:
        parts = []
        for sub in _folders(path):
            if (part := split_of_name(sub.name)) is not None:
                nested = _folder_of_xml(sub)
                parts += [(file, part) for file in _some_voc(xml_files(sub)) or (nested[1] if nested else [])]
        if not parts:
            devkit = [sub for sub in _folders(path) if re.fullmatch(r"VOC\d{4}", sub.name)]
            return _layout(devkit[0]) if len(devkit) == 1 else None
        return _Layout(root=path, files=tuple(parts), labels=path, lists=path / "ImageSets" / "Main")
    # The folder of the XML files, or one of them, given by itself.
    if root.name.lower() in _XML_FOLDERS and any(sub.name.lower() not in _XML_FOLDERS for sub in _folders(root.parent)):
        root = root.parent
    pairs: tuple[tuple[Path, str | None], ...] = tuple((file, None) for file in files)
    return _Layout(root=root, files=pairs, labels=labels, lists=root / "ImageSets" / "Main") if files else None


def _folder_of_xml(path: Path) -> tuple[Path, list[Path]] | None:
    """The folder for labels directly in a folder, with its VOC files at any depth; None where there is none."""
    named = sorted((sub for sub in _folders(path) if sub.name.lower() in _XML_FOLDERS), key=_rank)
    for folder in named:
        if files := _some_voc([file for sub in (folder, *_folders_below(folder)) for file in xml_files(sub)]):
            return folder, files
    return None


def _rank(folder: Path) -> int:
    return _XML_FOLDERS.index(folder.name.lower())


def _folders(path: Path) -> list[Path]:
    found = sorted(path.iterdir()) if path.is_dir() else []
    return [sub for sub in found if sub.is_dir() and not sub.name.startswith(".")]


def _folders_below(path: Path) -> list[Path]:
    return sorted(sub for sub in path.rglob("*") if sub.is_dir() and not sub.name.startswith("."))


def _some_voc(files: list[Path]) -> list[Path]:
    """The files, where one of the first is VOC's."""
    return files if any(_is_voc(file) for file in files[:_LOOKED_AT]) else []


def _is_voc(file: Path) -> bool:
    return re.search(r"<annotation[\s>]", read_start(file)) is not None


def _parts(layout: _Layout, *, findings: Findings) -> dict[str, str]:
    """The part of each name in ImageSets/Main; what is not in any list, or not labelled, is told."""
    lists = {part: layout.lists / f"{part}.txt" for part in _PARTS if (layout.lists / f"{part}.txt").is_file()}
    both = layout.lists / "trainval.txt"
    if both.is_file() and not {"train", "val"} & set(lists):
        lists["train"] = both
    names = {file.relative_to(layout.labels).with_suffix("").as_posix() for file, _ in layout.files}
    parts: dict[str, str] = {}
    without: dict[str, list[str]] = {}
    for part, file in lists.items():
        for line, text in enumerate(read_text(file).splitlines(), start=1):
            name = _listed_name(text)
            if name and name not in names:
                without.setdefault(place(file, layout.root), []).append(name)
            elif name and parts.setdefault(name, part) != part:
                message = f"'{name}' is in {parts[name]}.txt already; it is used for {parts[name]} only"
                findings.warning("split-twice", place(file, layout.root, line=line), message)
    for where, missing in without.items():
        message = f"{len(missing)} of its names have no XML, such as '{missing[0]}'; they are left out"
        findings.warning("label-missing", where, message)
    unlisted = sorted(names - set(parts))
    if parts and unlisted:
        message = f"{len(unlisted)} XML files are in none of the lists, such as '{unlisted[0]}'; they belong to no part"
        findings.warning("split-unlisted", place(layout.lists, layout.root), message)
    return parts


def _listed_name(text: str) -> str:
    """The picture that a line of a list names; VOC's lists for one class have 1, 0 or -1 behind it."""
    name = re.sub(r"\s+(-1|0|1)$", "", text.strip())
    return str(PurePosixPath(name).with_suffix("")) if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES else name


def _label_map(path: Path) -> tuple[str, ...]:
    """The classes of CVAT's labelmap.txt: `name:colour:parts:actions`, without the background."""
    lines = read_class_list([path])
    return tuple(line.split(":")[0] for line in lines if not line.startswith(("#", "background:")))


def _draft(file: Path, *, root: Path, name: str, pictures: Pictures, findings: Findings) -> BoxDraft | None:
    """The picture of one XML; None, with an error, where the file cannot be read."""
    where = place(file, root)
    own = _own_picture(file, name=name, root=root, pictures=pictures)
    image_id = name if own is None else pictures.name_of(own)
    try:
        nodes = read_nodes(file, {"annotation"})
    except UserError as error:
        findings.error("label-unreadable", where, str(error), image_id=image_id)
        return None
    if len(nodes) != 1:
        message = f"it holds {len(nodes)} <annotation> elements, expected one"
        findings.error("label-unreadable", where, message, image_id=image_id)
        return None
    node = nodes[0]
    said = node.text_of("filename")
    if own is not None and said and PurePosixPath(said.replace("\\", "/")).stem != own.stem:
        other = pictures.find(said)
        if other is not None and other != own:
            message = f"<filename> is '{said}', which is there too; the picture with the XML's own name is used"
            findings.warning("filename-differs", where, message, image_id=image_id)
    if any(thing.first("confidence") for thing in node.all("object")):
        message = "objects have a confidence: these seem to be detections; all are taken for labels"
        findings.warning("score-ignored", where, message, image_id=image_id)
    boxes, faults = _boxes(node, where=where)
    size_hw = None
    if (size := node.first("size")) is not None:
        try:
            size_hw = size_said(size.text_of("width"), size.text_of("height"))
        except LabelError as bad:
            findings.warning(bad.id, f"{where}:{size.line}", str(bad))
    return BoxDraft(
        name=said or name,
        source=where,
        listing=where,
        boxes=tuple(boxes),
        faults=tuple(faults),
        size_hw=size_hw,
        path=own,
    )


def _own_picture(file: Path, *, name: str, root: Path, pictures: Pictures) -> Path | None:
    """The picture with the XML's name: beside it, or at the same place below a folder of pictures."""
    if (beside := pictures.beside(file)) is not None:
        return beside
    for folder in (*_PICTURE_FOLDERS, "."):
        if (found := pictures.beside(root / folder / f"{name}.xml")) is not None:
            return found
    # train/annotations/a.xml and train/images/a.jpg; or annotations/xmls/a.xml and images/a.jpg
    tops = [file.parent.parent, root] if file.parent.name.lower() in _XML_FOLDERS else []
    for folder in (top / folder for top in tops for folder in _PICTURE_FOLDERS):
        if (found := pictures.beside(folder / file.name)) is not None:
            return found
    return None


def _boxes(node: Node, *, where: str) -> tuple[list[RawBox], list[Fault]]:
    """The objects of one picture; those that cannot be understood become faults."""
    boxes, faults = [], []
    for thing in node.all("object"):
        source = f"{where}:{thing.line}"
        try:
            boxes.append(_box(thing, source=source))
        except LabelError as bad:
            faults.append(Fault(id=bad.id, source=source, message=str(bad)))
    return boxes, faults


def _box(thing: Node, *, source: str) -> RawBox:
    name, bounds = thing.text_of("name"), thing.first("bndbox")
    if not name:
        raise LabelError("box-class-missing", "an <object> without a <name>")
    if bounds is None:
        raise LabelError("row-unreadable", f"an <object> '{name}' without a <bndbox>")
    texts = [bounds.text_of(edge) for edge in _EDGES]
    try:
        x0, y0, x1, y1 = (number(text) for text in texts)
    except ValueError:
        raise LabelError("row-unreadable", f"the bndbox of '{name}' is ({', '.join(texts)})") from None
    difficult = thing.text_of("difficult").lower() in ("1", "true")
    return RawBox(xyxy=(x0, y0, x1, y1), label=name, source=source, crowd=difficult)
