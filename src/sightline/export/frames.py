"""The real pictures that an artefact is compared, calibrated and timed on. Next: parity.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sightline.checkpoint import RunFolder
from sightline.config import Experiment
from sightline.errors import UserError
from sightline.geometry import Box
from sightline.images import list_images, read_size
from sightline.prepare import load_data
from sightline.records import Record
from sightline.task_data import resolve_crop, speaking_of, usable
from sightline.view import ViewSettings, asked_area, base_box

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A picture on disk and the area of it that the model looks at, in its own pixels."""

    path: Path
    area: Box


@dataclass(frozen=True, kw_only=True, eq=False)
class Frames:
    """Frames spread over a data set, and its labelled records where there are some.

    Attributes:
        frames: what to look at.
        records: scanned records with truth, those that the run kept for validation where they are known; may be empty.
        data: the settings by which areas were found, with `crop` resolved.
        source: for the card: where the pictures came from.
        note: what the user should know of the choice, or nothing.
    """

    frames: tuple[Frame, ...]
    records: tuple[Record, ...]
    data: ViewSettings
    source: str
    note: str = ""


def find_frames(folder: RunFolder, experiment: Experiment, *, data: Path | None, count: int) -> Frames:
    """Frames of the data given, or of the data that the run was trained on where those still exist.

    Args:
        folder: the run.
        experiment: its experiment.
        data: a label file, a folder of labels and pictures, or a folder of pictures alone.
        count: at most so many frames.

    Raises:
        UserError: there are no pictures to be found.
    """
    path, format = (data, None) if data is not None else _own_data(folder)
    try:
        dataset = usable(
            speaking_of(experiment, load_data(path, skip_broken=True, format=format)), experiment.codec.finds, []
        )
    except UserError as error:
        if not path.is_dir() or not (pictures := list_images(path)):
            raise
        frames = [
            Frame(path=p, area=asked_area(read_size(p), None, data=experiment.data)) for p in spread(pictures, count)
        ]
        note = f"no usable labels in {path} ({error}); whole pictures are taken"
        return Frames(frames=tuple(frames), records=(), data=experiment.data, source=str(path), note=note)
    crop = resolve_crop(experiment.data, dataset, experiment.codec.finds)
    view = experiment.data.model_copy(update={"crop": crop})
    chosen = spread(dataset.records, count)
    frames = [Frame(path=r.path, area=base_box(r, r.size_hw or read_size(r.path), view)) for r in chosen]
    kept = folder.validation_ids()
    records = [record for record in dataset.records if record.image_id in kept] or list(dataset.records)
    return Frames(frames=tuple(frames), records=tuple(records), data=view, source=dataset.root.name)


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` of them, evenly spread."""
    if len(items) <= count:
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]


def _own_data(folder: RunFolder) -> tuple[Path, str | None]:
    """The data that a run was trained on."""
    needed = "An exported model is compared with its run on real pictures: give some by --data DATA."
    if not folder.info.is_file():
        raise UserError(f"{folder.path} does not say what it was trained on (no run.json). {needed}")
    told = folder.read_info().get("data", {})
    root = Path(told.get("root", ""))
    if not told.get("root") or not root.exists():
        raise UserError(f"The data that {folder.path} was trained on are gone ({root}). {needed}")
    return root, told.get("format")
