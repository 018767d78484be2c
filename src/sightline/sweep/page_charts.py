"""Charts of the sweep's page: the history, the front, each setting against the score, and shares with ranges.

Next: page.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from sightline.report.scatter import Dot, scatter_chart
from sightline.sweep.importance import Importance
from sightline.sweep.result import Result
from sightline.sweep.space import Choice, Dimension
from sightline.sweep.table import drawn_text, score_text
from sightline.sweep.tried import OBJECTIVES, Tried

_LEAST = 2  # trials in a chart
_NAMES = {"time": ("training of one run", "s"), "latency": ("one picture", "ms")}


def history(found: Result) -> str:
    """Scores in the order of the trials, with the best so far."""
    whole = sorted((each for each in found.tried if each.score is not None), key=lambda each: each.number)
    if len(whole) < _LEAST:
        return ""
    better = min if found.settings.less_is_better else max
    stairs: list[tuple[float, float]] = []
    for each in whole:
        if each.state != "complete":
            continue
        y = _y(found, each)
        stairs.append((float(each.number), y if not stairs else better(stairs[-1][1], y)))
    chart = scatter_chart(
        _dots(found, whole, lambda each: float(each.number)), title="Scores", x_label="trial",
        y_label=found.metric.unit or found.metric.title, steps=stairs,
        legend=[("a", "mean over the seeds"), ("b", "best so far")],
    )  # fmt: skip
    return f'<div class="charts">{chart}</div>'


def front_chart(found: Result) -> str:
    """Score against the second objective; the front stands out."""
    charts = ""
    on_front = {each.number for each in found.front}
    for name in found.settings.objectives:
        known = [each for each in found.ranked if each.measured(OBJECTIVES[name]) is not None]
        dots = [
            Dot(
                x=each.measured(OBJECTIVES[name]) or 0.0, y=_y(found, each), label=_label(found, each),
                kind="b" if each.number in on_front else _kind(each),
            )
            for each in known
        ]  # fmt: skip
        what, unit = _NAMES[name]
        charts += scatter_chart(
            dots, title=f"Score and {name}", x_label=f"{what}, {unit}", y_label=found.metric.unit or found.metric.title,
            legend=[("b", "front"), ("a", "others")],
        )  # fmt: skip
    return charts


def slices(found: Result) -> str:
    """One chart for each setting: its drawn values against the score, all others being what they were."""
    drawn = "".join(_slice(found, dimension) for dimension in found.space.dimensions)
    if not drawn:
        return ""
    return (
        f'<div class="charts">{drawn}</div><p class="fine">Each dot is a trial, the best one stands out, hollow ones '
        "are over a limit. The other settings differ from dot to dot, and later trials were drawn where earlier ones "
        "did well: a slope here is a hint, not an effect.</p>"
    )


def importance_bars(shares: Sequence[Importance]) -> str:
    """Bars with their ranges; one is all of it."""
    lines = "".join(
        f'<li><span class="name">{escape(each.name)}</span><span class="bar whisker">'
        f'<i style="width:{100 * each.value:.1f}%"></i>'
        f'<b style="left:{100 * each.low:.1f}%;width:{100 * (each.high - each.low):.1f}%"></b></span>'
        f'<span class="value">{each.value:.0%} <small>{each.low:.0%} to {each.high:.0%}</small></span></li>'
        for each in shares
    )
    return f'<div class="bars importance"><ol>{lines}</ol></div>'


def _slice(found: Result, dimension: Dimension) -> str:
    whole = [each for each in found.ranked if dimension.name in each.drawn]
    if len(whole) < _LEAST:
        return ""
    values = dimension.values
    names = values.options if isinstance(values, Choice) else ()
    return scatter_chart(
        _dots(found, whole, lambda each: _place(each.drawn[dimension.name], is_name=bool(names))),
        title=dimension.name, x_label="" if names else "drawn value",
        y_label=found.metric.unit or found.metric.title, names=names,
        is_log=not isinstance(values, Choice) and values.is_log,
    )  # fmt: skip


def _place(value: str | int | float, *, is_name: bool) -> float | str:
    return str(value) if is_name else float(value)


def _dots(found: Result, some: Sequence[Tried], place: Callable[[Tried], float | str]) -> list[Dot]:
    return [
        Dot(x=place(each), y=_y(found, each), label=_label(found, each), kind=_kind_of(found, each)) for each in some
    ]


def _kind_of(found: Result, each: Tried) -> str:
    return "b" if found.best is not None and each.number == found.best.number else _kind(each)


def _kind(each: Tried) -> str:
    return "faint" if each.state == "over the limit" else "a"


def _y(found: Result, each: Tried) -> float:
    assert each.score is not None, each.number
    return each.score * found.metric.factor


def _label(found: Result, each: Tried) -> str:
    return f"trial {each.number}: {score_text(each, found.metric)}; {drawn_text(each)}"
