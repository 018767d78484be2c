"""Checks of the shapes that points make: each laid onto the mean shape of all, point by point.

Every record is brought onto the mean by the similarity (shift, turn, scale) that fits most of its points: points far
off lose their weight in a few rounds (Huber's weights), so that one wild point neither bends the fit nor hides. What is
far is far against the spread of that very point over all records. Next: points.py
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sightline.doctor.case import Case, extents, listed, robust_scores, suspect
from sightline.records import Problem, Record

ENOUGH = 20
_MIN_POINTS = 3
_ROUNDS = 6
_REFERENCES = 32
_FAR = 6.0
# A residual counts as far beyond so many times what 80 % of the records stay below at that point. For a normal spread
# that is 7 median residuals; heavy tails (limbs) raise the limit themselves. A fifth of the data may be wrong.
_TAIL, _BEYOND = 0.8, 5.0
_LEAST_RESIDUAL = 0.25  # of the shape's radius: nearer is no slip that an eye would see
_MOST_WAYS, _RECORDS_A_WAY, _POINTS_A_WAY = 6, 20, 5
_BESIDE = 0.5
_FEW = 0.2  # of the points; if more are far off, it is the shape
_ODD_MISFIT, _BEYOND_MISFIT = 0.35, 2.0
_TURN_FLOOR, _LEAST_TURN = np.deg2rad(8), np.deg2rad(60)
_SIZE_FLOOR = 0.15  # ln
_MIRROR_RATIO, _MIRROR_GAIN, _MOST_MIRRORED = 0.6, 0.1, 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """Shapes on their mean, as complex numbers x + iy.

    Attributes:
        residual: [N, K], how far each point lies from where the others expect it, in the mean's radii; 0 if not seen.
        rigid: [N, K], how far it lies from the mean's.
        turn: [N], radians, from the mean to the shape.
        size: [N], pixels: the radius that the whole shape would have.
        misfit: [N], root mean square of `rigid`.
        mirrored: [N], the misfit of the mirror image.
    """

    residual: np.ndarray
    rigid: np.ndarray
    turn: np.ndarray
    size: np.ndarray
    misfit: np.ndarray
    mirrored: np.ndarray


def fit_shapes(z: np.ndarray, seen: np.ndarray) -> Fitted:
    """Lay shapes [N, K] with at least 3 points [N, K] seen each onto their robust mean."""
    mean, known_points = _reference(z, seen), np.asarray(seen.any(axis=0))
    for _ in range(_ROUNDS):
        weight, factor, shift = _aligned(z, seen, mean)
        laid = z * factor[:, None] + shift[:, None]
        # The middle one of each point, not the mean: wrong labels do not move it.
        known = np.where(weight > 0, laid, np.nan)
        middle = _middle(np.real(known)) + 1j * _middle(np.imag(known))
        mean = _unit(middle, known_points)
    _, factor, shift = _aligned(z, seen, mean)
    apart = np.where(seen, z * factor[:, None] + shift[:, None] - mean, 0)
    misfit = np.sqrt((np.abs(apart) ** 2).sum(axis=1) / seen.sum(axis=1))
    _, other, moved = _aligned(z.conj(), seen, mean)
    reflected = np.where(seen, np.abs(z.conj() * other[:, None] + moved[:, None] - mean), 0.0)
    return Fitted(
        residual=np.abs(_unexplained(apart, seen)),
        rigid=np.abs(apart),
        turn=-np.angle(factor),
        size=1 / np.maximum(np.abs(factor), 1e-12),
        misfit=misfit,
        mirrored=np.sqrt((reflected**2).sum(axis=1) / seen.sum(axis=1)),
    )


def _unexplained(apart: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """What is left of the differences [N, K] to the mean after the few ways in which shapes here vary (pose, limbs).

    The ways are the first principal components, of differences that are limited so that no wild point makes a way of
    its own; each record takes part in them as far as most of its points say.
    """
    count = min(_MOST_WAYS, len(apart) // _RECORDS_A_WAY, apart.shape[1] // _POINTS_A_WAY)
    if count == 0:
        return apart
    size = np.abs(apart)
    limit = 2 * np.nanquantile(np.where(seen, size, np.nan)[:, seen.any(axis=0)], _TAIL)
    tame = apart * np.minimum(1, limit / np.maximum(size, 1e-12))
    rows = np.concatenate([tame.real, tame.imag], axis=1)  # [N, 2K]
    values, vectors = np.linalg.eigh(rows.T @ rows)
    ways = vectors[:, np.argsort(values)[-count:]]  # [2K, ways]
    full = np.concatenate([np.real(apart), np.imag(apart)], axis=1)
    weight, left = seen.astype(np.float64), apart
    ridge = 1e-3 * np.eye(count)
    for _ in range(4):
        twice = np.concatenate([weight, weight], axis=1)
        gram = np.einsum("kw,nk,kv->nwv", ways, twice, ways, optimize=True) + ridge
        shares = np.linalg.solve(gram, ((twice * full) @ ways)[..., None])[..., 0]
        rest = full - shares @ ways.T
        left = np.where(seen, rest[:, : seen.shape[1]] + 1j * rest[:, seen.shape[1] :], 0)
        far = np.where(seen, np.abs(left), np.nan)
        limits = np.maximum(2 * _middle_of_each(far), 0.02)[:, None]
        weight = seen * np.minimum(1, limits / np.maximum(np.abs(left), 1e-12))
    return left


def _middle(values: np.ndarray) -> np.ndarray:
    """The median of each column; 0 where a column holds nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a point that no record has
        return np.nan_to_num(np.nanmedian(values, axis=0))


