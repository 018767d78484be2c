"""A Kaggle submission, `Id,Predicted` in long form, beside the dlib XML that names its pictures.

Every row holds one number: x and y of the first point of the first picture, of its second point,
and so on, in the order of the XML's boxes; K = rows / (2 * boxes). Convention of the format:
pixel-index coordinates of the whole picture, turned into continuous ones.
In: a CSV and an XML, or the folder of both. Out: a Dataset. Next: pts.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.geometry import index_to_continuous
from sightline.readers.assemble import Draft, Findings, assemble, numbered_skeleton, place
from sightline.readers.dlib_xml import box_of, size_of, xml_files
from sightline.readers.pictures import Pictures
from sightline.readers.texts import Row, is_finite, number, read_header, read_table
from sightline.readers.xml_images import XmlBox, XmlImage, read_images
from sightline.records import Dataset

FORMAT = "kaggle_csv"
LOOKED_FOR = "a CSV with the columns Id,Predicted beside a dlib XML without parts"


def detect(path: Path) -> bool:
    """Whether the path is such a CSV or holds one, and a dlib XML without parts lies beside it."""
    csvs = _csv_files(path)
    return bool(csvs) and bool(_xml_without_parts(csvs[0].parent))


def read(path: Path) -> Dataset:
    """Read the only such CSV of a folder with the only XML that fits it.

    Raises:
        UserError: there is none or more than one of either.
    """
    csvs = _csv_files(path)
    if not csvs:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    xmls = _xml_without_parts(csvs[0].parent)
    for files, what in ((csvs, "Id,Predicted CSV"), (xmls, "dlib XML without parts")):
        if len(files) != 1:
            names = ", ".join(file.name for file in files) or "none"
            raise UserError(
                f"{csvs[0].parent} needs one {what}, but has {names}. Give the path of a CSV in a folder with one XML."
            )
    return read_submission(csvs[0], xmls[0])


def read_submission(csv: Path, xml: Path) -> Dataset:
    """Read a submission whose pictures an XML names.

    Args:
        csv: rows `Id,Predicted`.
        xml: the pictures and their boxes, in the order of the rows.

    Raises:
        UserError: a file cannot be read, the rows do not share out among the boxes, or the Ids
            do not count up by one, so that no row's picture is known.
    """
    root, findings = xml.parent, Findings()
    boxes: list[tuple[XmlImage, XmlBox | None]] = []
    for image in read_images(xml):
        boxes += [(image, box) for box in image.boxes or [None]]
    rows = read_table(csv)[1:]
    if not boxes or not rows or len(rows) % (2 * len(boxes)):
        raise UserError(
            f"{csv} has {len(rows)} rows for {len(boxes)} boxes in {xml.name}. Expected 2 rows (x, y) for each point "
            "of each box, so a multiple of twice the boxes. Check that the two files belong together."
        )
    _check_ids(rows, csv=csv)
    count = len(rows) // (2 * len(boxes))
    skeleton = numbered_skeleton(count, findings=findings, where=place(csv, root))
    drafts = []
    for index, (image, box) in enumerate(boxes):
        mine = rows[2 * count * index : 2 * count * (index + 1)]
        draft = _draft(mine, image=image, box=box, csv=place(csv, root), xml=place(xml, root), findings=findings)
        if draft is not None:
            drafts.append(draft)
    return assemble(drafts, root=root, format=FORMAT, skeleton=skeleton, findings=findings, pictures=Pictures(root))


def _csv_files(path: Path) -> list[Path]:
    """The CSVs with exactly the two columns."""
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    return [
        file
        for file in candidates
        if file.suffix.lower() == ".csv"
        and file.is_file()
        and [cell.lower() for cell in read_header(file)] == ["id", "predicted"]
    ]


def _xml_without_parts(folder: Path) -> list[Path]:
    """The dlib XMLs of a folder in which no box has a part."""
    return [file for file in xml_files(folder) if b"<part" not in file.read_bytes()]


def _check_ids(rows: Sequence[Row], *, csv: Path) -> None:
    """Raise at the first row whose Id is not the one before it plus one."""
    expected: int | None = None
    for row in rows:
        try:
            found = int(row.cells[0])
        except ValueError:
            raise UserError(f"{csv}:{row.line} has the Id '{row.cells[0]}'. Expected a whole number.") from None
        if expected is not None and found != expected:
            raise UserError(
                f"{csv}:{row.line} has the Id {found} where {expected} was expected. A row that is missing, double or "
                "moved gives the rows after it to the wrong points: write the file again with all Ids in order."
            )
        expected = found + 1


def _draft(
    rows: Sequence[Row], *, image: XmlImage, box: XmlBox | None, csv: str, xml: str, findings: Findings
) -> Draft | None:
    """The rows of one box; None, with an error, where one of them cannot be used."""
    name, where = image.attributes.get("file", ""), f"{csv}:{rows[0].line}"
    values = []
    for row in rows:
        text = row.cells[1] if len(row.cells) == 2 else ",".join(row.cells[1:])
        try:
            values.append(number(text))
        except ValueError:
            message = f"'{text}' is not a number"
            findings.error("row-unreadable", f"{csv}:{row.line}", message, image_id=name or None)
            return None
        if not is_finite(values[-1:]):
            message = f"a coordinate of '{name}' is {text}"
            findings.error("point-not-finite", f"{csv}:{row.line}", message, image_id=name or None)
            return None
    try:
        edges = None if box is None else box_of(box)
    except ValueError as error:
        findings.error("box-invalid", f"{xml}:{image.line}", str(error), image_id=name or None)
        return None
    points_xy = np.array(values).reshape(-1, 2)
    return Draft(
        name=name,
        points_xy=index_to_continuous(points_xy),
        visible=np.ones(len(points_xy), dtype=bool),
        source=where,
        listing=f"{xml}:{image.line}",
        box_xyxy=edges,
        size_hw=size_of(image),
    )
