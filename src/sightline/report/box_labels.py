"""Where the names of boxes stand on a picture, so that they do not cover each other.

Next: box_pictures.py
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from sightline.geometry import Box

TEXT, TEXT_PANORAMA = 0.03, 0.014  # height of letters in parts of the picture's width, as boxes.css has it for tiles
_LETTER = 0.62  # mean width of a letter in parts of its height


@dataclass(frozen=True, kw_only=True)
class Label:
    """A name at a box; `more` is added where there is room, in the enlarged picture."""

    box_xyxy: Box
    text: str
    more: str
    kind: str


class Places:
    """Gives each label a place that no earlier label has."""

    def __init__(self, size_hw: tuple[int, int], *, text: float = TEXT) -> None:
        self.height, self.width = size_hw
        self._em = text * self.width
        self._taken: list[Box] = []

    def texts(self, labels: Iterable[Label]) -> str:
        """SVG texts; one that finds no place stands where the first would, and shows in the enlarged picture only."""
        return "".join(self._text(label) for label in labels)

    def _text(self, label: Label) -> str:
        x0, y0, x1, y1 = label.box_xyxy
        wide, em = _LETTER * self._em * len(label.text), self._em
        left = min(max(x0, 0.0), max(0.0, self.width - wide))
        right = max(0.0, min(x1, self.width) - wide)
        choices = [
            (x, y)
            for y in (y0 - 0.25 * em, y0 + 1.05 * em, y1 + 0.95 * em, y1 - 0.3 * em)  # above, inside, below, inside
            for x in (left, right)
            if em <= y + 0.1 * em and y <= self.height
        ] or [(left, min(max(y0, em), self.height))]
        free = next(((x, y) for x, y in choices if not self._is_taken((x, y - 0.9 * em, x + wide, y + 0.1 * em))), None)
        x, y = free or choices[0]
        if free:
            self._taken.append((x, y - 0.9 * em, x + wide, y + 0.1 * em))
        kind = label.kind if free else f"{label.kind} more"
        more = f'<tspan class="more">{escape(label.more)}</tspan>' if label.more else ""
        # Enlarged, letters are half as high; what would still run out of the picture grows to the left instead.
        grows = x + 0.5 * _LETTER * em * len(label.text + label.more) > self.width
        place = f'x="{min(x + wide, self.width):.1f}" text-anchor="end"' if grows else f'x="{x:.1f}"'
        return f'<text class="{kind}" {place} y="{y:.1f}">{escape(label.text)}{more}</text>'

    def _is_taken(self, place: Box) -> bool:
        x0, y0, x1, y1 = place
        return any(x0 < a1 and a0 < x1 and y0 < b1 and b0 < y1 for a0, b0, a1, b1 in self._taken)
