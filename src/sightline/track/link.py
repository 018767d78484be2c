"""Of all that was seen in some frames, what one moving point can have been: the path of least cost, some frames later.

A single frame cannot tell a shuttle from a shoe that looks like one; the frames around it can, since a flight goes on
smoothly. Each answer of a stage costs what its probability lacks, each step what it changes in the motion, and going
from seen to unseen or back a little; no step costs more than `link_most`, or nothing would be followed through a hit.
The cheapest path is found by dynamic programming over pairs of answers (Viterbi), with a fixed lag. In: the rows as
they were said, and the answers behind each. Out: the rows of the path, `look_ahead` frames later. Next: fill.py
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sightline.track.config import ZoomConfig
from sightline.track.point import TrackPoint
from sightline.track.rules import StagePoint

MOST_ANSWERS = 4  # of one frame, the surest; the work grows with their cube
LEAST_DOUBT = 1e-4  # a probability is held so far from 0 and 1 that no single answer decides a path


def log_odds(probability: float) -> float:
    """Of a probability, which is held `LEAST_DOUBT` away from 0 and 1."""
    held = min(max(probability, LEAST_DOUBT), 1 - LEAST_DOUBT)
    return math.log(held / (1 - held))


@dataclass(kw_only=True, eq=False, slots=True)
class _Node:
    """The cheapest path that ends with an answer, None for unseen, behind that of the node before."""

    answer: StagePoint | None
    cost: float
    before: _Node | None


class PathLinker:
    """Holds rows back, and gives them with the answers that the cheapest path goes through."""

    def __init__(
        self,
        config: ZoomConfig,
        *,
        size_hw: tuple[int, int],
        least_visible: float,
        radius: Callable[[float], float | None],
    ) -> None:
        """Begin before the first frame.

        Args:
            config: `look_ahead` rows are held back; the costs are the fields `link_*`.
            size_hw: of the frames; lengths are shares of the square root of their area.
            least_visible: from which probability on a single answer is taken for visible.
            radius: the error radius of an answer by its probability; None where none is known.
        """
        self.config, self._radius = config, radius
        self._unit_px = math.sqrt(size_hw[0] * size_hw[1])
        self._asked = log_odds(least_visible) + config.link_doubt
        self._begin()

    def feed(self, point: TrackPoint, answers: Sequence[StagePoint]) -> list[TrackPoint]:
        """Take the newest row and the answers of its frame; give those that are final now."""
        if self._last is not None:
            for _ in range(min(2, point.frame - self._last - 1)):  # a frame is missing; behind two any motion is new
                self._extend(None, ())
        self._last = point.frame
        self._extend(point, sorted(answers, key=lambda answer: -answer.visible)[:MOST_ANSWERS])
        return self._given(len(self._held) - self.config.look_ahead)

    def finish(self) -> list[TrackPoint]:
        """What is held back; the video has ended."""
        rows = self._given(len(self._held))
        self._begin()
        return rows

    def _begin(self) -> None:
        self._nodes = [_Node(answer=None, cost=0.0, before=None)]  # of the newest frame, one for each pair of answers
        self._held: deque[tuple[TrackPoint | None, list[_Node]]] = deque()
        self._last: int | None = None

    def _extend(self, row: TrackPoint | None, answers: Sequence[StagePoint]) -> None:
        """One more frame: the cheapest way to each answer from each of the frame before."""
        least = min(node.cost for node in self._nodes)
        cheapest: dict[tuple[int, int], _Node] = {}
        for answer in (None, *answers):
            own = 0.0 if answer is None else self._asked - log_odds(answer.visible)
            for node in self._nodes:
                cost = node.cost - least + own + self._step(node, answer)
                pair = (id(node.answer), id(answer))
                if pair not in cheapest or cost < cheapest[pair].cost:
                    cheapest[pair] = _Node(answer=answer, cost=cost, before=node)
        self._nodes = list(cheapest.values())
        self._held.append((row, self._nodes))

    def _step(self, node: _Node, answer: StagePoint | None) -> float:
        """What it costs to go on from a node to an answer, or to unseen."""
        start = node.answer
        if start is None or answer is None:
            return 0.0 if start is answer else self.config.link_switch
        dx, dy = (answer.x - start.x) / self._unit_px, (answer.y - start.y) / self._unit_px
        longer = math.hypot(dx, dy) / self.config.link_step - 1
        cost = min(self.config.link_most, (3 * max(0.0, longer)) ** 2)
        last = None if node.before is None else node.before.answer
        if last is not None:
            turn = math.hypot(dx - (start.x - last.x) / self._unit_px, dy - (start.y - last.y) / self._unit_px)
            cost += min(self.config.link_most, (turn / self.config.link_turn) ** 2)
        return cost

    def _given(self, count: int) -> list[TrackPoint]:
        """The oldest rows, with the answers of the path that is the cheapest by now."""
        if count <= 0:
            return []
        path: list[StagePoint | None] = []
        node: _Node | None = min(self._nodes, key=lambda node: node.cost)
        for _ in self._held:
            assert node is not None
            path.append(node.answer)
            node = node.before
        rows = []
        for answer in path[: -count - 1 : -1]:
            row, nodes = self._held.popleft()
            for old in nodes:  # what lies behind is settled, and memory stays bounded
                old.before = None
            if row is not None:
                rows.append(self._told(row, answer))
        return rows

    def _told(self, row: TrackPoint, answer: StagePoint | None) -> TrackPoint:
        """A row with the path's answer in the place of the one that was said."""
        if answer is None:
            return row.removed() if row.visible else row
        if row.visible and (row.x, row.y) == (answer.x, answer.y):
            return row
        said = replace(row, x=answer.x, y=answer.y, visible=True, score=answer.visible, step="linked")
        return replace(said, radius_px=self._radius(answer.visible))
