"""The published shuttle tracker's sample folders, and the index JSON that names them as train, val and test.

A folder has `frame.jpg`, `frame-1.jpg` to `frame-3.jpg`, `positions.csv` and `target.csv`; the index is
`{"train": [folders], "val": [...], "test": [...]}`. Convention of the format: `frame-1` is the frame just before;
`positions.csv` has 30 rows x, y, visibility, MOST RECENT FIRST, which is turned round here; `target.csv` has one such
row for the frame itself. Positions are fractions of width and height; (0, 0, 0) is not visible. Clips are not
named, but a sample whose past is another one's past and target is the frame after it: samples that are joined
so are one clip. The published split parts them, which is told.
In: the index, or a folder with samples. Out: a Dataset of clips. Next: keyframes.py
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.geometry import inside
from sightline.images import IMAGE_SUFFIXES
from sightline.readers.assemble import Findings, LabelError, checked_size, place
from sightline.readers.clip_assemble import POINT, report_split_leaks
from sightline.readers.json_stream import json_files
from sightline.readers.texts import Row, is_finite, number, read_start, read_table, read_text, split_named
from sightline.records import HISTORY, PAST_FRAMES, Before, Dataset, FrameAt, Record

FORMAT = "shuttle_samples"
LOOKED_FOR = "folders with frame.jpg, positions.csv and target.csv, or an index JSON of them (shuttle samples)"

_TARGET, _POSITIONS = "target.csv", "positions.csv"
_DEPTHS = (f"*/{_TARGET}", f"*/*/{_TARGET}")
# Told from the start, so that large files of other formats are not read for nothing.
_LIKE_INDEX = re.compile(r'\s*\{\s*"(train|val|valid|validation|test)[a-z]*"\s*:\s*\[\s*["\]]')
# So many different visible places make two pasts one; fewer are alike by chance.
_ENOUGH = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sample:
    """One folder, with positions as fractions, oldest first."""

    name: str
    folder: Path
    split: str | None
    target: np.ndarray
    past: np.ndarray


def detect(path: Path) -> bool:
    """Whether the path is an index of such samples, or a folder with one, or with samples one or two folders below."""
    if path.is_file():
        return path.suffix.lower() == ".json" and _index(path) is not None
    if not any(True for depth in _DEPTHS for _ in path.glob(depth)):
        return False
    return any(_is_sample(file.parent) for depth in _DEPTHS for file in path.glob(depth))


def read(path: Path) -> Dataset:
    """Read the samples of an index, or all of a folder.

    Raises:
        UserError: there are none, or a folder holds several indices.
    """
    root = path if path.is_dir() else path.parent
    indices = [file for file in json_files(root) if _index(file) is not None] if path.is_dir() else [path]
    if len(indices) > 1:
        names = ", ".join(file.name for file in indices)
        raise UserError(f"{root} holds several indices of samples ({names}). Give the path of one.")
    listed = _index(indices[0]) if indices else _all_samples(root)
    if not listed:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    findings = Findings()
    samples: dict[str, _Sample] = {}
    for folder, split in listed:
        name = place(folder, root)
        try:
            if name in samples:
                raise LabelError("image-duplicated", f"'{name}' is listed twice; only the first is kept")
            samples[name] = _sample(folder, name=name, split=split)
        except LabelError as bad:
            findings.error(bad.id, name, str(bad), image_id=name)
    if not samples and not findings.problems:
        raise UserError(f"{root} holds no samples. Give at least one.")
    records: list[Record] = []
    for chain in _chains(list(samples.values())):
        for number_in_clip, sample in enumerate(chain):
            record = _record(sample, clip=chain[0].name, frame=number_in_clip, findings=findings)
            if record is not None:
                records.append(record)
    order = {name: place_in_list for place_in_list, name in enumerate(samples)}
    records.sort(key=lambda record: order[record.image_id])
    groups = len({record.group for record in records})
    if records:
        message = f"{len(records)} samples were joined to {groups} clips by their positions"
        findings.note("clips-joined", root.name or str(root), message)
    report_split_leaks(records, where=place(indices[0], root) if indices else root.name, findings=findings)
    return Dataset(root=root, format=FORMAT, records=tuple(records), skeleton=POINT, problems=tuple(findings.problems))


def _index(file: Path) -> list[tuple[Path, str | None]] | None:
    """The samples that a JSON lists and their parts; None where it is no such index."""
    if _LIKE_INDEX.match(read_start(file)) is None:
        return None
    try:
        content = json.loads(read_text(file))
    except (UserError, ValueError, RecursionError):
        return None
    if not isinstance(content, Mapping) or not content:
        return None
    listed: list[tuple[Path, str | None]] = []
    for part, names in content.items():
        split = split_named(str(part))
        if split is None or not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return None
        listed += [(_find(name, file.parent), split) for name in names]
    return listed if any(_is_sample(folder) for folder, _ in listed) else None


def _find(name: str, root: Path) -> Path:
    """A sample's folder; its path may be one of the machine that it was made on."""
    parts = Path(name.replace("\\", "/")).parts
    for start in range(len(parts)):
        candidate = root.joinpath(*parts[start:])
        if candidate.is_dir():
            return candidate
    return root / name.replace("\\", "/").lstrip("/")


def _all_samples(root: Path) -> list[tuple[Path, str | None]]:
    found = sorted({file.parent for depth in _DEPTHS for file in root.glob(depth) if _is_sample(file.parent)})
    return [(folder, split_named(folder.relative_to(root).parts[0])) for folder in found]


