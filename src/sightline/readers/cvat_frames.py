"""CVAT for images 1.1 of a task that is a video, without its pictures: what it holds as tracks, frame by frame.

Each `image` is called `frame_000123` after its frame in the video. In: its nodes. Out: nodes as CVAT for video 1.1 has
them. Next: cvat_video.py
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sightline.images import list_images
from sightline.readers.texts import read_start
from sightline.readers.xml_nodes import Node
from sightline.video.library import list_videos

_FRAME = re.compile(r"(?:.*/)?frame_(\d+)(?:\.\w+)?", re.IGNORECASE)
_SHAPES = ("points", "box", "skeleton")
_START = 2**16


def is_of_frames(file: Path) -> bool:
    """Whether an XML labels frames of a video one by one, and there is a video and no picture below its folder."""
    start = read_start(file, characters=_START)
    is_video_task = "<mode>interpolation</mode>" in start and re.search(r'<image [^>]*name="(.*/)?frame_\d+', start)
    return bool(is_video_task) and bool(list_videos(file.parent)) and not list_images(file.parent)


def as_tracks(images: Sequence[Node]) -> list[Node]:
    """The shapes of images as tracks: of each label as many as there are shapes of it in one frame."""
    numbers = {int(match.group(1)): image for image in images if (match := _FRAME.fullmatch(_name(image)))}
    found: dict[tuple[str, int], dict[int, Node]] = {}
    for number, image in numbers.items():
        seen: Counter[str] = Counter()
        for shape in (child for child in image.children if child.tag in _SHAPES):
            label = shape.attributes.get("label", "")
            found.setdefault((label, seen[label]), {})[number] = shape
            seen[label] += 1
    return [
        Node(
            tag="track",
            attributes={"label": label},
            line=min(shape.line for shape in shapes.values()),
            children=[_of_frame(number, shapes.get(number), line=image.line) for number, image in numbers.items()],
        )
        for (label, _), shapes in found.items()
    ]


def _name(image: Node) -> str:
    return image.attributes.get("name", "").replace("\\", "/")


def _of_frame(number: int, shape: Node | None, *, line: int) -> Node:
    """A key frame; without a shape one in which nothing is visible."""
    if shape is None:
        return Node(tag="points", attributes={"frame": str(number), "outside": "1", "points": "0,0"}, line=line)
    attributes = {**shape.attributes, "frame": str(number)}
    return Node(tag=shape.tag, attributes=attributes, line=shape.line, children=shape.children)
