"""What each picture adds to each metric, kept with a run, so that runs can be compared picture by picture.

A metric of many pictures is no mean of the pictures' own metrics (an average precision least of all), so a table of
per-picture scores cannot say what a metric would be on other pictures. This one can: it holds, for each metric that
is made of sums, what a picture adds to them, for medians all values that they are of, and for average precision the
whole match table. Given how often each picture counts, it gives every metric exactly as the evaluation would. It is the
same for all tasks.

In the run folder it is evaluation/pictures.npz: `image_ids` [N], `units` [N], `names` [M], `kinds` [M], `sums`
[M, N, 2], `pooled_...` arrays where there are medians, and `boxes_...` arrays where there is a match table.
In: what the metrics of a task were made of. Out: `PictureTable`.
Next: points.py, one_box.py, boxes.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sightline.errors import UserError, unknown_name
from sightline.metrics.average_precision import Accumulator
from sightline.metrics.bootstrap import QuantileFinder, Statistic, ratio, root_ratio
from sightline.metrics.box_inputs import FoundRows, TruthRows
from sightline.metrics.box_matches import BoxMatches

KINDS: dict[str, Statistic] = {"ratio": ratio, "root-ratio": root_ratio}
_OF_FOUND = ("image", "label", "boxes_xyxy", "score")
_OF_TRUTH = ("image", "label", "boxes_xyxy", "crowd", "area")
_OF_MATCHES = ("rank", "hit", "ignored", "partner", "iou", "found_in_size", "truth_counts")
_SMALLER = {"image": "int32", "label": "int32", "rank": "int16", "partner": "int32", "boxes_xyxy": "float32"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Pooled:
    """Values of all pictures together, and the metrics that are quantiles of them.

    Attributes:
        values: [P], such as the error of each visible point.
        picture: [P] int, the row of the picture that each value is of.
        shares: by metric: 0.5 for a median.
    """

    values: np.ndarray
    picture: np.ndarray
    shares: Mapping[str, float]

    def quantiles(self, name: str, weights: np.ndarray) -> np.ndarray:
        """A metric where pictures count so often: weights [R, N] to [R], NaN where what counts has no value."""
        order = np.argsort(self.values, kind="stable")
        find = QuantileFinder(self.values[order], self.picture[order], num_units=weights.shape[1])
        has_some = weights @ np.bincount(self.picture, minlength=weights.shape[1]) > 0
        found = np.full(len(weights), np.nan)
        found[has_some] = find(weights[has_some], (self.shares[name],))[:, 0]
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureTable:
    """N pictures and what they add.

    Attributes:
        image_ids: [N] names of the pictures.
        units: [N] int; pictures with equal entries (of one clip, one person) are resampled together.
        sums: by metric: what each picture adds to its two sums [N, 2], and the kind of number they stand for (KINDS).
        matches: boxes: the match table that average precision comes from.
        pooled: what medians and other quantiles are of, where there are any.
    """

    image_ids: tuple[str, ...]
    units: np.ndarray
    sums: Mapping[str, tuple[np.ndarray, str]]
    matches: BoxMatches | None = None
    pooled: Pooled | None = None

    def __len__(self) -> int:
        """Number of pictures, N."""
        return len(self.image_ids)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The metrics that `values` gives; of average precision only those that there is something to find for."""
        once = self.precisions(np.ones((1, len(self))))
        return (*(name for name, value in once.items() if np.isfinite(value[0])), *self.sums, *self.quantiles)

    @property
    def quantiles(self) -> tuple[str, ...]:
        """Those of them that are quantiles."""
        return () if self.pooled is None else tuple(self.pooled.shares)

    def values(self, name: str, weights: np.ndarray) -> np.ndarray:
        """A metric where pictures count several times or not at all: weights [R, N], whole numbers, to values [R].

        A value is NaN where what counts cannot give one.

        Raises:
            UserError: the table has no such metric.
        """
        if name in self.sums:
            sums, kind = self.sums[name]
            return KINDS[kind](weights @ sums)
        if self.pooled is not None and name in self.pooled.shares:
            return self.pooled.quantiles(name, weights)
        if name not in self.names:
            raise unknown_name("metric", name, self.names)
        return self.precisions(weights)[name]

    def precisions(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """All of COCO's figures at once, by name, [R] each, since they share their work; none without a match table."""
        return {} if self.matches is None else Accumulator(self.matches)(weights).figures()

    def in_order_of(self, image_ids: Sequence[str]) -> np.ndarray:
        """Where in this table the pictures of another order stand, [N]; both name the same pictures."""
        place = {name: row for row, name in enumerate(self.image_ids)}
        return np.array([place[name] for name in image_ids])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """For an npz file; nothing in it needs pickle."""
        sums = [self.sums[name][0] for name in self.sums]
        arrays = {
            "image_ids": np.array(self.image_ids, dtype=str),
            "units": np.asarray(self.units, dtype=np.int64),
            "names": np.array(list(self.sums), dtype=str),
            "kinds": np.array([kind for _, kind in self.sums.values()], dtype=str),
            "sums": np.stack(sums).astype(np.float64) if sums else np.zeros((0, len(self), 2)),
        }
        if self.pooled is not None:
            arrays |= {
                "pooled_values": self.pooled.values.astype(np.float64),
                "pooled_picture": self.pooled.picture.astype(np.int32),
                "pooled_names": np.array(list(self.pooled.shares), dtype=str),
                "pooled_shares": np.array(list(self.pooled.shares.values()), dtype=np.float64),
            }
        if self.matches is not None:
            arrays |= _matches_to_arrays(self.matches)
        return arrays

    @staticmethod
    def from_arrays(arrays: Mapping[str, np.ndarray]) -> PictureTable:
        """The table that `to_arrays` wrote.

        Raises:
            UserError: arrays are missing or do not fit together.
        """
        try:
            image_ids = tuple(str(name) for name in arrays["image_ids"])
            names = [str(name) for name in arrays["names"]]
            kinds = [str(kind) for kind in arrays["kinds"]]
            units, sums = arrays["units"], arrays["sums"]
            matches = _matches_from_arrays(arrays) if "boxes_classes" in arrays else None
            pooled = _pooled_from_arrays(arrays, count=len(image_ids)) if "pooled_names" in arrays else None
        except KeyError as error:
            raise UserError(f"the table lacks {error}") from error
        fits = sums.shape == (len(names), len(image_ids), 2) and units.shape == (len(image_ids),)
        if not fits or len(kinds) != len(names) or not set(kinds) <= KINDS.keys() or not len(image_ids):
            raise UserError(f"sums of shape {sums.shape} do not fit {len(image_ids)} pictures and {len(names)} metrics")
        if not np.isfinite(sums).all() or len(set(image_ids)) < len(image_ids):
            raise UserError("sums are not finite, or a picture is there twice")
        table = {name: (sums[row], kind) for row, (name, kind) in enumerate(zip(names, kinds, strict=True))}
        return PictureTable(image_ids=image_ids, units=units, sums=table, matches=matches, pooled=pooled)


def _pooled_from_arrays(arrays: Mapping[str, np.ndarray], *, count: int) -> Pooled:
    values, picture = arrays["pooled_values"], arrays["pooled_picture"].astype(np.int64)
    names, shares = arrays["pooled_names"].tolist(), arrays["pooled_shares"].tolist()
    is_whole = len(values) == len(picture) > 0 and len(names) == len(shares) and np.isfinite(values).all()
    if not is_whole or picture.min() < 0 or picture.max() >= count or not all(0 <= share <= 1 for share in shares):
        raise UserError(f"{len(values)} values of {', '.join(names)} do not fit {count} pictures")
    return Pooled(values=values, picture=picture, shares=dict(zip(names, shares, strict=True)))


def _matches_to_arrays(matches: BoxMatches) -> dict[str, np.ndarray]:
    arrays = {f"boxes_found_{name}": getattr(matches.found, name) for name in _OF_FOUND}
    arrays |= {f"boxes_truth_{name}": getattr(matches.truth, name) for name in _OF_TRUTH}
    arrays |= {f"boxes_{name}": getattr(matches, name) for name in _OF_MATCHES}
    small = {key: array.astype(_small_type(key, array)) for key, array in arrays.items()}
    return small | {
        "boxes_classes": np.array(matches.classes, dtype=str),
        "boxes_num_images": np.array(matches.num_images),
        "boxes_size_limits": np.array(matches.size_limits),
    }


def _small_type(key: str, array: np.ndarray) -> str:
    return next((kind for name, kind in _SMALLER.items() if key.endswith(f"_{name}")), str(array.dtype))


def _matches_from_arrays(arrays: Mapping[str, np.ndarray]) -> BoxMatches:
    def whole(key: str) -> np.ndarray:
        array = arrays[key]
        wide = {"int32": np.int64, "int16": np.int64, "float32": np.float64}.get(str(array.dtype))
        return array if wide is None else array.astype(wide)

    small, large = arrays["boxes_size_limits"].tolist()
    return BoxMatches(
        classes=tuple(str(name) for name in arrays["boxes_classes"]),
        num_images=int(arrays["boxes_num_images"]),
        size_limits=(small, large),
        found=FoundRows(**{name: whole(f"boxes_found_{name}") for name in _OF_FOUND}),
        truth=TruthRows(**{name: whole(f"boxes_truth_{name}") for name in _OF_TRUTH}),
        **{name: whole(f"boxes_{name}") for name in _OF_MATCHES},
    )
