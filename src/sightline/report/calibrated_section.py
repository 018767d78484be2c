"""The page's section on calibrated answers: whether the radius holds, and whether a probability means one.

Next: page.py
"""

from __future__ import annotations

from html import escape

from sightline.report.charts import Series, line_chart
from sightline.report.run_folder import RunFolder
from sightline.report.tables import Line, cell, number_table
from sightline.report.values import Row, number, rows, section
from sightline.report.words import counted, figure, share

_MOST_ROWS = 12
_LEAST_IN_BIN = 20
_DASH = "\u2013"
_LOW, _WIDTH = 0.6, 150  # what the small rulers show: shares from there on, on so many units
_HOW = {
    "cross-fitted": "each half of the pictures looked at with what the other half gave",
    "held out": "on pictures that nothing was fitted to",
}


def calibrated(run: RunFolder) -> str:
    """Found coverage in words, the reliability of the probability, and coverage by point or class."""
    told = section(run.evaluation, "calibrated")
    asked = number(told.get("coverage"))
    if asked is None:
        return ""
    checked = section(told, "checked")
    note = f'<p class="fine">{escape(str(told.get("note") or ""))}</p>' if told.get("note") else ""
    said = _said(run, told, checked, asked=asked)
    if not checked:
        return f"{said}{note}"
    fits = {str(one.get("name")): one for one in rows(told, "fits") if isinstance(one, dict)}
    return f"{said}{note}{_table(run, checked, fits, asked)}{_reliability(told, checked)}"


def _said(run: RunFolder, told: Row, checked: Row, *, asked: float) -> str:
    """What was asked, and what was found."""
    pooled, bound = section(checked, "pooled"), str(told.get("bound") or "")
    found, low, high = (number(pooled.get(key)) for key in ("share", "low", "high"))
    start = f"{bound[:1].upper()}{bound[1:]}" if bound else "A bound was fitted"
    if found is None:
        fits = rows(told, "fits")
        why = str(fits[0].get("note") or "") if fits and isinstance(fits[0], dict) else ""
        return f"<p>{escape(start)}: asked for {share(asked)} of them, not checked. {escape(why)}</p>"
    wide = number(pooled.get("mean_px"))
    how = _HOW.get(str(checked.get("how")), str(checked.get("how")))
    noun = "radius" if run.task == "points" else "margin"
    size = f" The mean {noun} is {figure(wide)} px." if wide is not None else ""
    limits = f", with 95\u202f% limits {share(low)} to {share(high)}" if low is not None and high is not None else ""
    return (
        f"<p>{escape(start)}: {share(asked)} of them were asked for, <b>{share(found)}</b> of "
        f"{escape(counted(pooled.get('answers'), 'answer'))} found{limits} ({escape(how)}).{size}</p>"
    )


def _reliability(told: Row, checked: Row) -> str:
    """How often answers are right at each probability."""
    found = section(checked, "probability")
    bins = [one for one in rows(found, "bins") if isinstance(one, dict)]
    # What happened in a handful of cases would look like a bend of the curve.
    bins = [one for one in bins if (number(one.get("count")) or 0) >= _LEAST_IN_BIN] or bins
    pairs = [(number(one.get("mean")), number(one.get("share_right"))) for one in bins]
    known = [(x, y) for x, y in pairs if x is not None and y is not None]
    if not known:
        return ""
    ideal = Series(name="if it means one", x=[0.0, 1.0], y=[0.0, 1.0], tone="c")
    measured = Series(name="measured", x=[x for x, _ in known], y=[y for _, y in known], tone="a", dots=True)
    chart = line_chart([measured, ideal], title="Right at each probability", x_label="probability", y_label="right",
                       is_unit=True)  # fmt: skip
    apart = number(found.get("ece"))
    text = f"Right is {told.get('right', 'an answer near the truth')}: {share(found.get('share_right'))} of all."
    if apart is not None:
        text += f" The probability is off by {apart:.3f} on average (expected calibration error)."
    return f'<div class="charts">{chart}<p class="aside">{escape(text)}</p></div>'


def _table(run: RunFolder, checked: Row, fits: dict[str, Row], asked: float) -> str:
    """Found coverage of each point or class, those furthest from what was asked first."""
    groups = [one for one in rows(checked, "groups") if isinstance(one, dict)]
    if not groups:
        return ""

    def away(one: Row) -> float:
        value = number(one.get("share"))
        return -abs(value - asked) if value is not None else 1.0

    ordered = sorted(groups, key=away) if len(groups) > _MOST_ROWS else groups
    lines = [_line(one, fits.get(str(one.get("name")), {}), asked=asked) for one in ordered]
    pooled = section(checked, "pooled")
    if len(groups) > 1 and pooled:
        lines.insert(0, _line(pooled, fits.get("all", {}), asked=asked))
    noun, what = ("Radius", "Point") if run.task == "points" else ("Margin", "Class")
    head = (what, "Answers", "Within", "60 to 100\u202f%, limits", f"{noun}, px", "Fitted to")
    tail = ""
    if len(ordered) > _MOST_ROWS:
        tail = "Those furthest from what was asked come first. "
    if any(number(one.get("expected_low")) is not None for one in groups):
        tail += (
            "The grey band is where the share of a good fit lies in 95\u202f% of cases: a fit to few answers strays."
        )
    tail = f'<p class="fine">{tail}</p>' if tail else ""
    return f'<div class="covered">{number_table(head, lines, kind="coverage", most=_MOST_ROWS)}{tail}</div>'


def _line(one: Row, fit: Row, *, asked: float) -> Line:
    found, wide = number(one.get("share")), number(one.get("mean_px"))
    measured = number(fit.get("measured"))
    is_own = number(fit.get("bins")) is not None
    to = _DASH if measured is None else f"{measured:,.0f}" if is_own else "all"
    return Line(
        name=str(one.get("name")),
        cells=[
            cell(f"{number(one.get('answers')) or 0:,.0f}"),
            cell(share(found)),
            f"<td>{_ruler(one, found, asked=asked)}</td>",
            cell(_DASH if wide is None else figure(wide)),
            cell(to),
        ],
    )


def _ruler(one: Row, found: float | None, *, asked: float) -> str:
    """A share with its limits, beside the one that was asked for and the range in which that of a good fit lies."""
    low, high, least, most = (number(one.get(key)) for key in ("low", "high", "expected_low", "expected_high"))
    if found is None or low is None or high is None:
        return _DASH

    def at(value: float) -> str:
        return f"{_WIDTH * (max(value, _LOW) - _LOW) / (1 - _LOW):.1f}"

    label = f"{share(found)}, limits {share(low)} to {share(high)}"
    band = ""
    if least is not None and most is not None:
        label += f"; a good fit lies in {share(least)} to {share(most)}"
        band = f'<rect x="{at(least)}" width="{float(at(most)) - float(at(least)):.1f}" y="1" height="12"/>'
    return (
        f'<svg viewBox="-3 0 {_WIDTH + 6} 14" role="img" aria-label="{escape(label, quote=True)}">'
        f'{band}<line class="asked" x1="{at(asked)}" x2="{at(asked)}" y1="0" y2="14"/>'
        f'<line class="limits" x1="{at(low)}" x2="{at(high)}" y1="7" y2="7"/>'
        f'<circle cx="{at(found)}" cy="7" r="3"/></svg>'
    )
