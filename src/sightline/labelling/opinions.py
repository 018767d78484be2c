"""Models that are asked about pictures: run folders or exported files, of one task and of the same names.

Several models answer once each. A single one is asked again about the mirrored and the shifted picture: where its
answer does not follow, it has not learnt what it sees. In: paths. Out: `Panel`. Next: survey.py
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from sightline.answers import Finder, thresholds_in_use
from sightline.errors import UserError
from sightline.geometry import Affine, Box, mirror, translation
from sightline.records import Detections, FoundPoints, Skeleton
from sightline.track.config import TRACKER_FILE

if TYPE_CHECKING:
    from sightline.types import FeatureMaps

Found = FoundPoints | Detections
Kind = Literal["pictures", "track"]
_SHIFT_SHARE = 0.04  # of the picture's sides: more than a stride, less than what would cut objects off


def kind_of(path: Path) -> Kind:
    """Whether a model looks at pictures or follows a point through clips.

    Raises:
        UserError: there is nothing of that name, or no run in the folder.
    """
    if not path.exists():
        raise UserError(f"There is no {path}. Expected a run folder, or a file that `sightline export` wrote.")
    if path.is_file():
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return "track" if TRACKER_FILE in archive.namelist() else "pictures"
        return "pictures"
    if (path / TRACKER_FILE).is_file():
        return "track"
    from sightline.checkpoint import RunFolder

    return "track" if RunFolder(path).experiment().codec.finds == "track" else "pictures"


@dataclass(frozen=True, kw_only=True, eq=False)
class Opinion:
    """One model.

    Attributes:
        name: as the user called it.
        finder: gives boxes of any score.
        thresholds: [classes], from which score on a box counts; empty for points.
        pooled: the features of the picture that `finder` saw last, [D]; None where no backbone can be asked.
    """

    name: str
    finder: Finder
    thresholds: np.ndarray
    pooled: Callable[[], np.ndarray] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What a panel says of one picture: the first model's answer, then the others' (or its own to changed pictures)."""

    all: tuple[Found, ...]
    feature: np.ndarray | None

    @property
    def first(self) -> Found:
        """What a person gets to correct."""
        return self.all[0]


class Panel:
    """One or several models of one task."""

    def __init__(self, opinions: Sequence[Opinion]) -> None:
        """Check that they speak of the same.

        Raises:
            UserError: of different tasks, points or classes.
        """
        self.opinions = tuple(opinions)
        first = self.opinions[0].finder
        self.finds, self.skeleton, self.classes = first.finds, first.skeleton, first.classes
        self.thresholds = self.opinions[0].thresholds
        self._orders = [_order(self.opinions[0], other) for other in self.opinions]

    @staticmethod
    def load(paths: Sequence[Path], *, device: str) -> Panel:
        """Load runs and exported files.

        Raises:
            UserError: one is not there or damaged, or they do not fit together.
        """
        return Panel([_load(path, device=device) for path in paths])

    @property
    def channels(self) -> set[int]:
        """Which kinds of pictures are needed."""
        return {opinion.finder.channels for opinion in self.opinions}

    @property
    def takes_boxes(self) -> bool:
        """Whether the first model, whose answer people correct, is shown an object's box."""
        return self.opinions[0].finder.takes_boxes

    @property
    def names(self) -> tuple[str, ...]:
        """Points or classes."""
        return self.classes or self.skeleton.names

    def ask(self, images: dict[int, np.ndarray], *, box: Box | None = None) -> Answers:
        """Every answer to one picture.

        Args:
            images: [H, W, C] uint8, by C, for every number of channels that is needed.
            box: the object's box, for models of points that want a crop.
        """
        opinion = self.opinions[0]
        image = images[opinion.finder.channels]
        found = [self._asked(opinion, image, box)]
        feature = opinion.pooled() if opinion.pooled is not None else None
        if len(self.opinions) == 1:
            found += [self._asked_changed(opinion, image, box, to_changed) for to_changed in self._changes(image)]
        for other, order in list(zip(self.opinions, self._orders, strict=True))[1:]:
            answer = self._asked(other, images[other.finder.channels], box)
            found.append(_reordered(answer, order))
        return Answers(all=tuple(found), feature=feature)

    def _asked(self, opinion: Opinion, image: np.ndarray, box: Box | None) -> Found:
        return opinion.finder(image, box if opinion.finder.takes_boxes else None)

    def _changes(self, image: np.ndarray) -> list[Affine]:
        """Shifted by whole pixels both ways, and mirrored where it is known what becomes of the points."""
        height, width = image.shape[:2]
        dx, dy = max(1, round(_SHIFT_SHARE * width)), max(1, round(_SHIFT_SHARE * height))
        changes = [translation(dx, dy), translation(-dx, -dy)]
        can_mirror = bool(self.classes) or bool(self.skeleton.flip_pairs) or len(self.skeleton) == 1
        return [mirror(width), *changes] if can_mirror else changes

    def _asked_changed(self, opinion: Opinion, image: np.ndarray, box: Box | None, to_changed: Affine) -> Found:
        """The answer to a changed picture, in pixels of the one that was given."""
        found = self._asked(opinion, _changed(image, to_changed), None if box is None else to_changed.box(box))
        back = to_changed.inverse()
        if isinstance(found, Detections):
            boxes = back.boxes(found.boxes_xyxy)
            return Detections(boxes_xyxy=boxes, labels=found.labels, scores=found.scores)
        order = list(self.skeleton.flip_index) if to_changed.is_mirrored else list(range(len(self.skeleton)))
        return FoundPoints(points_xy=back.points(found.points_xy)[order], scores=found.scores[order])


