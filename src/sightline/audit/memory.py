"""Whether the network knows its training pictures better than others, and whether it looks at the picture at all.

Overfitting: training and validation pictures, both plain. Looking: each record is shown another picture's pixels in
its own frame; a network that answers by habit (where such points usually are) does as well as before. Per point the
same, since one point can be answered by habit while others are looked for. Needs no torch.
Next: twins.py
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightline.audit.differences import Effect
from sightline.audit.findings import Finding, plain_numbers
from sightline.audit.skew import Row, Told
from sightline.compare.words import p_text
from sightline.metrics.units import drawn_counts
from sightline.report.words import Metric, counted

FAR = 1.5  # times the training pictures' error, from which on the gap is worth a warning
HABIT = 0.1  # a network that looks must be better by this part of the error than with another picture's pixels
POINT_HABIT = 0.25  # likewise for a point
LEAST_UNITS = 8
_RESAMPLES = 1000
_MOST_NAMED = 8


def find_overfitting(
    metric: Effect | None, loss: Effect | None, *, errors: tuple[float, float], told: Told
) -> list[Finding]:
    """The gap between training and validation pictures.

    Args:
        metric: of validation pictures (value) against training pictures (plain).
        loss: likewise.
        errors: how far the metric is from perfect on training and on validation pictures.
        told: metric and loss in words.
    """
    numbers = {
        "metric": None if metric is None else plain_numbers(metric),
        "loss": None if loss is None else plain_numbers(loss),
    }
    times = errors[1] / max(errors[0], 1e-9)
    by_metric = metric is not None and metric.verdict == "worse" and times >= FAR
    by_loss = loss is not None and loss.verdict == "worse" and loss.harm >= FAR - 1
    if not by_metric and not by_loss:
        return []
    parts = ((metric, told.metric), (loss, told.loss))
    text = "; ".join(_gap(effect, named) for effect, named in parts if effect is not None)
    return [
        Finding(
            id="overfitting",
            severity="warning" if by_metric else "note",
            part="val",
            text=f"Plain training pictures are answered better than plain validation pictures: {text}.",
            todo="More pictures, stronger augmentation or a smaller network would close the gap; no shift explains it.",
            numbers=numbers,
        )
    ]


def _gap(effect: Effect, metric: Metric) -> str:
    times = effect.value / effect.plain if effect.plain > 0 else float("inf")
    often = f", {times:.2g} times" if metric.less_is_better and np.isfinite(times) else ""
    return (
        f"{metric.title} {metric.show(effect.plain)} in training, {metric.show(effect.value)} in validation{often} "
        f"(p {_p(effect)})"
    )


def _p(effect: Effect) -> str:
    text = p_text(effect.p_corrected)
    return text if text.startswith("<") else f"= {text}"


def find_ignored_pictures(strangers: Row, *, units: int, told: Told) -> list[Finding]:
    """Whether another picture's pixels do as well; with a handful of pictures nothing is said."""
    known = [effect for effect in (strangers.metric, strangers.loss) if effect is not None]
    looks = any(effect.verdict == "worse" and effect.harm >= HABIT for effect in known)
    if looks or not known or units < LEAST_UNITS:
        return []
    return [
        Finding(
            id="ignores-picture",
            severity="error",
            part=strangers.part,
            text=f"The answers do not come from the picture: with another picture's pixels, {told.of(strangers)}.",
            todo="The network answers where such things usually are. Train longer, look at the loss curve and the "
            "learning rate, and check that labels belong to their pictures.",
            numbers={
                "metric": None if strangers.metric is None else plain_numbers(strangers.metric),
                "loss": None if strangers.loss is None else plain_numbers(strangers.loss),
            },
        )
    ]


def find_memorised_points(
    plain: np.ndarray,
    strangers: np.ndarray,
    visible: np.ndarray,
    *,
    spread: np.ndarray,
    names: Sequence[str],
    units: np.ndarray,
    part: str,
) -> list[Finding]:
    """Points that are answered by habit: another picture's pixels raise their error by hardly anything.

    Args:
        plain: [N, K] distances to the truth in pixels of the input, 0 where not visible.
        strangers: [N, K], likewise with another picture's pixels.
        visible: [N, K] bool.
        spread: [K] standard deviation of the predictions over that of the truth.
        names: of the K points.
        units: [N]; pictures with equal entries are drawn together.
        part: where this was measured.
    """
    if int(units.max()) + 1 < LEAST_UNITS or len(names) < 2:
        return []
    weights = drawn_counts(units, resamples=_RESAMPLES, seed=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        gain = 1 - (plain * visible).sum(axis=0) / (strangers * visible).sum(axis=0)
        drawn = 1 - (weights @ (plain * visible)) / (weights @ (strangers * visible))
    known = np.isfinite(gain) & np.isfinite(drawn).all(axis=0) & (visible.sum(axis=0) >= LEAST_UNITS)
    high = np.quantile(np.where(known, drawn, 1.0), 0.975, axis=0)
    lazy = [k for k in np.argsort(np.where(known, gain, np.inf)).tolist() if known[k] and high[k] < POINT_HABIT]
    if not lazy:
        return []
    listed = ", ".join(f"{names[k]} ({gain[k]:.0%} better, spread {spread[k]:.0%})" for k in lazy[:_MOST_NAMED])
    more = f", and {len(lazy) - _MOST_NAMED} more" if len(lazy) > _MOST_NAMED else ""
    return [
        Finding(
            id="memorised-points",
            severity="warning",
            part=part,
            text=f"{counted(len(lazy), 'point')} of {len(names)} hardly {'comes' if len(lazy) == 1 else 'come'} from "
            "the picture: against another picture's pixels, the own ones help little. How much better, and how far "
            f"the predictions spread, in parts of the truth's spread: {listed}{more}.",
            todo="They are put where they usually are. Label more pictures where they vary, or leave them out by "
            "data.points.",
            numbers={
                "points": [{"name": names[k], "gain": gain[k], "high": high[k], "spread": spread[k]} for k in lazy]
            },
        )
    ]
