"""Clips of racket sports with exact truth: a shuttle or a ball, players, a court, a camera with its faults.

Image and truth are two products of the same seconds of a match that is played by physics. The same seed gives the
same match at any size and frame rate, and frames are drawn one by one: a clip may be as long as one likes.

In: a seed. Out: frames with what is to be found in them.
Next: rally_folder.py
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import get_args

import numpy as np

from sightline.drawn.rally_arena import Style, sample_style
from sightline.drawn.rally_camera import Camera, CameraPose, Kind, training_pose, unseen_pose
from sightline.drawn.rally_figure import Body3D, stance
from sightline.drawn.rally_object import Paint, Smear, exposure_times, lay, reach_m, sample_paint, scale_at, smear
from sightline.drawn.rally_paint import (
    Look,
    Outlines,
    Region,
    covered,
    outline,
    paint_figure,
    paint_shadow,
    sample_look,
)
from sightline.drawn.rally_photo import CLEAN, Conditions, Photo
from sightline.drawn.rally_play import Play
from sightline.drawn.rally_scenery import Scenery, build_scenery
from sightline.errors import UserError, unknown_name

__all__ = ["CLEAN", "CameraPose", "Conditions", "Rally", "RallyTruth", "draw_rally", "training_pose", "unseen_pose"]

HIDDEN_FROM = 0.9  # share of the head behind something, from which on it counts as fully occluded
_SMALLEST_HW = (64, 96)
_RACKETS: dict[Kind, tuple[float, float]] = {"shuttle": (0.125, 0.10), "ball": (0.17, 0.135)}
_BEFORE_S = 1.0  # the match is older than its first frame by so much


@dataclass(frozen=True, kw_only=True)
class RallyTruth:
    """Where the object is in one frame, in the middle of the exposure.

    Attributes:
        x: continuous pixels, of the middle of a shuttle's head or of a ball; may lie outside the frame. 0 where the
            object is behind the camera, which makes it invisible.
        y: as x.
        visible: within the frame, and the head not fully occluded. A racket's strings hide nothing.
        in_play: from leaving the server's hand until it lies still.
        radius_px: half the object's true width (a shuttle's skirt, a ball) at its distance.
        occluded: share of the head that players, net or the station's graphics hide, 0..1, averaged over the exposure.
    """

    x: float
    y: float
    visible: bool
    in_play: bool
    radius_px: float
    occluded: float


@dataclass(frozen=True, kw_only=True)
class Rally:
    """A clip that can be drawn; nothing of it is kept but what stands still.

    Attributes:
        seed: decides all that happens.
        kind: shuttle or ball.
        size_hw: of the frames.
        fps: frames a second.
        count: number of frames.
        pose: of the camera.
        conditions: from which the clip's noise, blur and so on are drawn.
        pairs: four players rather than two.
    """

    seed: int
    kind: Kind
    size_hw: tuple[int, int]
    fps: float
    count: int
    pose: CameraPose
    conditions: Conditions
    pairs: bool

    def frames(self) -> Iterator[tuple[np.ndarray, RallyTruth]]:
        """Frames uint8 RGB [H, W, 3] with their truth, in order; each call begins anew."""
        match = Play(kind=self.kind, rng=self._rng("play"), pairs=self.pairs)
        for index in range(self.count):
            yield self._frame(match, index, with_object=True)

    def truths(self) -> Iterator[RallyTruth]:
        """The same truth, without the frames; occlusion is computed, pictures are not."""
        match = Play(kind=self.kind, rng=self._rng("play"), pairs=self.pairs)
        for index in range(self.count):
            yield self._observe(match, index).truth

    @cached_property
    def camera(self) -> Camera:
        """The pose at this size, with the margin that the shake needs."""
        return Camera(pose=self.pose, size_hw=self.size_hw, margin_px=self.photo.margin_px)

    @cached_property
    def photo(self) -> Photo:
        """This clip's camera and its faults."""
        return Photo(self.conditions, size_hw=self.size_hw, seed=self._seed_of("photo"))

    @cached_property
    def style(self) -> Style:
        """What kind of place it is."""
        return sample_style(self.kind, rng=self._rng("style"))

    @cached_property
    def scenery(self) -> Scenery:
        """All that stands still."""
        return build_scenery(self.kind, style=self.style, camera=self.camera, seed=self._seed_of("scenery"))

    @cached_property
    def _looks(self) -> list[Look]:
        rng = self._rng("looks")
        return [sample_look(rng, racket_radii=_RACKETS[self.kind]) for _ in range(4)]

    @cached_property
    def _paint(self) -> tuple[Paint, float]:
        rng = self._rng("paint")
        return sample_paint(self.kind, rng=rng), float(rng.uniform(0.86, 1.0))

    def _observe(self, match: Play, index: int) -> _Moment:
        """Everything about one exposure but its pixels."""
        middle = _BEFORE_S + index / self.fps
        exposure = self.photo.exposure / self.fps
        coarse = middle + exposure * np.linspace(-0.5, 0.5, 5)
        ends = self.camera.project(match.state(coarse)[0])[0]
        length = float(np.linalg.norm(np.diff(ends, axis=0), axis=1).sum())
        times = exposure_times(middle, exposure, length_px=length)
        places, direction, in_play = match.state(times)
        pixels, depths = self.camera.project(places)
        depth = float(depths[len(depths) // 2])
        scale = scale_at(self.camera, max(depth, 0.05))
        instants = middle + exposure * np.array([-1 / 3, 0.0, 1 / 3])
        bodies = [
            stance(player, times=instants, height_m=look.height_m, girth=look.girth, phase=look.phase)
            for player, look in zip(match.players, self._looks, strict=False)
        ]
        figures = [
            outline(body, look=look, camera=self.camera) for body, look in zip(bodies, self._looks, strict=False)
        ]
        ends_y = [float(body.joints["pelvis"][1, 1]) for body in bodies]
        paint, light = self._paint
        layer = None
        if depths.min() > 0.3 and self._near_frame(pixels, reach=0.12 * scale):
            layer = smear(
                self.kind,
                path_px=pixels,
                px_per_m=scale,
                pointing=self.camera.axes @ direction,
                paint=paint,
                light=light,
            )
        moment = _Moment(
            time=middle, layer=layer, place=places[len(places) // 2], depth=depth, bodies=bodies, figures=figures,
            figures_y=ends_y,
            truth=RallyTruth(x=0.0, y=0.0, visible=False, in_play=in_play, radius_px=0.0, occluded=0.0),
        )  # fmt: skip
        if depth <= 0.05:
            return moment
        shift = self.photo.shift(middle)
        x, y = (pixels[len(pixels) // 2] - self.camera.margin_px + shift).tolist()
        hidden = self._occluded(moment, shift=shift)
        inside = 0 <= x < self.size_hw[1] and 0 <= y < self.size_hw[0] and layer is not None
        return moment.with_truth(
            RallyTruth(
                x=x, y=y, visible=inside and hidden < HIDDEN_FROM, in_play=in_play,
                radius_px=reach_m(self.kind) * scale, occluded=hidden,
            )
        )  # fmt: skip

    def _frame(self, match: Play, index: int, *, with_object: bool) -> tuple[np.ndarray, RallyTruth]:
        moment = self._observe(match, index)
        canvas = self.scenery.whole.copy()
        far = [place for place, y in enumerate(moment.figures_y) if self._is_beyond_net(y)]
        beyond = self._is_beyond_net(float(moment.place[1]))
        regions = [moment.figures[place].region for place in far]
        regions += [self._shadow_region(moment, place) for place in far]
        if moment.layer is not None and beyond:
            regions.append(moment.layer.region)
        dirty = _union([region for region in regions if region is not None], canvas_hw=self.camera.canvas_hw)
        if dirty is not None:
            x0, y0, x1, y1 = dirty
            canvas[y0:y1, x0:x1] = self.scenery.behind[y0:y1, x0:x1]
        for body in moment.bodies:
            for light in self.style.shadows:
                paint_shadow(canvas, body, camera=self.camera, light_xy=light, depth=self.style.shadow_depth)
        self._paint_side(canvas, moment, figures=far, with_object=with_object and beyond)
        if dirty is not None:
            self.scenery.lay_net(canvas, dirty)
        near = [place for place in range(len(moment.figures)) if place not in far]
        self._paint_side(canvas, moment, figures=near, with_object=with_object and not beyond)
        return self.photo.take(canvas, time=moment.time, index=index), moment.truth

    def _paint_side(self, canvas: np.ndarray, moment: _Moment, *, figures: list[int], with_object: bool) -> None:
        """Players of one side of the net, and the object if it is there, the farthest first."""
        waiting = moment.layer if with_object else None
        for place in sorted(figures, key=lambda place: -moment.figures[place].depth):
            if waiting is not None and moment.depth > moment.figures[place].depth:
                lay(canvas, waiting)
                waiting = None
            paint_figure(canvas, moment.figures[place])
        if waiting is not None:
            lay(canvas, waiting)

    def _occluded(self, moment: _Moment, *, shift: np.ndarray) -> float:
        """Share of the head that what is drawn after it covers."""
        if moment.layer is None:
            return 0.0
        region, head = moment.layer.region, moment.layer.head
        free = np.ones_like(head)
        beyond = self._is_beyond_net(float(moment.place[1]))
        for shapes, y in zip(moment.figures, moment.figures_y, strict=True):
            nearer_side = beyond and not self._is_beyond_net(y)
            if nearer_side or (self._is_beyond_net(y) == beyond and moment.depth > shapes.depth):
                free *= 1 - covered(shapes, region)
        if beyond:
            free *= 1 - self.scenery.net_cover(region)
        dx, dy = np.round(shift - self.camera.margin_px).astype(int).tolist()
        graphics = self.photo.hides(region[0] + dx, region[1] + dy, region[2] + dx, region[3] + dy)
        if graphics is not None:
            free *= 1 - graphics
        return float(1 - (head * free).sum() / max(float(head.sum()), 1e-9))

    def _is_beyond_net(self, y: float) -> bool:
        return y * float(self.camera.centre[1]) < 0

    def _shadow_region(self, moment: _Moment, place: int) -> Region | None:
        """Ground around a figure on which its shadows may fall."""
        foot = moment.bodies[place].joints["pelvis"][1]
        reach = 0.5 + 2.2 * max(max(abs(a), abs(b)) for a, b in self.style.shadows)
        corners = foot[:2] + reach * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        pixels, depth = self.camera.project(np.column_stack([corners, np.zeros(4)]))
        if depth.min() < 0.3:
            return None
        low, high = np.floor(pixels.min(axis=0)).astype(int).tolist(), np.ceil(pixels.max(axis=0)).astype(int).tolist()
        return low[0], low[1], high[0], high[1]

    def _near_frame(self, pixels: np.ndarray, *, reach: float) -> bool:
        height, width = self.camera.canvas_hw
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        return bool((high > -reach).all() and low[0] < width + reach and low[1] < height + reach) and bool(
            np.abs(pixels).max() < 4 * max(height, width)
        )

    def _seed_of(self, purpose: str) -> int:
        return int(self._rng(purpose).integers(2**31))

    def _rng(self, purpose: str) -> np.random.Generator:
        """One stream for each purpose, so that no part's draws move another's."""
        return np.random.default_rng([self.seed, *purpose.encode()])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Moment:
    """One exposure before its pixels: the object's smear, bodies, their outlines and places along the court."""

    time: float
    layer: Smear | None
    place: np.ndarray
    depth: float
    bodies: list[Body3D]
    figures: list[Outlines]
    figures_y: list[float]
    truth: RallyTruth

    def with_truth(self, truth: RallyTruth) -> _Moment:
        return replace(self, truth=truth)


def draw_rally(
    seed: int, *, frames: int, size_hw: tuple[int, int] = (1080, 1920), fps: float = 60.0, kind: Kind = "shuttle",
    camera: CameraPose | None = None, conditions: Conditions | None = None, pairs: bool | None = None,
) -> Rally:  # fmt: skip
    """A clip; nothing is drawn until its frames are asked for.

    Args:
        seed: decides everything; the same seed plays the same match at any size and frame rate.
        frames: how many.
        size_hw: of the frames.
        fps: frames a second.
        kind: a shuttle on a badminton court or a ball on a tennis court.
        camera: where it stands; None draws a `training_pose`.
        conditions: noise, blur and so on; None draws from the usual ranges.
        pairs: four players or two; None draws it.

    Raises:
        UserError: a negative seed, no frames, a frame rate or a size out of range, an unknown kind.
    """
    if kind not in get_args(Kind):
        raise unknown_name("kind of rally", kind, get_args(Kind))
    if seed < 0 or frames < 1:
        raise UserError(f"Cannot draw {frames} frames with seed {seed}; 1 frame and seed 0 are the least.")
    if not 1 <= fps <= 1000:
        raise UserError(f"Cannot draw {fps} frames a second; 1 to 1000 can be drawn.")
    if size_hw[0] < _SMALLEST_HW[0] or size_hw[1] < _SMALLEST_HW[1]:
        raise UserError(f"Cannot draw frames of {size_hw[0]} x {size_hw[1]} pixels; {_SMALLEST_HW} is the least.")
    rng = np.random.default_rng([seed, 17])
    drawn = training_pose(rng, kind=kind)
    four = bool(rng.random() < 0.4)
    return Rally(
        seed=seed, kind=kind, size_hw=(int(size_hw[0]), int(size_hw[1])), fps=float(fps), count=int(frames),
        pose=camera or drawn, conditions=conditions or Conditions(), pairs=four if pairs is None else pairs,
    )  # fmt: skip


def _union(regions: list[Region], *, canvas_hw: tuple[int, int]) -> Region | None:
    """The region around all, within the canvas."""
    if not regions:
        return None
    x0, y0 = max(min(r[0] for r in regions), 0), max(min(r[1] for r in regions), 0)
    x1, y1 = min(max(r[2] for r in regions), canvas_hw[1]), min(max(r[3] for r in regions), canvas_hw[0])
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None
