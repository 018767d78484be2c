"""Which number a decoded frame has, also where frames before it could not be decoded.

Frames come out in display order and are counted. Once something was damaged the count alone would be off by
the lost frames, so from then on the display times of all packets that went in tell how many there were. Where a file
begins between key frames, the first frame that comes out is number 0, as players have it.
In: times of packets and of frames. Out: numbers from 0. Next: stream_source.py
"""

from __future__ import annotations

import heapq


class Numbering:
    """Gives frames their numbers; remembers only the packets whose frames are still to come."""

    def __init__(self) -> None:
        """Begin at 0."""
        self._next = 0
        self._waiting: list[int] = []
        self._is_damaged = False
        self.sent_count = 0
        """Packets that went in."""
        self.lost_before = 0
        """Of these, the ones before the first frame that came out, where the file begins between key frames."""
        self._begins_between = False

    @property
    def next_number(self) -> int:
        """The number of the next frame if none is lost before it; how many there were."""
        return self._next

    def sent(self, pts: int | None, *, is_key: bool) -> None:
        """A packet went into the decoder that shows a frame at this time."""
        if not self.sent_count:
            self._begins_between = not is_key
        self.sent_count += 1
        if pts is not None:
            heapq.heappush(self._waiting, pts)

    def damaged(self) -> None:
        """Something could not be decoded: frames may be lacking from now on."""
        self._is_damaged = True

    def number(self, pts: int | None) -> int:
        """The number of a frame that came out."""
        passed = 0
        while pts is not None and self._waiting and self._waiting[0] <= pts:
            heapq.heappop(self._waiting)
            passed += 1
        if self._next == 0 and self._begins_between:
            self.lost_before, passed = max(0, passed - 1), 1
        number = self._next + (max(0, passed - 1) if self._is_damaged else 0)
        self._next = number + 1
        return number
