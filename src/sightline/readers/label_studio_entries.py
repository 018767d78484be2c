"""The tasks of all of Label Studio's JSON exports in one shape: `id`, `data`, and `annotations` with a `result`.

JSON is a list of tasks, or one task. JSON-MIN has one object for each annotation, with the data beside the regions and
their values without a type. A storage that Label Studio writes to has one file for each annotation, with its task in
it. In: a JSON. Out: tasks. Next: label_studio_tasks.py
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from sightline.errors import UserError
from sightline.readers.json_stream import Entry, mentions, read_items
from sightline.video.library import VIDEO_SUFFIXES

KINDS = ("rectanglelabels", "keypointlabels", "polygonlabels", "ellipselabels")
# What JSON-MIN puts beside the data and the regions.
_ABOUT = ("annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement", "id")


def is_export(file: Path) -> bool:
    """Whether a JSON has tasks, and regions that a reader of pictures understands."""
    has_regions = any(mentions(file, kind) for kind in KINDS) or mentions(file, "labels", "original_width")
    return has_regions and any(mentions(file, name) for name in ("data", "annotation_id", "original_width"))


def entries_of(file: Path, *, where: str) -> Iterator[tuple[str, Entry]]:
    """Each task with the place where it stands.

    Raises:
        UserError: the file is neither a list of tasks nor a task.
    """
    seen: set[str] = set()
    for index, entry in enumerate(read_items(file, or_one=True)):
        inner = entry.get("task")
        if "result" in entry and isinstance(inner, Mapping):
            entry = {**inner, "annotations": [entry]}
        number = entry.get("id", index + 1)
        source = f"{where}:task {number}"
        if not isinstance(entry.get("data"), Mapping):
            entry, is_known = _from_min(entry), "annotation_id" in entry
            if not is_known and not entry["annotations"]:
                raise UserError(
                    f"{source} has no 'data'. Expected Label Studio's export JSON or JSON-MIN (not its CSV or others)."
                )
            if str(number) in seen:
                continue  # JSON-MIN has an object for each annotation of a task; the first counts
            seen.add(str(number))
        yield source, entry


def video_name(data: Mapping[str, object]) -> str | None:
    """The name of the video in a task's data: under `video`, else of the first value that ends or plays like one."""
    for value in (data.get("video"), *data.values()):
        if not isinstance(value, str):
            continue
        for said in (value, *_played(value)):
            try:
                address = urlsplit(said)
            except ValueError:
                continue  # no address, such as a text with a bracket after //
            local = parse_qs(address.query).get("d")
            name = Path(local[0] if local else unquote(address.path)).name
            if Path(name).suffix.lower() in VIDEO_SUFFIXES:
                return name
    return None


def shows_video(data: Mapping[str, object]) -> bool:
    """Whether a task's data name a video or have one in HTML, of whatever address."""
    return video_name(data) is not None or any("<video" in str(value).lower() for value in data.values())


def _played(html: str) -> list[str]:
    """The addresses that the videos in HTML play; none in other texts."""
    found: list[str] = []

    class Sources(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag in ("video", "source"):
                found.extend(address for name, address in attrs if name == "src" and address)

    if "<" in html:
        Sources().feed(html)
    return found


def _from_min(entry: Entry) -> Entry:
    """A task of JSON-MIN as the other exports have it."""
    result: list[Entry] = []
    data: dict[str, object] = {}
    for name, value in entry.items():
        found = [region for one in _listed(value) if (region := _region(one, number=len(result))) is not None]
        if found:
            result += [{**region, "id": f"{name}-{index}"} for index, region in enumerate(found)]
        elif name not in _ABOUT:
            data[name] = value
    annotations = [{"result": result}] if result or "annotation_id" in entry else []
    return {"id": entry.get("id"), "data": data, "annotations": annotations}


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else [value]


def _region(value: object, *, number: int) -> Entry | None:
    """A region of JSON-MIN; None where a value is none."""
    if not isinstance(value, Mapping):
        return None
    kind = next((kind for kind in (*KINDS, "labels") if kind in value), None)
    if kind is None:
        return None
    size = {key: value[key] for key in ("original_width", "original_height", "image_rotation") if key in value}
    return {**size, "id": str(number), "type": kind, "value": value}
