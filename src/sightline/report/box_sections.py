"""The page's sections about boxes: curves, classes, sizes of labels, scores.

Each function takes the run folder and returns HTML, "" where the run has nothing to show for it.
Next: box_mistakes.py
"""

from __future__ import annotations

from html import escape

import numpy as np

from sightline.report.box_facts import (
    SIZES,
    PrecisionRecall,
    calibration,
    class_rows,
    iou_curve,
    precision_recall,
)
from sightline.report.box_words import operating_point, sizes_in_words
from sightline.report.charts import Series, line_chart
from sightline.report.curves import MOST_LINES, best_and_worst
from sightline.report.run_folder import RunFolder
from sightline.report.tables import Line, cell, number_table
from sightline.report.values import Row, number
from sightline.report.words import figure, share

_MOST_ROWS = 12
_LIMITS = (0.5, 0.75, 0.9)  # IoUs of which a sentence tells
_DASH = "\u2013"


def precision_recall_curves(run: RunFolder) -> str:
    """Precision over recall at IoU 0.5, with the operating point of each class."""
    curves = precision_recall(run)
    drawn = [curve for curve in curves if curve.recall]
    if not drawn:
        return "<p>No class was found at all.</p>" if curves else ""
    by_name = {str(row["name"]): row for row in class_rows(run, "per_class")}
    areas = [float(np.sum(curve.precision)) for curve in drawn]
    names = best_and_worst([curve.name for curve in drawn], areas)
    shown = [curve for curve in drawn if curve.name in names]
    series = []
    for place, curve in enumerate(shown):
        row = by_name.get(curve.name, {})
        recall, precision = number(row.get("recall")), number(row.get("precision"))
        ring = (recall, precision) if recall is not None and precision is not None else None
        series.append(
            Series(name=curve.name, x=curve.recall, y=curve.precision, tone=f"k{place % MOST_LINES}", ring=ring)
        )
    many, never = "", len(curves) - len(drawn)
    if len(shown) < len(drawn):
        series.append(_mean_curve(curves))
        many = f" Of {len(curves)} classes these are the best and the worst, and the mean over all."
    many += f" Classes that were never found: {never:,} of {len(curves):,}." if never else ""
    chart = line_chart(
        series, title="Precision over recall", x_label="recall", y_label="precision (IoU 0.5)", is_unit=True
    )
    rings = " A ring is the operating point." if any(line.ring for line in series) else ""
    return (
        f'<div class="charts">{chart}<p class="aside">Recall is the share of objects that are found, precision the '
        f"share of boxes that are right; a lower threshold moves to the right along a curve.{rings}{many} The further "
        "up and right, the better.</p></div>"
    )


def iou_reached(run: RunFolder) -> str:
    """Which share of the pictures has an IoU of at least each value."""
    reached, fraction = iou_curve(run)
    if len(reached) < 2:
        return ""
    series = Series(name="share of pictures", x=reached, y=fraction, tone="a")
    chart = line_chart([series], title="Pictures that reach an IoU", x_label="IoU", y_label="share", is_unit=True)
    pairs = list(zip(reached, fraction, strict=True))
    told = ", ".join(f"{share(y)} reach {x:.2g}" for limit in _LIMITS for x, y in pairs if abs(x - limit) < 1e-6)
    told = f"Of the pictures {told}. " if told else ""
    return (
        f'<div class="charts">{chart}<p class="aside">{told}The further up and right, the better; the area '
        "below the line is the mean IoU.</p></div>"
    )


def classes(run: RunFolder) -> str:
    """How good each class is: average precision, and the operating point."""
    table = class_rows(run, "per_class")
    if not table:
        return ""
    if run.task == "one-box":
        head = ("Class", "Pictures", "Mean IoU", "Accuracy", "Score", "Answered", "Right of these")
        keys = ("objects", "mean_iou", "accuracy%", "score", "predicted", "precision%")
        few = number_table(head, [_line(row, keys) for row in _worst_first(table, "score")], most=_MOST_ROWS)
        return (
            f'{few}<p class="fine">Accuracy: of the pictures of a class, those that were told as it. Answered: how '
            "often a picture was told as this class.</p>"
        )
    ap_head = ("Class", "AP", "IoU 0.5", *(size.capitalize() for size in SIZES))
    ap_keys = ("ap", "ap50", *(f"ap_{size}" for size in SIZES))
    at_head = ("Class", "Precision", "Recall", "F1", "Objects", "Found", "False", "Threshold")
    at_keys = ("precision%", "recall%", "f1", "objects", "found", "false_alarms", "threshold")
    by_ap, by_f1 = _worst_first(table, "ap"), _worst_first(table, "f1")
    return (
        f"<h3>Average precision</h3>{number_table(ap_head, [_line(row, ap_keys) for row in by_ap], most=_MOST_ROWS)}"
        f'<p class="fine">{escape(sizes_in_words(run))} A dash: no such object is labelled.</p>'
        f"<h3>At the operating point</h3>"
        f"{number_table(at_head, [_line(row, at_keys) for row in by_f1], most=_MOST_ROWS)}"
        f'<p class="fine">{escape(operating_point(run))}</p>'
    )


