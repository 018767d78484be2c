"""Finding the picture that a label file names.

Label files travel: their paths are absolute, or written on Windows, or relative to a folder
that was renamed. Some tools leave the ending out, some put eight characters before an uploaded
picture's name. In: a name. Out: a path that exists, or None.
Next: assemble.py
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from sightline.images import IMAGE_SUFFIXES, list_images

# Where a label file's name fits several pictures, the first of these is taken.
_BESIDE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", *sorted(IMAGE_SUFFIXES - {".png", ".jpg", ".jpeg", ".bmp"}))
# Folders that hold labels and no pictures.
LABEL_FOLDERS = ("annotations", "annotation", "labels", "ann")
# What Label Studio puts before the name of an uploaded picture, in all of its exports.
UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")


def is_picture(path: Path) -> bool:
    """Whether a file's name ends as pictures' names do, and it is not hidden (macOS leaves `._a.jpg`)."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


class Pictures:
    """The pictures below a root, found by the names that label files give them."""

    def __init__(self, root: Path, *, folders: Sequence[Path] = ()) -> None:
        """Look below `root`; `folders` are looked in as well, after it, for names relative to them."""
        self.root = root
        self._folders = (root, *folders, *(root / name for name in ("images", "imgs", "img", "JPEGImages")))
        self._listed: dict[Path, _Files] = {}
        self._places: dict[str, list[_Files]] = {}  # by a name's own folder: the candidates' that there are

    def find(self, name: str) -> Path | None:
        """The file of that name, or None.

        Tried in turn: the path as it is (absolute, or below the root or a folder of pictures),
        the path with leading folders taken away one by one, the name alone anywhere below the
        root where only one file has it. Letter case of the file's name is ignored last of all. Where
        nothing is found, the same again with the ending that the name lacks, without what an upload
        put before it, and with a URL's `%20` read as a blank.
        """
        clean = PurePosixPath(name.strip().replace("\\", "/"))
        if not clean.name:
            return None
        if (found := self._find(clean)) is not None:
            return found
        return next((found for other in _other_spellings(clean) if (found := self._find(other)) is not None), None)

    def _find(self, clean: PurePosixPath) -> Path | None:
        if clean.is_absolute() and os.path.isfile(clean):  # not Path's, which fails on names that no file can have
            # Below the root it must be the path that a relative name gives, to be known as a double.
            root = self.root.absolute()
            return _normal(self.root / Path(clean).relative_to(root)) if clean.is_relative_to(root) else Path(clean)
        parts, name = clean.parts, clean.name
        for start in range(1 if clean.is_absolute() else 0, len(parts)):
            for files in self._candidates("/".join(parts[start:-1])):
                if (found := files.find(name)) is not None:
                    return found
        same_name = self._by_name.get(name.lower(), ())
        return same_name[0] if len(same_name) == 1 else None

    def beside(self, label: Path) -> Path | None:
        """The picture with a label file's name and another ending, in the same folder."""
        listed = self._listing(label.parent).by_lower
        for suffix in _BESIDE_SUFFIXES:
            if (found := listed.get((label.stem + suffix).lower())) is not None:
                return found
        return None

    def name_beside(self, label: Path) -> str:
        """How tables call the picture beside a label file, or would call it if it were there."""
        return self.name_of(self.beside(label) or label.with_suffix(""))

    def in_folder(self, folder: Path) -> list[Path]:
        """The pictures that lie directly in a folder."""
        return [path for path in self._listing(folder).by_lower.values() if is_picture(path)]

    def name_of(self, path: Path) -> str:
        """How tables call a picture: its path below the root, with `/`."""
        try:
            return _normal(path).relative_to(_normal(self.root)).as_posix()
        except ValueError:
            return path.as_posix()

    def _candidates(self, own: str) -> list[_Files]:
        """Where to look, in turn, for the names that have this folder of their own in front: folders that there are."""
        if own not in self._places:
            folders = (self._listing(folder / own) for folder in self._folders)
            self._places[own] = [files for files in folders if files.is_there]
        return self._places[own]

    def _listing(self, folder: Path) -> _Files:
        """The files of a folder, read from the disk once."""
        if folder not in self._listed:
            self._listed[folder] = _Files(folder)
        return self._listed[folder]

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        """Every picture below the root, by lower-case name."""
        found: dict[str, list[Path]] = {}
        for path in list_images(self.root):
            found.setdefault(path.name.lower(), []).append(path)
        return found


class _Files:
    """The files directly in a folder, as they were when it was read: hundreds of thousands of labels may ask for one.

    Attributes:
        is_there: whether there is such a folder.
        by_lower: the files by lower-case name.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.is_there = os.path.isdir(folder)
        self._is_open = self.is_there and os.access(folder, os.R_OK)
        names = sorted(_file_names(folder)) if self._is_open else []
        self._names = frozenset(names)
        self.by_lower = {name.lower(): folder / name for name in names}

    def find(self, name: str) -> Path | None:
        """The file of that name: exactly, or else but for the letter case."""
        nearly = self.by_lower.get(name.lower())
        # Disks have rules of their own for which names are equal (letter case, accents): then they are asked.
        is_odd = nearly is not None or not name.isascii() or not self._is_open
        if name in self._names or (is_odd and os.path.isfile(self._folder / name)):
            # `..` in a name must not give one picture two paths, and so two records.
            return _normal(self._folder / name)
        return nearly


def _file_names(folder: Path) -> Iterator[str]:
    """The names of the files in a folder; links to files are files."""
    with os.scandir(folder) as entries:
        # Of a link the entry itself would raise where it leads in a circle.
        yield from (e.name for e in entries if (os.path.isfile(e.path) if e.is_symlink() else e.is_file()))


def finder_of(file: Path, *, root: Path) -> Pictures:
    """Looks first where this label file's pictures lie: beside it in a folder of its part, or in a folder of its name.

    Parts of one data set often have pictures of the same names: `train/a.jpg` is meant by `train/labels.csv`, by
    `train.csv` and by `instances_train.json`, whose own folder then is `train` or `images/train`.
    """
    name = file.stem.rsplit("_", 1)[-1]
    beside = [file.parent] if file.parent.name.lower() not in LABEL_FOLDERS else []
    own = [folder for folder in (*beside, root / name, root / "images" / name) if folder.is_dir() and folder != root]
    return Pictures(own[0] if own else root, folders=[*own[1:], root, file.parent])


def _other_spellings(name: PurePosixPath) -> Iterator[PurePosixPath]:
    """How the file of a name that is not there may be called."""
    if name.suffix.lower() not in IMAGE_SUFFIXES:
        yield from (name.with_name(name.name + suffix) for suffix in _BESIDE_SUFFIXES)
        return
    if UPLOAD_PREFIX.match(name.name):
        yield name.with_name(UPLOAD_PREFIX.sub("", name.name))
    if "%" in name.name:
        yield PurePosixPath(unquote(name.as_posix()))


def _normal(path: Path) -> Path:
    """The path without detours through `..`; one that leads out of the working folder keeps them in front."""
    return Path(os.path.normpath(path))


def files_below(root: Path, *, suffixes: Iterable[str]) -> list[Path]:
    """The files below a folder whose names end so, whatever the letter case; hidden ones left out."""
    wanted = tuple(suffixes)
    return sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in wanted and not path.name.startswith(".") and path.is_file()
    )