def _middle_of_each(rows: np.ndarray) -> np.ndarray:
    """The median of each row [N, K] of few numbers, without its NaN: [N]; 0 where a row holds nothing.

    What `_middle` gives of the transpose, in a fraction of the time that NumPy takes for so many short ones.
    """
    ordered = np.sort(rows, axis=1)  # NaN come last
    count = (~np.isnan(rows)).sum(axis=1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=1)
    high = np.take_along_axis(ordered, np.minimum(count // 2, rows.shape[1] - 1), axis=1)
    return np.nan_to_num((low + high)[:, 0] / 2)


def _unit(mean: np.ndarray, known: np.ndarray) -> np.ndarray:
    """About its centre, with radius 1."""
    centred = np.where(known, mean - mean[known].mean(), 0)
    return centred / max(float(np.sqrt((np.abs(centred[known]) ** 2).mean())), 1e-12)


def _reference(z: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Of the most complete records, the one whose shape the others fit best."""
    order = np.argsort(-seen.sum(axis=1), kind="stable")[:_REFERENCES]
    sample = np.linspace(0, len(z) - 1, min(len(z), 500)).astype(int)

    def apart(i: int) -> float:
        both = seen[sample] & seen[i]
        mean = np.where(seen[i], _unit(z[i], seen[i]), 0)
        _, factor, shift = _aligned(z[sample], both, mean)
        left = np.where(both, np.abs(z[sample] * factor[:, None] + shift[:, None] - mean), 0)
        return float(np.median(left.sum(axis=1) / np.maximum(both.sum(axis=1), 1)))

    best = min(order.tolist(), key=apart)
    return np.where(seen[best], _unit(z[best], seen[best]), 0)


def _aligned(z: np.ndarray, seen: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights [N, K], and the factor and shift [N] that bring each shape onto the mean; far points count less."""
    weight = (seen & (mean != 0)).astype(np.float64)
    weight = np.where(weight.sum(axis=1, keepdims=True) >= 2, weight, seen.astype(np.float64))
    base = weight
    factor, shift = np.ones(len(z), dtype=complex), np.zeros(len(z), dtype=complex)
    for _ in range(4):
        total = np.maximum(weight.sum(axis=1), 1e-12)
        centre, goal = (weight * z).sum(axis=1) / total, (weight * mean).sum(axis=1) / total
        about = np.where(seen, z - centre[:, None], 0)
        target = mean - goal[:, None]
        shared = (weight * about.conj() * target).sum(axis=1)
        factor = shared / np.maximum((weight * np.abs(about) ** 2).sum(axis=1), 1e-12)
        shift = goal - factor * centre
        far = np.where(base > 0, np.abs(z * factor[:, None] + shift[:, None] - mean), np.nan)
        limit = np.maximum(2 * _middle_of_each(far), 0.02)[:, None]
        weight = base * np.minimum(1, limit / np.maximum(np.nan_to_num(far), 1e-12))
    return weight, factor, shift


def check(case: Case) -> Iterable[Problem]:
    """Problems of shapes; nothing is said of fewer than 20 records with 3 points and more."""
    swapped = {problem.image_id for problem in case.dataset.problems if problem.id == "points-swapped"}
    if len(case.records) < ENOUGH:
        return
    points = np.stack([record.points_xy for record in case.records])
    seen = np.stack([record.visible for record in case.records])
    has_shape = (seen.sum(axis=1) >= _MIN_POINTS) & (extents(points, seen) > 1)
    records = [record for record, is_one in zip(case.records, has_shape.tolist(), strict=True) if is_one]
    if len(records) < ENOUGH:
        return
    points, seen = points[has_shape], seen[has_shape]
    fitted = fit_shapes(points[..., 0] + 1j * points[..., 1], seen)
    mirrored = (fitted.mirrored < _MIRROR_RATIO * fitted.misfit) & (fitted.misfit - fitted.mirrored > _MIRROR_GAIN)
    mirrored &= not case.dataset.skeleton.flip_pairs  # with twins, points-swapped says it
    if mirrored.mean() > _MOST_MIRRORED:
        mirrored[:] = False  # seen from both sides
    told = mirrored | np.array([record.image_id in swapped for record in records])
    for i in np.flatnonzero(mirrored):
        message = f"misfit to the mean shape {fitted.misfit[i]:.2f}, of its mirror image {fitted.mirrored[i]:.2f}"
        yield suspect("shape-mirrored", records[i], message)
    yield from _odd(case, records, fitted, told=told, seen=seen)
    yield from _turned(records, fitted)
    yield from _sizes(records, fitted)


def _odd(case: Case, records: list[Record], fitted: Fitted, *, told: np.ndarray, seen: np.ndarray) -> Iterable[Problem]:
    known = np.where(seen, fitted.residual, np.nan)
    with np.errstate(all="ignore"):
        usual = np.nan_to_num(np.nanquantile(known[:, seen.any(axis=0)], _TAIL, axis=0))
    limit = np.full(seen.shape[1], np.inf)
    limit[seen.any(axis=0)] = np.maximum(_BEYOND * usual, _LEAST_RESIDUAL)
    times = np.where(seen, fitted.residual / limit, 0.0)
    # A wild point pulls the others of a small shape a little off: those far behind it are not meant.
    far = (times > 1) & (times >= _BESIDE * times.max(axis=1, keepdims=True))
    most = max(_ODD_MISFIT, _BEYOND_MISFIT * float(np.quantile(fitted.misfit, _TAIL)))
    near = seen & ~far  # a shape is odd if it is without its few odd points
    rest = np.sqrt((fitted.rigid**2 * near).sum(axis=1) / np.maximum(near.sum(axis=1), 1))
    names = case.dataset.skeleton.names
    for i in np.flatnonzero(~told & (far.any(axis=1) | (fitted.misfit > most))).tolist():
        which = np.flatnonzero(far[i])
        if 0 < len(which) <= max(1, _FEW * seen[i].sum()) and rest[i] <= most:
            furthest = int(times[i].argmax())
            px = fitted.residual[i, furthest] * fitted.size[i]
            more = f" (and {listed([names[k] for k in which if k != furthest])})" if len(which) > 1 else ""
            message = f"'{names[furthest]}'{more} lies {px:.0f} pixels from where the others expect it, usual are "
            yield suspect("point-odd", records[i], message + f"{_usual_px(fitted, i, known[:, furthest]):.0f}")
        else:
            message = f"misfit to the mean shape {fitted.misfit[i]:.2f}, usual is {np.median(fitted.misfit):.2f}"
            yield suspect("shape-odd", records[i], message)


def _usual_px(fitted: Fitted, index: int, residuals: np.ndarray) -> float:
    """The median residual of a point, in pixels of one record."""
    return float(np.nanmedian(residuals) * fitted.size[index])


def _turned(records: list[Record], fitted: Fitted) -> Iterable[Problem]:
    middle = np.angle(np.exp(1j * fitted.turn).mean())
    turn = np.angle(np.exp(1j * (fitted.turn - middle)))
    score = robust_scores(turn, least_sigma=float(_TURN_FLOOR))
    for i in np.flatnonzero((np.abs(score) > _FAR) & (np.abs(turn) > _LEAST_TURN)):
        yield suspect("shape-turned", records[i], f"turned by {np.rad2deg(turn[i]):.0f} degrees against the others")


def _sizes(records: list[Record], fitted: Fitted) -> Iterable[Problem]:
    sides = np.array([np.hypot(*(record.size_hw or (1, 1))) for record in records])
    shares = fitted.size / sides
    for i in np.flatnonzero(np.abs(robust_scores(np.log(shares), least_sigma=_SIZE_FLOOR)) > _FAR):
        times = shares[i] / np.median(shares)
        told = f"{times:.1f} times as large" if times > 1 else f"{1 / times:.1f} times smaller"
        yield suspect("points-size-odd", records[i], f"the object is {told} in its picture than the median")