def labels(run: RunFolder) -> str:
    """What is labelled: objects of each class, how many pictures have one, and their mean size."""
    table = class_rows(run, "label_statistics")
    if not table:
        return ""
    total = sum(number(row.get("boxes")) or 0.0 for row in table)
    sides = [number(row.get(key)) or 0.0 for row in table for key in ("width_px", "height_px")]
    longest = max(sides, default=0.0) or 1.0
    ordered = sorted(table, key=lambda row: -(number(row.get("boxes")) or 0.0))
    lines = []
    for row in ordered:
        boxes, pictures = (number(row.get(key)) for key in ("boxes", "pictures"))
        width, height = number(row.get("width_px")), number(row.get("height_px"))
        part = boxes / total if boxes is not None and total else None
        size, icon = _DASH, ""
        if width is not None and height is not None:
            size, icon = f"{figure(width)} x {figure(height)}", _mean_box(width / longest, height / longest)
        lines.append(
            Line(
                name=str(row["name"]),
                cells=[
                    cell(_DASH if boxes is None else f"{boxes:,.0f}"),
                    cell(share(part)),
                    cell(_DASH if pictures is None else f"{pictures:,.0f}"),
                    cell(size, kind="size"),
                    f'<td class="icon">{icon}</td>',
                ],
            )
        )
    head = ("Class", "Objects", "Share", "Pictures", "Mean size, px", "")
    return (
        f"{number_table(head, lines, kind='labels', most=_MOST_ROWS)}"
        '<p class="fine">Of the pictures that were scored. Mean size: width x height in pixels of the original file, '
        "drawn to one scale. Crowds are left out.</p>"
    )


def scores(run: RunFolder) -> str:
    """Whether a score of 0.8 means right in 8 of 10 cases."""
    bins, error = calibration(run)
    if not bins:
        return ""
    ideal = Series(name="if scores were shares", x=[0.0, 1.0], y=[0.0, 1.0], tone="c")
    measured = Series(
        name="measured",
        x=[float(one["mean_score"]) for one in bins],
        y=[float(one["share_right"]) for one in bins],
        tone="a",
        dots=True,
    )
    right = "right class" if run.task == "one-box" else "right box"
    chart = line_chart([measured, ideal], title="Right at each score", x_label="score", y_label=right, is_unit=True)
    head = ("Score", "Pictures" if run.task == "one-box" else "Boxes", "Mean score", "Right")
    lines = [
        Line(
            name=f"{one['low']:.1f} to {one['high']:.1f}",
            cells=[cell(f"{one['count']:,}"), cell(f"{one['mean_score']:.2f}"), cell(share(one["share_right"]))],
        )
        for one in bins
    ]
    text = "Below the grey line a score promises too much, above it too little."
    if error is not None:
        text += f" On average they are {error:.3f} apart (expected calibration error)."
    if run.task == "boxes":
        text += " All found boxes are counted, also those below the operating point."
    return f'<div class="charts">{chart}<div class="aside">{number_table(head, lines)}<p>{escape(text)}</p></div></div>'


def _mean_curve(curves: list[PrecisionRecall]) -> Series:
    """Mean precision over classes at each recall that some class reaches; 0 where a class does not."""
    recall = max((curve.recall for curve in curves), key=len)
    padded = [curve.precision + [0.0] * (len(recall) - len(curve.precision)) for curve in curves]
    return Series(name="mean of all", x=recall, y=np.mean(padded, axis=0).tolist(), tone="ink")


def _worst_first(table: list[Row], key: str) -> list[Row]:
    """Few classes in their own order; many from the worst to the best, those without a value last."""
    if len(table) <= _MOST_ROWS:
        return table
    return sorted(table, key=lambda row: value if (value := number(row.get(key))) is not None else 2.0)


def _line(row: Row, keys: tuple[str, ...]) -> Line:
    """Values of one class; a key that ends with % is shown in percent."""
    cells = []
    for key in keys:
        value = number(row.get(key.removesuffix("%")))
        if value is None:
            text = _DASH
        elif key.endswith("%"):
            text = share(value)
        else:
            text = f"{value:,.0f}" if key in ("objects", "found", "false_alarms", "predicted") else f"{value:.3f}"
        cells.append(cell(text))
    return Line(name=str(row["name"]), cells=cells)


def _mean_box(width: float, height: float) -> str:
    """A box on a square of 44 units, sides in parts of it."""
    return (
        f'<svg class="mean-box" viewBox="-1 -1 46 46" aria-hidden="true"><rect x="0" y="{44 - 44 * height:.1f}" '
        f'width="{44 * width:.1f}" height="{44 * height:.1f}"/></svg>'
    )