def _is_sample(folder: Path) -> bool:
    return (folder / _TARGET).is_file() and (folder / _POSITIONS).is_file() and _picture(folder, "frame") is not None


def _picture(folder: Path, stem: str) -> Path | None:
    return next((p for suffix in sorted(IMAGE_SUFFIXES) if (p := folder / f"{stem}{suffix}").is_file()), None)


def _sample(folder: Path, *, name: str, split: str | None) -> _Sample:
    """Read a folder; raises `LabelError` where it cannot be used."""
    if not folder.is_dir():
        raise LabelError("image-missing", f"there is no folder {folder}")
    if _picture(folder, "frame") is None:
        raise LabelError("image-missing", f"there is no frame.jpg in {folder}")
    for file in (_TARGET, _POSITIONS):
        if not (folder / file).is_file():
            raise LabelError("label-missing", f"there is no {file} in {folder}")
    target = _triplets(read_table(folder / _TARGET), file=f"{name}/{_TARGET}")
    if len(target) != 1:
        raise LabelError("row-unreadable", f"{name}/{_TARGET} has {len(target)} rows of numbers, expected one")
    newest_first = _triplets(read_table(folder / _POSITIONS), file=f"{name}/{_POSITIONS}")[:HISTORY]
    past = np.zeros((HISTORY, 3))
    if len(newest_first):
        past[HISTORY - len(newest_first) :] = newest_first[::-1]
    return _Sample(name=name, folder=folder, split=split, target=target[0], past=past)


def _triplets(rows: Sequence[Row], *, file: str) -> np.ndarray:
    """[N, 3] x, y, visibility; a header is passed over. Places that are not visible become zeros."""
    found = []
    for index, row in enumerate(rows):
        try:
            values = [number(cell) for cell in row.cells]
        except ValueError:
            if index == 0:
                continue
            raise LabelError(
                "row-unreadable", f"{file}:{row.line} is '{', '.join(row.cells)}', expected numbers"
            ) from None
        if len(values) != 3:
            raise LabelError("row-length", f"{file}:{row.line} has {len(values)} numbers, expected x, y, visibility")
        if not is_finite(values):
            raise LabelError("point-not-finite", f"{file}:{row.line} is '{', '.join(row.cells)}'")
        if values[2] not in (0, 1):
            raise LabelError(
                "visibility-invalid", f"{file}:{row.line} has the visibility {values[2]:g}, expected 0 or 1"
            )
        found.append(values if values[2] else [0.0, 0.0, 0.0])
    return np.array(found, dtype=np.float64).reshape(-1, 3)


def _chains(samples: Sequence[_Sample]) -> list[list[_Sample]]:
    """Samples in runs of frames that follow each other, told by what they say of the same frames."""
    by_past: dict[bytes, list[int]] = {}
    for index, sample in enumerate(samples):
        by_past.setdefault(_key(sample.past), []).append(index)
    after: dict[int, int] = {}
    follows: set[int] = set()
    for index, sample in enumerate(samples):
        seen = np.vstack([sample.past[1:], sample.target])
        places = {tuple(row) for row in seen.round(6).tolist() if row[2]}
        candidates = [other for other in by_past.get(_key(seen), ()) if other != index and other not in follows]
        if len(places) >= _ENOUGH and candidates:
            after[index] = candidates[0]
            follows.add(candidates[0])
    chains = []
    left = set(range(len(samples)))
    # Starts first; what is left after them would be a circle, which a period in the labels could make.
    for start in [i for i in range(len(samples)) if i not in follows] + list(range(len(samples))):
        chain = []
        index: int | None = start
        while index is not None and index in left:
            left.remove(index)
            chain.append(samples[index])
            index = after.get(index)
        if chain:
            chains.append(chain)
    return chains


def _key(past: np.ndarray) -> bytes:
    return past.round(6).tobytes()


def _record(sample: _Sample, *, clip: str, frame: int, findings: Findings) -> Record | None:
    """The record of a sample; None, with an error, where its picture cannot be read."""
    path = _picture(sample.folder, "frame")
    assert path is not None, sample.folder
    source = f"{sample.name}/{_TARGET}"
    size_hw = checked_size(path, said_hw=None, where=source, image_id=sample.name, findings=findings)
    if size_hw is None:
        return None
    scale = np.array([size_hw[1], size_hw[0]], dtype=np.float64)
    pictures = [_picture(sample.folder, f"frame-{back}") for back in range(PAST_FRAMES, 0, -1)]
    points_xy, visible = sample.target[None, :2] * scale, sample.target[2:] > 0
    if visible[0] and not inside(points_xy, size_hw)[0]:
        message = (
            f"the point is said to be visible at {tuple(sample.target[:2].tolist())}, outside of the frame; it is "
        )
        findings.warning("point-off-image", source, message + "taken for not visible", image_id=sample.name)
        points_xy, visible = np.zeros((1, 2)), np.zeros(1, dtype=bool)
    return Record(
        image_id=sample.name,
        path=path,
        points_xy=points_xy,
        visible=visible,
        size_hw=size_hw,
        group=clip,
        before=Before(
            frames=tuple(None if picture is None else FrameAt(path=picture) for picture in pictures),
            points_xy=sample.past[:, :2] * scale,
            visible=sample.past[:, 2] > 0,
        ),
        frame=frame,
        split=sample.split,
        source=source,
    )
