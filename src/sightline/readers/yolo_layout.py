"""How YOLO data lie on the disk: a YAML that names pictures, and a text file for each picture.

In: the YAML. Out: the pictures of each part, and where their labels are. Next: yolo.py, yolo_pose.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from sightline.images import list_images
from sightline.readers.assemble import Findings, place
from sightline.readers.pictures import Pictures, is_picture
from sightline.readers.texts import number, part_folders, read_start, read_text

PARTS = ("train", "val", "test")
# Among so many pictures one has a label file, or the data are of another format.
_LOOKED_AT = 1000


def yaml_files(path: Path, *, is_wanted: Callable[[str], bool]) -> list[Path]:
    """The YAML files whose start is wanted: the path itself, or those directly in it."""
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    return [
        file
        for file in candidates
        if file.suffix.lower() in (".yaml", ".yml")
        and file.is_file()
        and not file.name.startswith(".")
        and is_wanted(read_start(file, characters=65536))
    ]


def root_of(config: Mapping[str, object], *, file: Path) -> Path:
    """What `path` says, where that is there; else the YAML's folder (data sets get moved)."""
    said = config.get("path")
    if isinstance(said, str) and said.strip():
        entries = [entry for part in PARTS for entry in _entries(said_of(config, part))]
        for root in (file.parent / said, Path(said)):
            if root.is_dir() and any((root / entry).exists() for entry in entries):
                return root
    return file.parent


def said_of(config: Mapping[str, object], part: str) -> object:
    """What a YAML says of a part; some call the second one `valid` or `validation`."""
    names = ("val", "valid", "validation") if part == "val" else (part,)
    return next((config[name] for name in names if config.get(name)), None)


def pictures_of(value: object, *, root: Path, split: str, file: Path, findings: Findings) -> Iterator[Path]:
    """The pictures of one part: a folder, a text file with a list, a picture, or several of these."""
    for entry in _entries(value):
        said = Path(entry.replace("\\", "/"))
        # Exported data often say ../train/images for a folder that lies beside the YAML.
        trimmed = Path(*[part for part in said.parts if part != ".."])
        # ... or the whole path of another machine.
        tails = (Path(*trimmed.parts[start:]) for start in range(1, len(trimmed.parts)))
        places = (root / said, file.parent / said, *(file.parent / tail for tail in (trimmed, *tails)))
        found = next((place for place in places if place.exists()), None)
        if found is None:
            # Many copies of a data set come with only some of its parts.
            message = f"{split}: there is no '{entry}'; this part is left out"
            findings.warning("split-missing", place(file, root), message)
        elif found.is_dir():
            yield from list_images(found)
        elif is_picture(found):
            yield found
        else:
            finder = Pictures(root, folders=[found.parent])
            for line, text in enumerate(read_text(found).splitlines(), start=1):
                if not text.strip():
                    continue
                if (picture := finder.find(text)) is not None:
                    yield picture
                else:
                    where = place(found, root, line=line)
                    findings.error("image-missing", where, f"there is no picture '{text.strip()}'")


def label_of(picture: Path, *, root: Path) -> Path:
    """Where a picture's labels lie: `images` in its path becomes `labels`; else beside it."""
    inside = picture.is_relative_to(root)
    parts = list(picture.relative_to(root).parts if inside else picture.parts)
    beside = picture.with_suffix(".txt")
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            path = Path(*parts[:index], "labels", *parts[index + 1 :]).with_suffix(".txt")
            path = root / path if inside else path
            return beside if beside.is_file() and not path.is_file() else path
    return beside


def class_list(path: Path) -> Path | None:
    """The file that names the classes, one a line, where label files lie below a folder without a YAML.

    `classes.txt` (labelImg, Label Studio), there, in `labels/` or in a folder of a part; `obj.names` or another
    `.names` (darknet, CVAT); `_darknet.labels` in folders of parts (Roboflow).
    """
    if not path.is_dir():
        return None
    parts, labels = part_folders(path), path / "labels"
    folders = [path, labels, *part_folders(labels), *parts, *(part / "labels" for part in parts)]
    named = [folder / name for folder in folders for name in ("classes.txt", "_darknet.labels")]
    found = next((file for file in [*named, *sorted(path.glob("*.names"))] if file.is_file()), None)
    if found is None:
        return None
    return found if _first_label(path) is not None else None


def nearly(path: Path) -> str | None:
    """What is lacking in a folder of pictures with label files that nothing names the classes of."""
    label = _first_label(path) if path.is_dir() and class_list(path) is None else None
    if label is None or not is_label(label):
        return None
    return (
        f"{label} looks like labels of YOLO, but nothing names their classes. Add classes.txt with one name a line, or "
        "data.yaml with `names` and `train`."
    )


def is_label(file: Path) -> bool:
    """Whether a text file's first line is of numbers, as labels are."""
    words = read_start(file, characters=1024).strip().split("\n", 1)[0].split()
    try:
        return len([number(word) for word in words]) >= 5
    except ValueError:
        return False


def _first_label(path: Path) -> Path | None:
    """The label file of one of the first pictures below a folder."""
    labels = (label_of(picture, root=path) for picture in islice(list_images(path), _LOOKED_AT))
    return next((label for label in labels if label.is_file()), None)


def _entries(value: object) -> list[str]:
    """What a part's key says, as a list."""
    listed = value if isinstance(value, list) else [value]
    return [str(entry) for entry in listed if entry is not None and str(entry).strip()]
