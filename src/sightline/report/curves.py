"""The page's section of curves over the steps of the training: loss, metrics on the validation part, learning rate.

Next: box_sections.py
"""

from __future__ import annotations

from collections.abc import Sequence

from sightline.report.charts import Series, line_chart, thin_out
from sightline.report.run_folder import RunFolder
from sightline.report.sections import main_metric
from sightline.report.values import Row, number, section
from sightline.report.words import MAIN_METRICS, Metric, describe

MOST_LINES = 7  # lines in one chart, which is how many looks there are
_CLASS = "ap_class/"
# What one chart holds for tasks with boxes: its title, and metric and name of each line.
_TOGETHER: dict[str, tuple[tuple[str, tuple[tuple[str, str], ...]], ...]] = {
    "points": (),
    "boxes": (
        ("Average precision", (("ap", "AP"), ("ap50", "at IoU 0.5"), ("ap75", "at IoU 0.75"))),
        ("AP by size", (("ap_small", "small"), ("ap_medium", "medium"), ("ap_large", "large"))),
        ("At the best thresholds of each step", (("precision", "precision"), ("recall", "recall"), ("f1", "F1"))),
    ),
    "track": (
        ("F1 at the best threshold of each step", (("f1", "F1"), ("precision", "precision"), ("recall", "recall"))),
        ("What picks the weights", (("f1_wide", "F1, wide"),)),
    ),
    "one-box": (("Box and class", (("score", "score"), ("mean_iou", "mean IoU"), ("accuracy", "accuracy"))),),
}


def training_curves(run: RunFolder) -> str:
    """Loss, and metrics on the validation part, over the steps."""
    best_step = number(section(run.run, "best").get("step"))
    marks = [(best_step, "best")] if best_step is not None else []
    loss: list[Series] = []
    for title, values, tone in (("training", run.train_rows, "a"), ("validation", run.val_rows, "b")):
        x, y = _column(values, "loss")
        if x:
            x, y, share = thin_out(x, y)
            name = f"{title}, mean of {share} values" if share > 1 else title
            loss.append(Series(name=name, x=x, y=y, tone=tone, dots=tone == "b" and len(x) <= 40))
    charts = line_chart(loss, title="Loss", x_label="step", y_label="loss", marks=marks) if loss else ""
    together = _together(run, marks=marks)
    for metric in [] if together else _charted_metrics(run):
        x, y = _column(run.val_rows, metric.name)
        x, y, _ = thin_out(x, [value * metric.factor for value in y])
        series = Series(name="validation", x=x, y=y, tone="b", dots=len(x) <= 40)
        charts += line_chart([series], title=metric.title, x_label="step", y_label=metric.unit, marks=marks)
    charts += together
    folded = _learning_rate(run)
    return f'<div class="charts">{charts}</div>{folded}' if charts or folded else ""


def best_and_worst(names: Sequence[str], values: Sequence[float]) -> list[str]:
    """Names in their order, as many as one chart can hold: where there are more, those of the best and worst values."""
    if len(names) <= MOST_LINES:
        return list(names)
    order = sorted(range(len(names)), key=lambda place: values[place])
    half = MOST_LINES // 2
    return [names[place] for place in sorted({*order[:half], *order[-half:]})]


def _together(run: RunFolder, *, marks: Sequence[tuple[float, str]]) -> str:
    """Charts with several metrics of boxes in each, from 0."""
    found = ""
    for title, keys in _TOGETHER[run.task]:
        found += _chart(run, [(name, key) for key, name in keys], title=title, marks=marks)
    names = list(dict.fromkeys(key.removeprefix(_CLASS) for row in run.val_rows for key in row if _is_class(key)))
    columns = {name: _column(run.val_rows, _CLASS + name)[1] for name in names}
    known = [name for name in names if columns[name]]
    shown = best_and_worst(known, [columns[name][-1] for name in known])
    if len(shown) > 1:
        title = "AP by class" + (f": best and worst of {len(known)}" if len(shown) < len(known) else "")
        found += _chart(run, [(name, _CLASS + name) for name in shown], title=title, marks=marks)
    return found


def _chart(run: RunFolder, lines: Sequence[tuple[str, str]], *, title: str, marks: Sequence[tuple[float, str]]) -> str:
    series = []
    for name, key in lines:
        x, y = _column(run.val_rows, key)
        if x:
            x, y, _ = thin_out(x, y)
            series.append(Series(name=name, x=x, y=y, tone=f"k{len(series)}"))
    return line_chart(series, title=title, x_label="step", y_label="", from_zero=True, marks=marks) if series else ""


def _is_class(key: object) -> bool:
    return isinstance(key, str) and key.startswith(_CLASS)


def _learning_rate(run: RunFolder) -> str:
    x, y = _column(run.train_rows, "lr")
    if not x or len(set(y)) < 2:
        return ""
    x, y, _ = thin_out(x, y)
    rate = Series(name="learning rate", x=x, y=y, tone="c")
    chart = line_chart([rate], title="Learning rate", x_label="step", y_label="", from_zero=True)
    return f'<details><summary>Learning rate</summary><div class="charts">{chart}</div></details>'


def _charted_metrics(run: RunFolder) -> list[Metric]:
    logged = {key for row in run.val_rows for key, value in row.items() if number(value) is not None}
    logged -= {"step", "epoch", "seconds", "loss", "lr"}
    main = main_metric(run)
    if main is not None and main.name in logged:
        return [main]
    chosen = [name for name in MAIN_METRICS if name in logged] or sorted(logged)
    return [describe(name) for name in chosen[:1]]


def _column(values: list[Row], key: str) -> tuple[list[float], list[float]]:
    pairs = ((number(row.get("step")), number(row.get(key))) for row in values)
    known = [(x, y) for x, y in pairs if x is not None and y is not None]
    return [x for x, _ in known], [y for _, y in known]
