"""All of a clip that stands still, drawn once: the place without the net, the net, and the two together.

In: a style and a camera. Out: canvases to copy from for every frame.
Next: rally_photo.py
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from sightline.drawn.rally_arena import Style, paint_officials, paint_sky, surroundings
from sightline.drawn.rally_camera import Camera, Kind
from sightline.drawn.rally_court import ground, net
from sightline.drawn.rally_paint import Region
from sightline.drawn.rally_panels import Layer, blend, see

_FINE_WIDTH = 2048  # the place is drawn about so wide at least, then averaged down


@dataclass(frozen=True, kw_only=True, eq=False)
class Scenery:
    """Canvases of one clip.

    Attributes:
        behind: uint8 RGB [H, W, 3], all but the net.
        whole: the same with the net.
        net_region: where the net is; None where it is out of sight.
        net_colour: uint8 [h, w, 3] in that region, weighted by its cover.
        net_open: uint8 [h, w, 3], 255 where the net hides nothing.
    """

    behind: np.ndarray
    whole: np.ndarray
    net_region: Region | None
    net_colour: np.ndarray
    net_open: np.ndarray

    def lay_net(self, canvas: np.ndarray, region: Region) -> None:
        """Lay the part of the net within a region over what was drawn there."""
        cut = self._cut(region)
        if cut is None:
            return
        x0, y0, x1, y1, inner = cut
        under = cv2.multiply(canvas[y0:y1, x0:x1], self.net_open[inner], scale=1 / 255)
        canvas[y0:y1, x0:x1] = cv2.add(under, self.net_colour[inner])

    def net_cover(self, region: Region) -> np.ndarray:
        """Which share of each pixel of a region the net hides: float32 [h, w]."""
        cover = np.zeros((region[3] - region[1], region[2] - region[0]), np.float32)
        cut = self._cut(region)
        if cut is not None:
            x0, y0, x1, y1, inner = cut
            rows, columns = slice(y0 - region[1], y1 - region[1]), slice(x0 - region[0], x1 - region[0])
            cover[rows, columns] = 1 - self.net_open[inner][..., 0] / np.float32(255)
        return cover

    def _cut(self, region: Region) -> tuple[int, int, int, int, tuple[slice, slice]] | None:
        if self.net_region is None:
            return None
        left, top, right, bottom = self.net_region
        x0, y0, x1, y1 = max(region[0], left), max(region[1], top), min(region[2], right), min(region[3], bottom)
        if x0 >= x1 or y0 >= y1:
            return None
        return x0, y0, x1, y1, (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))


def build_scenery(kind: Kind, *, style: Style, camera: Camera, seed: int) -> Scenery:
    """Draw a place.

    Args:
        kind: which court.
        style: what kind of place.
        camera: its canvas is what is drawn.
        seed: decides the rest, the same at every size.
    """
    rng = np.random.default_rng(seed)
    finer = max(2, math.ceil(_FINE_WIDTH / camera.size_hw[1]))
    height, width = camera.size_hw
    fine = Camera(pose=camera.pose, size_hw=(height * finer, width * finer), margin_px=camera.margin_px * finer)
    canvas = np.empty((*fine.canvas_hw, 3), np.uint8)
    paint_sky(canvas, outdoors=style.outdoors, rng=rng)
    for panel in [ground(kind, rng=rng, indoors=not style.outdoors), *surroundings(kind, style=style, rng=rng)]:
        layer = see(panel, fine)
        if layer is not None:
            blend(canvas, layer)
    paint_officials(canvas, camera=fine, kind=kind, style=style, rng=rng)
    behind = _smaller(canvas, camera)
    mesh = see(net(kind, rng=rng), fine)
    if mesh is None:
        empty = np.zeros((0, 0, 3), np.uint8)
        return Scenery(behind=behind, whole=behind, net_region=None, net_colour=empty, net_open=empty)
    region, colour, kept = _net(mesh, fine, camera)
    scenery = Scenery(behind=behind, whole=behind.copy(), net_region=region, net_colour=colour, net_open=kept)
    scenery.lay_net(scenery.whole, region)
    return scenery


def _net(mesh: Layer, fine: Camera, camera: Camera) -> tuple[Region, np.ndarray, np.ndarray]:
    """The net at the size of the canvas: region, weighted colour, openness."""
    x0, y0, x1, y1 = mesh.region
    cover = np.zeros(fine.canvas_hw, np.uint8)
    cover[y0:y1, x0:x1] = mesh.cover
    colour = np.zeros((*fine.canvas_hw, 3), np.uint8)
    colour[y0:y1, x0:x1] = cv2.multiply(mesh.colour, cv2.merge([mesh.cover] * 3), scale=1 / 255)
    cover, colour = _smaller(cover, camera), _smaller(colour, camera)
    columns, rows = np.flatnonzero(cover.any(axis=0)), np.flatnonzero(cover.any(axis=1))
    if not len(columns):
        return (0, 0, 0, 0), colour[:0, :0], colour[:0, :0]
    region = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    inner = (slice(region[1], region[3]), slice(region[0], region[2]))
    kept = cv2.bitwise_not(cover[inner])
    return region, colour[inner].copy(), cv2.merge([kept, kept, kept])


def _smaller(picture: np.ndarray, camera: Camera) -> np.ndarray:
    height, width = camera.canvas_hw
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
