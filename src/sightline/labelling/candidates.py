"""What may be labelled: pictures, and frames of videos, that have no label yet.

In: pictures, folders, videos, label files and data sets. Out: `Candidates`. Next: uncertainty.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sightline.errors import UserError
from sightline.geometry import Box
from sightline.images import list_images
from sightline.readers import FORMATS, read_dataset
from sightline.readers.pictures import is_picture
from sightline.records import Record
from sightline.tasks import LABEL_SUFFIXES
from sightline.video.library import is_video, list_videos


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A picture, or a frame of a video.

    Attributes:
        name: what it is called in tables and label files; of a frame the picture that is made of it.
        path: the picture, or the video.
        frame: its number in the video, from 0; None where `path` is a picture.
        time_s: when the frame is shown; None where no clip is known.
        film: the clip that the frame belongs to; None for a picture.
        box: the object's box where a label file or --boxes knows it, for models of points that want a crop.
        box_source: who knew it.
    """

    name: str
    path: Path
    frame: int | None = None
    time_s: float | None = None
    film: str | None = None
    box: Box | None = None
    box_source: str = "label"


@dataclass(frozen=True, kw_only=True)
class Film:
    """A video whose frames are candidates; `name` is the folder that their pictures get.

    Attributes:
        labelled: numbers of the frames that people labelled; these are no candidates.
    """

    name: str
    path: Path
    labelled: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """Everything that may be labelled, and what is labelled already.

    Attributes:
        labelled: records that people labelled; nothing that looks like one of these is asked for again.
    """

    pictures: tuple[Candidate, ...]
    films: tuple[Film, ...]
    labelled: tuple[Record, ...] = ()

    @property
    def count_labelled(self) -> int:
        """Pictures and frames of videos that people labelled."""
        return len(self.labelled) + sum(len(film.labelled) for film in self.films)


def find_candidates(inputs: Sequence[Path], *, format: str | None = None) -> Candidates:
    """Look through the inputs.

    Args:
        inputs: pictures, videos, label files, or folders; of a folder with labels those pictures and frames that have
            none.
        format: of the labels, where it cannot be found out.

    Raises:
        UserError: an input is missing, holds nothing, or everything is labelled.
    """
    pictures: dict[Path, Candidate] = {}
    films: dict[Path, Film] = {}
    labelled: dict[Path, Record] = {}
    for given in inputs:
        if not given.exists():
            raise UserError(f"There is no {given}. Expected a picture, a video, a label file or a folder.")
        if given.is_dir() or given.suffix.lower() in LABEL_SUFFIXES:
            _look_into(given, format=format, pictures=pictures, films=films, labelled=labelled)
        elif is_video(given):
            films.setdefault(given.resolve(), Film(name=given.stem, path=given))
        elif is_picture(given):
            pictures.setdefault(given.resolve(), Candidate(name=given.name, path=given))
        else:
            raise UserError(f"{given} is no picture, no video and no label file (by its name's ending).")
    if not pictures and not films:
        told = ", ".join(map(str, inputs))
        if labelled:
            raise UserError(
                f"All {len(labelled):,} pictures of {told} are labelled already. Give pictures without labels."
            )
        raise UserError(f"{told} holds no pictures and no videos. Give what is to be labelled.")
    left = [one for path, one in pictures.items() if path not in labelled]
    if not left and not films:
        raise UserError(
            f"All {len(pictures):,} pictures of {', '.join(map(str, inputs))} are labelled already. Give pictures "
            "without labels."
        )
    return Candidates(
        pictures=tuple(_named_apart(left)),
        films=tuple(_films_apart(list(films.values()))),
        labelled=tuple(labelled.values()),
    )


def _look_into(
    given: Path,
    *,
    format: str | None,
    pictures: dict[Path, Candidate],
    films: dict[Path, Film],
    labelled: dict[Path, Record],
) -> None:
    """A folder or a label file: what lies there, and what of it is labelled."""
    root, dataset = given, None
    if not given.is_dir() or format is not None or any(detect(given) for detect, _ in FORMATS.values()):
        dataset = read_dataset(given, format=format)
        root = dataset.root
    for path in list_images(root):
        pictures.setdefault(path.resolve(), Candidate(name=path.relative_to(root).as_posix(), path=path))
    if given.is_dir():
        for path in list_videos(root):
            name = path.relative_to(root).with_suffix("").as_posix()
            films.setdefault(path.resolve(), Film(name=name, path=path))
    if dataset is None:
        return
    frames: dict[Path, set[int]] = {}
    for record in dataset.records:
        place = record.path.resolve()
        if record.video_frame is not None:
            films.setdefault(place, Film(name=record.path.stem, path=record.path))
            if is_labelled(record):
                frames.setdefault(place, set()).add(record.video_frame)
            continue
        if is_labelled(record):
            labelled[place] = record
        else:
            pictures[place] = Candidate(name=picture_id(record), path=record.path, box=record.box_xyxy)
    for place, numbers in frames.items():
        films[place] = replace(films[place], labelled=films[place].labelled | numbers)


def is_labelled(record: Record) -> bool:
    """Whether a person has labelled the picture; a model's pre-annotations are no labels.

    A frame of a clip is labelled also where it says that nothing is to be seen.
    """
    told = record.before is not None or record.objects is not None or bool(record.visible.any())
    return told and not record.is_guess


def picture_id(record: Record) -> str:
    """What a record's picture is called: its id without the number of the object."""
    return record.image_id if record.image_id.endswith(record.path.name) else record.image_id.rpartition("#")[0]


def _named_apart(found: Sequence[Candidate]) -> list[Candidate]:
    """Pictures of one name from several folders get their whole paths."""
    count: dict[str, int] = {}
    for one in found:
        count[one.name] = count.get(one.name, 0) + 1
    return [
        one if count[one.name] == 1
        else Candidate(name=one.path.resolve().as_posix().lstrip("/"), path=one.path, box=one.box)
        for one in found
    ]  # fmt: skip


def _films_apart(films: Sequence[Film]) -> list[Film]:
    """Videos of one name get their endings, or their whole paths, as well."""
    names = [film.name for film in films]
    apart = []
    for film in films:
        name, path = film.name, film.path
        if names.count(name) > 1:
            same = [other for other in films if other.name == name and other.path.suffix == path.suffix]
            ending = f"{name}_{path.suffix[1:].lower()}"
            name = ending if len(same) == 1 else path.resolve().as_posix().lstrip("/").replace(".", "_")
        apart.append(replace(film, name=name))
    return apart
