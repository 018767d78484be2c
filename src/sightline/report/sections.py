"""The page's sections about numbers: headline, metrics, error per point, budget.

Each function takes the run folder and returns HTML, "" where the run has nothing to show for it.
Next: curves.py
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from sightline.report.box_words import said_of_boxes, said_of_one_box, sizes_in_words
from sightline.report.charts import Series, heat_steps, interval_ruler, line_chart, shape_chart
from sightline.report.run_folder import RunFolder
from sightline.report.track_words import said_of_track
from sightline.report.values import Row, number, rows, section
from sightline.report.words import BUDGET, LENGTHS, MAIN_METRICS, MAIN_OF_TRACK, Metric, counted, describe, figure

_MOST_BARS = 12
_COUNTS = (("objects", "labelled object"), ("detections", "detection"))
_FACTS = (
    ("part", "split"),
    ("right within, in px:", "threshold_px"),
    ("intervals from", "resampled"),
    ("crop:", "crop"),
    ("normalised by", "normaliser"),
    ("fingerprint", "data_fingerprint"),
)


def main_metric(run: RunFolder) -> Metric | None:
    """The metric that the run was selected by if it was evaluated, else the first of the usual ones."""
    measured = section(run.evaluation, "metrics")
    chosen = section(run.run, "best").get("metric")
    usual = MAIN_OF_TRACK if run.task == "track" else MAIN_METRICS
    for name in (chosen, *usual, *measured):
        if isinstance(name, str) and name in measured:
            return describe(name)
    return describe(chosen) if isinstance(chosen, str) else None


def picture_metric(run: RunFolder) -> Metric:
    """What the error of one picture is measured in: by the length that the evaluation divided by, else pixels."""
    length = run.evaluation.get("normaliser")
    if length == "none":
        return describe("mean_error_px")
    if length in LENGTHS:
        return describe(f"nme_{length}")
    return main_metric(run) or describe("error")


def headline(run: RunFolder) -> str:
    """The main number on its ruler, and what it says in a sentence."""
    metric = main_metric(run)
    if metric is None:
        return '<p class="lead">This run has not been measured yet.</p>'
    measured = section(section(run.evaluation, "metrics"), metric.name)
    value, low, high = (number(measured.get(key)) for key in ("value", "low", "high"))
    if value is None:
        best = section(run.run, "best")
        step = number(best.get("step"))
        at = f", at step {step:,.0f}" if step is not None else ""
        return (
            f'<p class="number"><strong>{metric.show(best.get("value"))}</strong> '
            f"<span>{escape(metric.title)}</span></p>"
            f'<p class="lead">The best value on the validation part during training{at}. It has no interval and picked '
            "the weights itself: evaluate the run for an honest number.</p>"
        )
    interval, ruler = "", ""
    if low is not None and high is not None:
        interval = f'<span class="range">95\u202f% interval {metric.show_range(low, high)}</span>'
        if high > 0 and low >= 0:
            factor = metric.factor
            label = f"{metric.title}: {metric.show(value)}, interval {metric.show_range(low, high)}"
            end = factor if not metric.less_is_better and high <= 1 else None  # a share of something
            ruler = interval_ruler(value=value * factor, low=low * factor, high=high * factor, label=label, end=end)
    return (
        f'<p class="number"><strong>{metric.show(value)}</strong> <span>{escape(metric.title)}{interval}</span></p>'
        f'{ruler}<p class="lead">{_in_words(run, metric, value)}</p>'
    )


def metric_table(run: RunFolder) -> str:
    """All metrics with their intervals and meanings."""
    measured = section(run.evaluation, "metrics")
    if not measured:
        return ""
    main = main_metric(run)
    lines = ""
    for name, entry in measured.items():
        metric = describe(name, task=run.task)
        values = entry if isinstance(entry, dict) else {"value": entry}
        low, high = number(values.get("low")), number(values.get("high"))
        interval = metric.show_range(low, high) if low is not None and high is not None else "\u2013"
        better = "less is better" if metric.less_is_better else "more is better"
        meaning = f"{escape(metric.meaning)} <i>{better}</i>" if metric.meaning else ""
        is_main = ' class="main"' if main and main.name == name else ""
        lines += (
            f'<tr{is_main}><th scope="row">{escape(metric.title)}<code>{escape(name)}</code></th>'
            f'<td class="value">{metric.show(values.get("value"))}</td><td class="between">{interval}</td>'
            f'<td class="meaning">{meaning}</td></tr>'
        )
    noun = "frame" if run.task == "track" else "picture"
    facts = [
        counted(run.evaluation.get("images"), noun),
        *(counted(run.evaluation[key], noun) for key, noun in _COUNTS if number(run.evaluation.get(key)) is not None),
        *(f"{title} {_fact(key, run.evaluation[key])}" for title, key in _FACTS if run.evaluation.get(key)),
    ]
    excluded = number(run.evaluation.get("excluded"))
    if excluded:
        facts.append(f"{counted(excluded, 'picture')} without that length left out of what is divided by it")
    return (
        '<table class="metrics"><thead><tr><th>Metric</th><th>Value</th><th>95\u202f% interval</th>'
        f"<th>Meaning</th></tr></thead><tbody>{lines}</tbody></table>"
        f'<p class="fine">{escape("; ".join(facts))}. {escape(sizes_in_words(run))} The interval says where '
        f"the number would lie on other {noun}s of this kind, not what another training would give.</p>"
    )


def error_curve(run: RunFolder) -> str:
    """Which share of the pictures has an error below each threshold."""
    curve = section(run.evaluation, "error_curve")
    pairs = zip(rows(curve, "thresholds"), rows(curve, "fraction"), strict=False)
    known = [(x, y) for x, y in ((number(a), number(b)) for a, b in pairs) if x is not None and y is not None]
    if len(known) < 2:
        return ""
    unit = str(curve.get("unit") or "error")
    if unit in LENGTHS:
        known, unit = [(x * 100, y) for x, y in known], f"% of {LENGTHS[unit]}"
    series = Series(name="share of pictures", x=[x for x, _ in known], y=[y * 100 for _, y in known], tone="a")
    half = next((f"Half of the pictures lie below {figure(x)} {unit}." for x, y in known if y >= 0.5), "")
    chart = line_chart(
        [series], title="Pictures below an error", x_label=f"error ({unit})", y_label="%", from_zero=True
    )
    return (
        f'<div class="charts">{chart}<p class="aside">{half} The further up and left the curve, the better.</p></div>'
    )


def error_per_point(run: RunFolder) -> str:
    """Where on the object the errors are: on the mean shape, and as a sorted list."""
    points = [entry for entry in rows(run.evaluation, "per_point") if isinstance(entry, dict)]
    if not points:
        return ""
    names = [str(entry.get("name", index)) for index, entry in enumerate(points)]
    errors = [number(entry.get("mean_error_px")) if number(entry.get("count")) != 0 else None for entry in points]
    labels = [_point_label(name, entry, error) for name, entry, error in zip(names, points, errors, strict=True)]
    mean_shape = rows(run.evaluation, "mean_shape")
    drawn = ""
    if len(mean_shape) == len(points) and all(_is_xy(xy) for xy in mean_shape):
        drawn = shape_chart(
            mean_shape, errors, labels=labels, edges=edges_of(run, len(points)), title="Error per point"
        )
        drawn = f'<div class="drawn">{drawn}<p class="readout" aria-live="polite">Touch a point for its name.</p>'
        drawn += f"{_scale(errors)}</div>"
    top = max((e for e in errors if e is not None), default=0.0) or 1.0
    steps = heat_steps(errors)
    order = sorted(range(len(points)), key=lambda k: -1.0 if errors[k] is None else errors[k] or 0.0, reverse=True)
    bars = [
        f'<li data-point="{k}"><span class="name">{escape(names[k])}</span><span class="bar heat-'
        f'{steps[k]}"><i style="width:{100 * (errors[k] or 0.0) / top:.1f}%"></i></span><span class="value">'
        f"{'no labels' if errors[k] is None else figure(errors[k] or 0.0) + ' px'}</span></li>"
        for k in order
    ]
    first, rest = "".join(bars[:_MOST_BARS]), "".join(bars[_MOST_BARS:])
    more = (
        f"<details><summary>The other {len(bars) - _MOST_BARS} points</summary><ol>{rest}</ol></details>"
        if rest
        else ""
    )
    return f'<div class="points">{drawn}<div class="bars"><ol>{first}</ol>{more}</div></div>'


def error_budget(run: RunFolder) -> str:
    """What part of the error comes from where."""
    budget = {str(key): number(value) for key, value in section(run.evaluation, "budget").items()}
    known = {key: value for key, value in budget.items() if value is not None}
    if not known:
        return ""
    top = max(max(known.values()), 1e-12)
    lines = ""
    for key, value in known.items():
        title, meaning = BUDGET.get(key, (key, ""))
        unit = " px" if key.endswith("_px") else ""
        lines += (
            f'<li><span class="name">{escape(title)}<small>{escape(meaning)}</small></span><span class="bar">'
            f'<i style="width:{max(0.0, 100 * value / top):.1f}%"></i></span>'
            f'<span class="value">{figure(value)}{unit}</span></li>'
        )
    return f'<div class="bars budget"><ol>{lines}</ol></div>'


def _fact(key: str, value: object) -> str:
    if key == "threshold_px" and (distance := number(value)) is not None:
        return f"{distance:g}"
    return LENGTHS.get(str(value), str(value)) if key == "normaliser" else str(value)


def _in_words(run: RunFolder, metric: Metric, value: float) -> str:
    measured = section(run.evaluation, "metrics")
    data, part = run.evaluation.get("data"), run.evaluation.get("split")
    noun = "frame" if run.task == "track" else "picture"
    where = f"On {counted(run.evaluation.get('images'), noun)}"
    where += f" of {Path(str(data)).name}" if data else ""
    where += f" (part {part})" if part else ""
    if run.task == "track":
        return escape(f"{where}, {said_of_track(run.evaluation)}")
    if run.task != "points":
        said = said_of_boxes if run.task == "boxes" else said_of_one_box
        return escape(f"{where}, {said(run, metric, value)}")
    pixels = section(measured, "mean_error_px").get("value")
    length = LENGTHS.get(metric.name.removeprefix("nme_"))
    if length is not None and metric.unit == "%":
        said = f"the predicted points lie {metric.show(value)} of {length} from the true ones"
        said += " on average"
        said += f", which is {describe('mean_error_px').show(pixels)}" if number(pixels) is not None else ""
    elif metric.name == "mean_error_px":
        said = f"the predicted points lie {metric.show(value)} from the true ones on average"
    else:
        said = f"{metric.title} is {metric.show(value)}"
    tail = ""
    median, worst = (section(measured, key).get("value") for key in ("median_error_px", "p95_error_px"))
    if number(median) is not None and number(worst) is not None:
        tail = f" Half of the points are within {describe('median_error_px').show(median)}"
        tail += f", and 19 of 20 within {describe('p95_error_px').show(worst)}."
    return escape(f"{where}, {said}.{tail}")


def edges_of(run: RunFolder, count: int) -> list[tuple[int, int]]:
    """The skeleton's edges between the first `count` points."""
    edges = rows(section(run.run, "skeleton"), "edges")
    return [
        (edge[0], edge[1])
        for edge in edges
        if isinstance(edge, list) and len(edge) == 2 and all(isinstance(end, int) and 0 <= end < count for end in edge)
    ]


def _is_xy(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and None not in map(number, value)


def _point_label(name: str, entry: Row, error: float | None) -> str:
    if error is None:
        return f"{name}: no labels"
    nme = number(entry.get("nme"))
    return f"{name}: {figure(error)} px" + (f" ({figure(nme * 100)} %)" if nme is not None else "")


def _scale(errors: Sequence[float | None]) -> str:
    known = [error for error in errors if error is not None]
    if not known:
        return ""
    steps = "".join(f'<i class="heat-{step}"></i>' for step in range(5))
    return f'<p class="scale">{figure(min(known))} px <span>{steps}</span> {figure(max(known))} px</p>'
