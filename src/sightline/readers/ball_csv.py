"""One CSV row for each labelled picture of a clip: `clip,frame,file,visibility,x,y` and more columns.

`frame` is the picture's number in its clip: pictures whose numbers follow each other are before one another,
and gaps stay gaps. Convention of the format: x and y are the middle of the object in continuous pixels, as are
`w` and `h`, which are not used. Where a column `source` says "synthetic", each picture is a clip by itself.
Of several rows of one frame (`instance`) the first counts. `split` is read, and it must not part a clip; other
columns that speak of a split (`roboflow_split`) are not.
In: a CSV or its folder. Out: a Dataset of clips. Next: shuttle_samples.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sightline.errors import UserError
from sightline.readers.assemble import Findings, LabelError, place
from sightline.readers.clip_assemble import ClipDraft, FrameLabel, assemble_clips, frame_number
from sightline.readers.footage import Footage
from sightline.readers.pictures import Pictures
from sightline.readers.texts import Row, number, read_header, read_table
from sightline.records import Dataset

FORMAT = "ball_csv"
LOOKED_FOR = "a CSV with clip, frame, file, visibility, x, y (frames of clips as pictures)"

_NEEDED = ("clip", "frame", "file", "visibility", "x", "y")
_SPELLED = {"visible": "visibility", "vis": "visibility", "filename": "file", "file_name": "file", "": "index"}
_KNOWN = (*_NEEDED, "index", "source", "instance", "split", "w", "h", "width", "height")
_ALONE = "synthetic"


@dataclass(kw_only=True)
class _Clip:
    """What rows say of one clip."""

    labels: list[FrameLabel] = field(default_factory=list)
    pictures: dict[int, Path] = field(default_factory=dict)


def detect(path: Path) -> bool:
    """Whether a CSV, or one directly in the folder, has the columns of this format."""
    return bool(_files(path))


def read(path: Path) -> Dataset:
    """Read a CSV.

    Raises:
        UserError: there is none or several.
    """
    files = _files(path)
    if not files:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    if len(files) > 1:
        names = ", ".join(file.name for file in files[:8])
        raise UserError(f"{path} holds {len(files)} CSVs of clips ({names}). Give the path of one.")
    file = files[0]
    root = file.parent
    findings = Findings()
    rows = read_table(file)
    columns = {name: position for position, name in enumerate(_names(rows[0].cells))}
    where = place(file, root)
    if ignored := [name for name in columns if name not in _KNOWN]:
        findings.note("columns-ignored", where, f"nothing is made of the columns {', '.join(ignored)}")
    clips = _clips(
        rows[1:], columns=columns, width=len(rows[0].cells), where=where, pictures=Pictures(root), findings=findings
    )
    drafts = [
        ClipDraft(
            name=name,
            footage=Footage(pictures=dict(sorted(clip.pictures.items()))),
            labels=clip.labels,
            where=where,
        )
        for name, clip in clips.items()
    ]
    return assemble_clips(drafts, root=root, format=FORMAT, findings=findings)


def _files(path: Path) -> list[Path]:
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    return [
        file
        for file in candidates
        if file.suffix.lower() == ".csv"
        and not file.name.startswith(".")
        and file.is_file()
        and set(_NEEDED) <= set(_names(read_header(file)))
    ]


def _names(header: Sequence[str]) -> list[str]:
    """How columns are known, whatever their letter case."""
    return [_SPELLED.get(cell.lower(), cell.lower()) for cell in header]


def _clips(
    rows: Sequence[Row], *, columns: dict[str, int], width: int, where: str, pictures: Pictures, findings: Findings
) -> dict[str, _Clip]:
    clips: dict[str, _Clip] = {}
    instances: dict[tuple[str, int], str] = {}
    several = 0
    for row in rows:
        source = f"{where}:{row.line}"
        try:
            if len(row.cells) != width:
                raise LabelError("row-length", f"{len(row.cells)} cells, but the header has {width}")
            cells = {name: row.cells[position] for name, position in columns.items()}
            label = _label(cells, source=source)
            name = _clip_name(cells)
            path = pictures.find(cells["file"])
            if path is None:
                raise LabelError("image-missing", f"there is no picture '{cells['file']}'")
            clip = clips.setdefault(name, _Clip())
            instance = cells.get("instance", "")
            first = instances.setdefault((name, label.number), instance)
            if first != instance:
                several += 1
                continue
            if clip.pictures.setdefault(label.number, path) != path:
                raise LabelError("frame-duplicated", f"frame {label.number} of '{name}' has two pictures")
            clip.labels.append(label)
        except LabelError as bad:
            findings.error(bad.id, source, str(bad))
    if several:
        findings.note("instances-skipped", where, f"{several} rows name a further object in a frame; the first is used")
    return clips


def _clip_name(cells: dict[str, str]) -> str:
    """The clip; a picture that stands alone is one by itself."""
    name = cells["clip"] or "clip"
    return f"{name}-{cells['frame']}" if cells.get("source", "").lower() == _ALONE else name


def _label(cells: dict[str, str], *, source: str) -> FrameLabel:
    frame = frame_number(cells["frame"])
    try:
        flag = number(cells["visibility"])
        xy = (number(cells["x"]), number(cells["y"])) if flag else None
    except ValueError:
        shown = ", ".join(cells[name] for name in ("visibility", "x", "y"))
        raise LabelError("row-unreadable", f"visibility, x and y are ({shown}), expected numbers") from None
    split = cells.get("split", "").lower() or None
    return FrameLabel(number=frame, xy=xy, source=source, split=split)
