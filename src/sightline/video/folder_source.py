"""A folder of numbered pictures as a stream of frames.

In: a folder. Out: `VideoFrame`s. Next: stream_source.py
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from sightline.errors import UserError
from sightline.images import ImageError, list_images, read_image, read_size
from sightline.video.frame import VideoFrame
from sightline.video.library import OnProblem, VideoError, VideoProblem
from sightline.video.pixels import ArrayPixels

_NUMBER = re.compile(r"\d+")
_HASH = re.compile(r"[._](jpe?g|png)\.rf\.\w+$", re.IGNORECASE)  # what Roboflow puts behind a picture's name


def numbered_pictures(folder: Path) -> dict[int, Path]:
    """The pictures directly in a folder by the numbers in their names; those without one are left out.

    Where names hold several, those count that are different in all and nearest to each other, so neither `cam1` in
    `0001_cam1.jpg` nor the seconds in `0001_0.033s.jpg`; or else the last ones.

    Raises:
        UserError: two pictures have the same number.
    """
    pictures = [path for path in list_images(folder) if path.parent == folder]
    in_names = {path: [int(text) for text in _NUMBER.findall(_HASH.sub("", path.stem))] for path in pictures}
    numbers = {path: in_name for path, in_name in in_names.items() if in_name}
    back = _place_from_end(list(numbers.values()))
    found: dict[int, Path] = {}
    for path, in_name in sorted(numbers.items()):
        number = in_name[-back]
        if number in found:
            raise UserError(
                f"{found[number]} and {path} have the same number. Frames of a clip need a number each: "
                "keep one of them, or move clips into folders of their own."
            )
        found[number] = path
    return dict(sorted(found.items()))


def _place_from_end(numbers: Sequence[Sequence[int]]) -> int:
    """Which number of names counts, from the end, the last being 1."""
    spans: dict[int, int] = {}
    for back in range(1, min(map(len, numbers), default=0) + 1):
        values = {in_name[-back] for in_name in numbers}
        if len(values) == len(numbers):
            spans[back] = max(values) - min(values)
    return min(spans, key=lambda back: (spans[back], back), default=1)


class FolderSource:
    """Numbered pictures, the lowest number being frame 0; gaps in the numbers stay gaps."""

    is_live = False

    def __init__(self, folder: Path, *, fps: float, on_problem: OnProblem) -> None:
        """List the pictures and read the first one's size.

        Raises:
            VideoError: there are no numbered pictures.
            UserError: two have the same number.
        """
        self.name = str(folder)
        self._pictures = numbered_pictures(folder)
        if not self._pictures:
            raise VideoError(
                f"{folder} holds no pictures with numbers in their names. Expected frames such as 000001.jpg.",
                fault="video-empty",
            )
        self.frames: int | None = len(self._pictures)
        self.fps = fps
        self._tell, self._told = on_problem, set[str]()
        self.size_hw = self._first_size()

    def __iter__(self) -> Iterator[VideoFrame]:
        """The pictures that can be read, scaled to the size of the first."""
        first = next(iter(self._pictures))
        expected, count = first, 0
        for number, path in self._pictures.items():
            if number != expected:
                self._once(
                    "frames-missing",
                    f"{self.name} has no picture with the number {expected}; the next is {number}. The frames "
                    "between are left out",
                    frame=expected - first,
                )
            expected = number + 1
            try:
                image = read_image(path)
            except ImageError as error:
                self._once("video-damaged", f"{error} Such frames are left out", frame=number - first)
                continue
            if image.shape[:2] != self.size_hw:
                self._once(
                    "video-size-changes",
                    f"{path} has {image.shape[1]} x {image.shape[0]} pixels, the first picture "
                    f"{self.size_hw[1]} x {self.size_hw[0]}; such frames are scaled to the first one's size",
                    frame=number - first,
                )
                image = cv2.resize(image, self.size_hw[::-1], interpolation=cv2.INTER_AREA)
            count += 1
            pixels = ArrayPixels(np.ascontiguousarray(image))
            yield VideoFrame(number=number - first, time_s=(number - first) / self.fps, pixels=pixels)
        if count == 0:
            raise VideoError(f"No picture of {self.name} can be read. Copy them again.", fault="video-empty")

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is open."""

    def _first_size(self) -> tuple[int, int]:
        for path in self._pictures.values():
            try:
                return read_size(path)
            except ImageError:
                continue  # told when its turn comes
        raise VideoError(f"No picture of {self.name} can be read. Copy them again.", fault="video-empty")

    def _once(self, id: str, message: str, *, frame: int) -> None:
        if id not in self._told:
            self._told.add(id)
            self._tell(VideoProblem(id=id, message=message, frame=frame))
