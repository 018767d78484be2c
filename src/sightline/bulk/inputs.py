"""What is to be predicted, from folders, patterns, lists, label files and shards, as one list with a fixed order.

In: what the user names. Out: `Unit`s: pictures, or videos. A file that is named and cannot be read is a unit as any,
whose answer will be an error; nothing is dropped but what is listed twice. Next: plan.py
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.errors import UserError
from sightline.geometry import Box
from sightline.images import list_images
from sightline.members import Member
from sightline.readers import read_dataset, webdataset
from sightline.readers.texts import read_text
from sightline.shards.tar import read_contents
from sightline.tasks import LABEL_SUFFIXES, Task, tasks_of_labels
from sightline.video.library import is_video, list_videos

LIST_SUFFIX = ".txt"


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One picture, one object of a picture, or one video.

    Attributes:
        name: for tables.
        path: where it lies.
        box: of the object, where one is given.
        is_video: whether it has frames.
    """

    name: str
    path: str
    box: Box | None = None
    is_video: bool = False


def find_units(inputs: Sequence[str], *, follows: bool) -> tuple[list[Unit], int]:
    """Everything that the inputs name, each once, and how often something was named again.

    Args:
        inputs: pictures, videos, folders (searched through), patterns ("a/*/x?.jpg", "b/**/*.mp4"), lists (.txt with a
            path a line, relative ones below the list's folder), label files, folders of shards, tars.
        follows: the model follows a point through videos, so a folder's videos are meant and not its pictures.

    Raises:
        UserError: an input is not there, matches nothing, or holds nothing of that kind.
    """
    if not inputs:
        raise UserError(
            "There is nothing to predict. Name pictures, videos, folders, patterns, or a list of paths (.txt)."
        )
    units: dict[tuple[str, Box | None], Unit] = {}
    twice = 0
    for given in inputs:
        for unit in _units(given, follows=follows):
            key = (unit.path, unit.box)
            twice += key in units
            units.setdefault(key, unit)
    if not units:
        raise UserError(f"{', '.join(inputs)}: no inputs were found, so there is nothing to predict.")
    if follows and (still := next((unit for unit in units.values() if not unit.is_video), None)):
        raise UserError(f"{still.path} is a picture, and the model follows a point through videos. Name videos.")
    return list(units.values()), twice


def _units(given: str, *, follows: bool) -> Iterator[Unit]:
    path = Path(given).expanduser()
    if not path.exists() and glob.has_magic(given):
        yield from _of_pattern(given)
    elif not path.exists():
        raise UserError(f"There is no {given}. Give pictures, videos, folders, a pattern in quotes, or a list (.txt).")
    elif webdataset.is_indexed(path):
        yield from _of_shards(path)
    elif webdataset.detect(path) or path.suffix == ".tar":
        yield from _of_tars(path)
    elif path.is_dir():
        yield from _of_folder(path, follows=follows)
    elif path.suffix.lower() == LIST_SUFFIX:
        yield from _of_list(path)
    elif path.suffix.lower() in LABEL_SUFFIXES:
        yield from map(_of_task, tasks_of_labels(path))
    else:
        yield _of_file(path, name=path.name)


def _of_pattern(pattern: str) -> Iterator[Unit]:
    """All files that a pattern matches, by the alphabet; folders among them are passed over."""
    found = sorted(path for path in glob.glob(pattern, recursive=True) if Path(path).is_file())
    if not found:
        raise UserError(f"No file matches {pattern}. Check the pattern, and put it in quotes.")
    yield from (_of_file(Path(path), name=path) for path in found)


def _of_folder(folder: Path, *, follows: bool) -> Iterator[Unit]:
    videos = list_videos(folder)
    pictures = [] if follows else list_images(folder)
    if not (videos or pictures):
        raise UserError(f"{folder} holds no {'videos' if follows else 'pictures and no videos'}. Check the path.")
    yield from (_of_file(path, name=path.relative_to(folder).as_posix()) for path in [*pictures, *videos])


def _of_list(path: Path) -> Iterator[Unit]:
    """A path a line; empty lines, and lines that begin with #, are passed over."""
    for line in read_text(path).splitlines():
        said = line.strip()
        if said and not said.startswith("#"):
            yield _of_file(path.parent / Path(said).expanduser(), name=said)


def _of_shards(path: Path) -> Iterator[Unit]:
    dataset = read_dataset(path)
    if dataset.errors:
        told = "\n  ".join(str(problem) for problem in dataset.errors[:5])
        raise UserError(f"{path} has {len(dataset.errors):,} errors:\n  {told}\nMend what is named.")
    for record in dataset.records:
        yield Unit(name=record.image_id, path=str(record.path.absolute()), box=record.box_xyxy)


def _of_tars(path: Path) -> Iterator[Unit]:
    """Every picture of tars that other programs made, labelled or not."""
    for tar in webdataset.tars_of(path):
        contents = read_contents(tar)
        if contents.damage is not None:
            raise UserError(
                f"{tar} is damaged behind {len(contents.samples):,} samples: {contents.damage}. Copy it again."
            )
        for sample in contents.samples:
            if (ending := sample.picture) is not None:
                offset, size = sample.files[ending]
                name = f"{sample.key.rpartition('/')[2]}.{ending}"
                member = Member(shard=tar.absolute(), offset=offset, size=size, name=name)
                yield Unit(name=f"{tar.stem}/{sample.key}.{ending}", path=str(member.path))


def _of_task(task: Task) -> Unit:
    return Unit(name=task.image_id, path=str(task.path.absolute()), box=task.box)


def _of_file(path: Path, *, name: str) -> Unit:
    return Unit(name=name, path=str(path.absolute()), is_video=is_video(path))


def parts_of(units: Sequence[Unit], *, size: int) -> Iterator[list[Unit]]:
    """Parts of so many units; one video is a part of its own."""
    part: list[Unit] = []
    for unit in units:
        if part and (len(part) == size or unit.is_video or part[-1].is_video):
            yield part
            part = []
        part.append(unit)
    if part:
        yield part
