"""Shards: tars in WebDataset's layout, with the index that `sightline convert` writes, or as other tools made them.

With an index, the labels come from the files beside the tars, and the tars' checksums are compared; nothing is decoded,
for the conversion did. Tars that lie elsewhere are neither fetched nor compared yet, but each when it comes.
Without one, tars hold a picture and a JSON for each key, as shards/labels.py describes it. Next: ../splits.py
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightline.cores import reading_threads
from sightline.errors import UserError
from sightline.members import Member
from sightline.readers.assemble import Findings
from sightline.records import NO_POINTS, Dataset, Record, Skeleton
from sightline.shard_cache import FORMAT as INDEX_FORMAT
from sightline.shard_cache import INDEX_FILE, ShardFile, is_elsewhere, read_index, shards_of
from sightline.shards.labels import decode
from sightline.shards.tar import Sample, read_contents
from sightline.shards.write import sha256_of

FORMAT = "webdataset"
LOOKED_FOR = "index.json of shards, or .tar files with a picture and a .json for each key"

_LOOKED_AT = 64  # files of a tar that tell what it holds


def detect(path: Path) -> bool:
    """A folder with an index, an index, one tar, or a folder of tars: of nothing else, or with pictures and JSON."""
    if _indexed(path) is not None or not path.is_dir():
        return _indexed(path) is not None or bool(tars_of(path))
    tars = tars_of(path)
    others = any(file.suffix != ".tar" and not file.name.startswith(".") for file in path.iterdir())
    # An archive that lies beside a data set is not the data set.
    return bool(tars) and (not others or _begins_with_samples(tars[0]))


def read(path: Path) -> Dataset:
    """Read shards.

    Raises:
        UserError: the index cannot be used, or no shard holds a picture with labels.
    """
    folder = _indexed(path)
    return _read_indexed(folder) if folder is not None else _read_tars(path)


def is_indexed(path: Path) -> bool:
    """Whether a path means shards with an index."""
    return _indexed(path) is not None


def tars_of(path: Path) -> list[Path]:
    """A tar, or those of a folder, by their names."""
    candidates = sorted(path.glob("*.tar")) if path.is_dir() else [path]
    return [file for file in candidates if file.suffix == ".tar" and file.is_file() and not file.name.startswith(".")]


def _begins_with_samples(tar: Path) -> bool:
    samples = read_contents(tar, most=_LOOKED_AT).samples
    return any(sample.picture is not None and "json" in sample.files for sample in samples)


def _indexed(path: Path) -> Path | None:
    """The folder of the index that a path means."""
    file = path / INDEX_FILE if path.is_dir() else path
    if file.name != INDEX_FILE or not file.is_file():
        return None
    with file.open("rb") as stream:
        return file.parent if INDEX_FORMAT.encode() in stream.read(200) else None


def _read_indexed(folder: Path) -> Dataset:
    values = read_index(folder)
    shards = shards_of(values, folder=folder)
    try:
        said = values["skeleton"]
        skeleton = Skeleton(
            names=tuple(said["names"]),
            flip_pairs=tuple((a, b) for a, b in said["flip_pairs"]),
            edges=tuple((a, b) for a, b in said["edges"]),
        )
        classes, class_ids = tuple(values["classes"]), tuple(values["class_ids"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder / INDEX_FILE} is damaged ({error}). Copy it again.") from error
    findings = Findings()
    with ThreadPoolExecutor(max_workers=reading_threads()) as pool:
        looks = list(pool.map(lambda shard: _look(folder, shard), shards))
    records: list[Record] = []
    for shard, look in zip(shards, looks, strict=True):
        findings.problems += look.problems
        if not look.has_errors:
            records += _records_of(folder, shard, skeleton=skeleton, classes=classes)
    return Dataset(
        root=folder,
        format=FORMAT,
        records=tuple(records),
        skeleton=skeleton,
        classes=classes,
        class_ids=class_ids,
        problems=tuple(findings.problems),
        made_from=str(values.get("data_format", "")),
    )


def _look(folder: Path, shard: ShardFile) -> Findings:
    """What is wrong with a shard or its labels."""
    findings = Findings()
    lost = f"its {shard.records:,} records cannot be used; copy it again, or convert again"
    labels, tar = folder / shard.labels_name, folder / shard.name
    for path in (labels,) if is_elsewhere(folder) else (labels, tar):
        if not path.is_file():
            findings.error("shard-missing", shard.name, f"there is no {path}; {lost}")
            return findings
    if sha256_of(labels) != shard.labels_sha256:
        message = f"{labels} is not the one that the index means (its checksum differs); {lost}"
        findings.error("shard-damaged", shard.name, message)
    if is_elsewhere(folder):
        return findings
    size = tar.stat().st_size
    if size != shard.bytes:
        message = f"{tar} has {size:,} bytes, and the index says {shard.bytes:,}; {lost}"
        findings.error("shard-damaged", shard.name, message)
    elif sha256_of(tar) != shard.sha256:
        message = f"{tar} is not the one that the index means (its checksum differs); {lost}"
        findings.error("shard-damaged", shard.name, message)
    return findings


def _records_of(folder: Path, shard: ShardFile, *, skeleton: Skeleton, classes: tuple[str, ...]) -> Iterator[Record]:
    """The records of a shard whose labels have the right checksum."""
    labels = folder / shard.labels_name
    with labels.open(encoding="utf-8") as lines:
        next(lines)  # about the tar; the index says it too
        for number, line in enumerate(lines, start=2):
            values = json.loads(line)
            offset, size = values["at"]
            path = Member(shard=folder / shard.name, offset=offset, size=size, name=values["name"]).path
            for each in values["records"]:
                yield decode(each, path, skeleton=skeleton, classes=classes, source=f"{labels.name}:{number}")


def _read_tars(path: Path) -> Dataset:
    findings = Findings()
    found = [entry for tar in tars_of(path) for entry in _labelled(tar, findings)]
    labels = [each for _, _, several in found for each in several]
    skeleton, classes = _names_in(labels)
    records: list[Record] = []
    for picture, source, several in found:
        for number, values in enumerate(several):
            try:
                record = decode(values, picture, skeleton=skeleton, classes=classes, source=source)
            except UserError as error:
                findings.error("label-unreadable", source, str(error))
                continue
            if "image_id" not in values:
                shard = picture.parent.parent.stem  # two shards may count from 0 both
                record = replace(record, image_id=f"{shard}/{picture.name}" + (f"#{number + 1}" if number else ""))
            records.append(record)
    if not records and not findings.problems:
        raise UserError(f"{path} holds no pictures with labels. Expected {LOOKED_FOR}.")
    root = path if path.is_dir() else path.parent
    if not classes and records:
        findings.note("skeleton-assumed", path.name, "points are named by the JSON; no mirror twins are known")
    return Dataset(
        root=root,
        format=FORMAT,
        records=tuple(records),
        skeleton=skeleton,
        classes=classes,
        problems=tuple(findings.problems),
    )


def _labelled(tar: Path, findings: Findings) -> Iterator[tuple[Path, str, list[dict[str, Any]]]]:
    """Pictures with their JSON, and where that stands."""
    contents = read_contents(tar)
    if contents.damage is not None:
        message = f"{tar} is damaged behind {len(contents.samples):,} samples: {contents.damage}. Copy it again"
        findings.error("shard-damaged", tar.name, message)
    for sample in contents.samples:
        source = f"{tar.name}:{sample.key}"
        if sample.picture is None:
            continue  # samples of other things may be among them
        if "json" not in sample.files:
            findings.warning("label-missing", source, "there is a picture and no JSON; it is left out")
            continue
        try:
            values = json.loads(_content(tar, sample, "json").read())
        except ValueError as error:
            findings.error("label-unreadable", source, f"its JSON cannot be read ({error})")
            continue
        several = values if isinstance(values, list) else [values]
        if all(isinstance(each, dict) for each in several):
            yield _content(tar, sample, sample.picture).path, source, several
        else:
            findings.error("label-unreadable", source, "its JSON is no object, and no list of objects")


def _content(tar: Path, sample: Sample, ending: str) -> Member:
    offset, size = sample.files[ending]
    return Member(shard=tar, offset=offset, size=size, name=f"{sample.key.rpartition('/')[2]}.{ending}")


def _names_in(labels: Iterable[Mapping[str, Any]]) -> tuple[Skeleton, tuple[str, ...]]:
    """Points in the order in which they are met first, classes by the alphabet."""
    points: dict[str, None] = {}
    classes: set[str] = set()
    for values in labels:
        if isinstance(values.get("points"), Mapping):
            points |= dict.fromkeys(map(str, values["points"]))
        for box in values["boxes"] if isinstance(values.get("boxes"), list) else ():
            if isinstance(box, Mapping) and isinstance(box.get("class"), str):
                classes.add(box["class"])
    return (NO_POINTS if classes else Skeleton(names=tuple(points))), tuple(sorted(classes))
