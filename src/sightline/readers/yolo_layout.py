"""How YOLO data lie on the disk: a YAML that names pictures, and a text file for each picture.

In: the YAML. Out: the pictures of each part, and where their labels are. Next: yolo.py, yolo_pose.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from sightline.images import list_images
from sightline.readers.assemble import Findings, place
from sightline.readers.pictures import Pictures
from sightline.readers.texts import read_start, read_text

PARTS = ("train", "val", "test")


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
        entries = [entry for part in PARTS for entry in _entries(config.get(part))]
        for root in (file.parent / said, Path(said)):
            if root.is_dir() and any((root / entry).exists() for entry in entries):
                return root
    return file.parent


def pictures_of(value: object, *, root: Path, split: str, file: Path, findings: Findings) -> Iterator[Path]:
    """The pictures of one part: a folder, a text file with a list, or several of these."""
    for entry in _entries(value):
        said = Path(entry.replace("\\", "/"))
        # Exported data often say ../train/images for a folder that lies beside the YAML.
        trimmed = Path(*[part for part in said.parts if part != ".."])
        found = next((p for p in (root / said, file.parent / said, file.parent / trimmed) if p.exists()), None)
        if found is None:
            # Many copies of a data set come with only some of its parts.
            message = f"{split}: there is no '{entry}'; this part is left out"
            findings.warning("split-missing", place(file, root), message)
        elif found.is_dir():
            yield from list_images(found)
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


def _entries(value: object) -> list[str]:
    """What a part's key says, as a list."""
    listed = value if isinstance(value, list) else [value]
    return [str(entry) for entry in listed if entry is not None and str(entry).strip()]