def _changed(image: np.ndarray, to_changed: Affine) -> np.ndarray:
    """Mirrored, or shifted by whole pixels with the edge repeated."""
    if to_changed.is_mirrored:
        return np.ascontiguousarray(image[:, ::-1])
    dx, dy = (round(value) for value in to_changed.matrix[:, 2].tolist())
    height, width = image.shape[:2]
    top, left = max(0, dy), max(0, dx)
    padded = cv2.copyMakeBorder(image, top, max(0, -dy), left, max(0, -dx), cv2.BORDER_REPLICATE)
    y, x = max(0, -dy), max(0, -dx)
    return np.ascontiguousarray(padded[y : y + height, x : x + width]).reshape(image.shape)


def _order(first: Opinion, other: Opinion) -> np.ndarray:
    """Positions in the first model's names of the other's names.

    Raises:
        UserError: another task, or other names.
    """
    one, two = first.finder, other.finder
    if one.finds != two.finds:
        raise UserError(
            f"{first.name} finds {one.finds} and {other.name} finds {two.finds}. Models can only disagree about one "
            "task: give runs of the same one."
        )
    ours, theirs = one.classes or one.skeleton.names, two.classes or two.skeleton.names
    if set(ours) != set(theirs):
        lacking = [f"{first.name} alone knows {', '.join(sorted(set(ours) - set(theirs)))}"] * bool(
            set(ours) - set(theirs)
        )
        lacking += [f"{other.name} alone knows {', '.join(sorted(set(theirs) - set(ours)))}"] * bool(
            set(theirs) - set(ours)
        )
        what = "classes" if one.classes else "points"
        raise UserError(f"The runs know different {what}: {'; '.join(lacking)}. Give runs that know the same ones.")
    return np.array([ours.index(name) for name in theirs], dtype=np.int64)


def _reordered(found: Found, order: np.ndarray) -> Found:
    """Another model's answer in the order of the first one's names."""
    if isinstance(found, Detections):
        return replace(found, labels=order[found.labels])
    back = np.argsort(order)
    probability = None if found.probability is None else found.probability[back]
    return FoundPoints(points_xy=found.points_xy[back], scores=found.scores[back], probability=probability)


def _load(path: Path, *, device: str) -> Opinion:
    if path.is_file():
        from sightline.runtime.artefact import Artefact
        from sightline.runtime.artefact_file import read_artefact

        stored = read_artefact(path)
        artefact = Artefact.of(stored, least_score=0.0)
        return Opinion(name=str(path), finder=artefact, thresholds=_thresholds(artefact, stored.card.thresholds))
    from sightline.checkpoint import RunFolder
    from sightline.devices import pick_device
    from sightline.predict import Predictor

    predictor = Predictor.load(path, device=pick_device(device), least_score=0.0)
    kept: list[np.ndarray] = []

    def keep(module: object, inputs: object, maps: FeatureMaps) -> None:
        kept[:] = [maps.maps[-1].mean(dim=(2, 3))[0].float().cpu().numpy()]

    predictor.model.backbone.register_forward_hook(keep)  # type: ignore[union-attr, operator]
    thresholds = _thresholds(predictor, RunFolder(path).load_thresholds())
    return Opinion(name=str(path), finder=predictor, thresholds=thresholds, pooled=lambda: kept[0])


def _thresholds(finder: Finder, chosen: dict[str, float]) -> np.ndarray:
    used = thresholds_in_use(chosen, finds=finder.finds, classes=finder.classes, least_score=None)
    return np.array([used.get(name, 0.0) for name in finder.classes])


def skeleton_of_track(path: Path) -> Skeleton:
    """The point that a tracker follows, by its own name where the run is at hand."""
    folder = path
    if path.is_dir() and (path / TRACKER_FILE).is_file():
        from sightline.track.config import read_tracker

        folder = path / read_tracker(path).coarse
    if folder.is_dir():
        from sightline.checkpoint import RunFolder

        return RunFolder(folder).experiment().skeleton.skeleton()
    return Skeleton(names=("point",))
