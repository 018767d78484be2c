"""What a tracker remembers: the last frames, and the last answers. Both are bounded.

Frames may be left out of a stream (they could not be decoded): networks then get black and "not visible" for them, as
in training. Next: stage.py
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np

from sightline.records import HISTORY
from sightline.track.rules import UNSEEN, Place
from sightline.video.frame import VideoFrame


class Past:
    """The last frames by number, and the last 30 answers."""

    def __init__(self, *, frames: int) -> None:
        """Remember so many frames before the current one; at least one, for the change since then."""
        self._frames: deque[VideoFrame] = deque(maxlen=max(1, frames) + 1)
        self._answers: deque[tuple[int, Place]] = deque(maxlen=HISTORY)

    @property
    def kept_frames(self) -> int:
        """How many frames are held."""
        return len(self._frames)

    def see(self, frame: VideoFrame) -> None:
        """A new frame is the current one."""
        self._frames.append(frame)

    def answered(self, number: int, place: Place) -> None:
        """What was said of a frame."""
        self._answers.append((number, place))

    def forget(self, numbers: Iterable[int]) -> None:
        """Take answers back: the point was not seen in these frames."""
        gone = set(numbers)
        kept = [(number, UNSEEN if number in gone else place) for number, place in self._answers]
        self._answers = deque(kept, maxlen=HISTORY)

    def before(self) -> VideoFrame | None:
        """The frame just before the current one, None where it is missing."""
        return self.frames(1)[0]

    def frames(self, past: int) -> list[VideoFrame | None]:
        """The current frame and `past` ones before, oldest first; None for those that are missing."""
        by_number = {frame.number: frame for frame in self._frames}
        now = self._frames[-1].number
        return [by_number.get(number) for number in range(now - past, now + 1)]

    def places(self) -> list[Place]:
        """The answers so far, oldest first, as the rules see them: frames that are missing do not count."""
        return [place for _, place in self._answers]

    def numbered(self) -> list[tuple[int, Place]]:
        """The answers so far with their frames' numbers, oldest first."""
        return list(self._answers)

    def history(self, length: int) -> tuple[np.ndarray, np.ndarray]:
        """The answers of the last `length` frames, as networks see them.

        Returns:
            Points [length, 2] in pixels of the frame, oldest first, zeros where not visible; and visible [length].
        """
        xy, visible = np.zeros((length, 2)), np.zeros(length, dtype=bool)
        now = self._frames[-1].number
        for number, place in self._answers:
            row = length - (now - number)
            if 0 <= row < length and place.visible:
                xy[row], visible[row] = (place.x, place.y), True
        return xy, visible
