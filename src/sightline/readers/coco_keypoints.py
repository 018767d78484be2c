"""COCO keypoints: one JSON of `images`, `annotations` and `categories` with `keypoints`.

Convention of the format, as its tools draw it: keypoints are pixel-index coordinates (the centre of
a pixel is at integers), turned into continuous ones; `bbox` is [x, y, width, height] from edge to
edge. v = 0 is not labelled; 1 (hidden) and 2 are. Several objects of a picture are several records.
In: a JSON, or a folder with some in it, in `annotations/`, or in one folder for each part
(`train/_annotations.coco.json`). Out: a Dataset. Next: yolo_pose.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.geometry import Box, index_to_continuous
from sightline.readers.assemble import Draft, Findings, LabelError, assemble, numbered_skeleton, place
from sightline.readers.coco_layout import LISTS, coco_files, key_of, report_cut_off, root_of_labels, whole
from sightline.readers.json_stream import Entry, json_files, read_lists
from sightline.readers.pictures import Pictures, finder_of
from sightline.readers.texts import files_with_parts, is_finite
from sightline.records import Dataset, Skeleton
from sightline.skeletons import skeleton_for

FORMAT = "coco_keypoints"
LOOKED_FOR = 'a JSON with "images", "annotations" and "keypoints" (COCO), in the folder or in annotations/'

Entries = Mapping[str, Sequence[Entry]]


def detect(path: Path) -> bool:
    """Whether the path is a COCO keypoint JSON, or a folder with one."""
    return bool(coco_files(path, has_keypoints=True))


def read(path: Path) -> Dataset:
    """Read one JSON, or those of a folder whose names tell the parts of the data.

    Raises:
        UserError: no such JSON, it cannot be parsed, or its categories have different keypoints.
    """
    files = coco_files(path, has_keypoints=True)
    if not files:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    folder, root = path if path.is_dir() else path.parent, root_of_labels(path)
    chosen = files_with_parts(files, folder=folder, what="COCO keypoint")
    findings, drafts = Findings(), []
    skeletons: list[Skeleton] = []
    for file, split in chosen:
        data = read_lists(file, LISTS, drop=("segmentation",))
        where = place(file, root)
        category = _category(data, file=file)
        skeletons.append(_skeleton(category, data=data, findings=findings, where=where))
        if skeletons[-1].names != skeletons[0].names:
            raise UserError(
                f"{file} has other keypoints than {chosen[0][0].name}. Files of one data set need the same."
            )
        found = _drafts(data, count=len(skeletons[-1]), where=where, findings=findings)
        finder = finder_of(file, root=root)
        drafts += [replace(draft, split=split, path=finder.find(draft.name)) for draft in found]
    report_cut_off(path, root=root, findings=findings)
    read_files = {file for file, _ in chosen}
    return assemble(
        drafts,
        root=root,
        format=FORMAT,
        skeleton=skeletons[0],
        findings=findings,
        pictures=Pictures(root, folders=[folder]),
        labelled_elsewhere=[file for file in json_files(folder) if file not in read_files],
    )


def _category(data: Entries, *, file: Path) -> Entry:
    """The one set of keypoints that annotations use; COCO allows several, one model has one."""
    used = {key_of(annotation.get("category_id")) for annotation in data["annotations"]}
    with_points = [category for category in data["categories"] if category.get("keypoints")]
    met = [category for category in with_points if key_of(category.get("id")) in used] or with_points
    sets = {json.dumps(category.get("keypoints")): category for category in met}
    if len(sets) > 1:
        names = ", ".join(str(category.get("name")) for category in sets.values())
        raise UserError(
            f"{file} has categories with different keypoints ({names}). Expected one set of points: keep the "
            "annotations of one category in the file."
        )
    return met[0] if met else {}


def _skeleton(category: Entry, *, data: Entries, findings: Findings, where: str) -> Skeleton:
    """Names and edges of the category; names count points where it gives none."""
    listed = category.get("keypoints")
    if not isinstance(listed, list):
        counts = [len(points) for entry in data["annotations"] if isinstance(points := entry.get("keypoints"), list)]
        count = max(set(counts), key=counts.count) // 3 if counts else 0
        return numbered_skeleton(count, findings=findings, where=where)
    names = tuple(str(name) for name in listed)
    if len(set(names)) < len(names):
        doubles = ", ".join(sorted({name for name in names if names.count(name) > 1}))
        raise UserError(f"{where}: the category lists the keypoints {doubles} twice. Each needs its own name.")
    edges = []
    links = category.get("skeleton")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, list) and len(link) == 2 and all(isinstance(i, int) and 1 <= i <= len(names) for i in link):
            edges.append((link[0] - 1, link[1] - 1))
        else:
            findings.warning("skeleton-edge-unknown", where, f"the skeleton's {link} are not two of 1..{len(names)}")
    known = skeleton_for(names)
    return replace(known, edges=tuple(edges)) if edges else known


def _drafts(data: Entries, *, count: int, where: str, findings: Findings) -> list[Draft]:
    """Every annotation with points, in the order of the pictures."""
    mine: dict[str, list[tuple[int, Entry]]] = {}
    crowds = without_points = 0
    for index, annotation in enumerate(data["annotations"]):
        if annotation.get("iscrowd"):
            crowds += 1
        elif not annotation.get("keypoints") or (annotation.get("num_keypoints") == 0 and _all_absent(annotation)):
            without_points += 1
        else:
            mine.setdefault(key_of(annotation.get("image_id")), []).append((index, annotation))
    if crowds:
        findings.note("crowd-skipped", where, f"{crowds} annotations of crowds are left out")
    if without_points:
        findings.note("annotation-skipped", where, f"{without_points} annotations without labelled points are left out")
    drafts = []
    for index, image in enumerate(data["images"]):
        own = mine.pop(key_of(image.get("id")), [])
        drafts += _drafts_of_image(image, index=index, annotations=own, count=count, where=where, findings=findings)
    for image_id, orphans in mine.items():
        for index, _ in orphans:
            message = f"there is no image with the id {image_id}"
            findings.error("annotation-orphan", f"{where}:annotations[{index}]", message)
    return drafts


def _drafts_of_image(
    image: Entry, *, index: int, annotations: Sequence[tuple[int, Entry]], count: int, where: str, findings: Findings
) -> list[Draft]:
    """The objects of one picture; one without points where it has none."""
    listing = f"{where}:images[{index}]"
    name = image.get("file_name")
    if not isinstance(name, str) or not name:
        findings.error("row-unreadable", listing, "an image without file_name")
        return []
    width, height = whole(image.get("width")), whole(image.get("height"))
    size_hw = (height, width) if width and height else None
    background = Draft(
        name=name,
        points_xy=np.zeros((count, 2)),
        visible=np.zeros(count, dtype=bool),
        source=listing,
        listing=listing,
        size_hw=size_hw,
    )
    if not annotations:
        return [background]
    drafts = []
    for position, annotation in annotations:
        source = f"{where}:annotations[{position}]"
        try:
            points_xy, visible = _points(annotation.get("keypoints"), count=count)
            box = _box(annotation.get("bbox"))
        except LabelError as bad:
            findings.error(bad.id, source, str(bad), image_id=name)
            continue
        drafts.append(replace(background, points_xy=points_xy, visible=visible, box_xyxy=box, source=source))
    return drafts


def _all_absent(annotation: Entry) -> bool:
    """Whether no keypoint of an annotation has a v; some tools never count theirs."""
    values = annotation.get("keypoints")
    return isinstance(values, list) and not any(values[2::3])


def _numbers(values: object, *, what: str) -> list[float]:
    """A list of numbers as floats."""
    if not isinstance(values, list) or any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
        raise LabelError("row-unreadable", f"{what} is {str(values)[:60]}, expected a list of numbers")
    return [float(value) for value in values]


def _points(values: object, *, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Continuous points [K, 2] and which are labelled [K]."""
    numbers = _numbers(values, what="keypoints")
    if len(numbers) != 3 * count:
        raise LabelError("point-count", f"{len(numbers)} numbers for keypoints; expected {3 * count} ({count} x, y, v)")
    triplets = np.array(numbers).reshape(count, 3)
    if (odd := next((v for v in numbers[2::3] if v not in (0, 1, 2)), None)) is not None:
        raise LabelError("visibility-invalid", f"a keypoint has v = {odd:g}; expected 0, 1 or 2")
    visible = triplets[:, 2] > 0
    labelled = triplets[visible, :2]
    if not np.isfinite(labelled).all():
        raise LabelError("point-not-finite", "a labelled keypoint is NaN or infinite")
    return index_to_continuous(np.where(visible[:, None], triplets[:, :2], 0.0)), visible


def _box(values: object) -> Box | None:
    """The edges of a bbox; None where there is none, or one of 0 x 0."""
    if values is None or values == []:
        return None
    numbers = _numbers(values, what="bbox")
    if len(numbers) == 4 and numbers[2:] == [0, 0]:
        return None  # so tools write that there is no box, or one around a single point
    if len(numbers) != 4 or not is_finite(numbers) or min(numbers[2:]) <= 0:
        raise LabelError("box-invalid", f"the bbox {numbers} is not x, y and a width and height above 0")
    x, y, width, height = numbers
    return x, y, x + width, y + height
