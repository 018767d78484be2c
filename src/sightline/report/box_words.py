"""What an evaluation of boxes says in sentences.

Next: sections.py
"""

from __future__ import annotations

from sightline.report.box_facts import SIZES, class_rows, size_limits, thresholds
from sightline.report.run_folder import RunFolder
from sightline.report.values import number, section
from sightline.report.words import Metric, counted, figure, share

_MOST_NAMED = 6


def said_of_boxes(run: RunFolder, metric: Metric, value: float) -> str:
    """The main number of many boxes in words; begins within a sentence."""
    totals = _totals(run)
    told = f"{metric.title} is {metric.show(value)}"
    if totals is None:
        return f"{told}."
    objects, right, kept = totals
    there = counted(objects, "labelled object")
    if not objects:
        return f"there is nothing to find. {told}."
    if not kept:
        return f"no box is kept at the operating point, so none of {there} is found. {told}."
    return (
        f"{right:,} of {there} are found ({share(right / objects)}), and {right:,} of the {kept:,} boxes that it draws "
        f"are right ({share(right / kept)}). A box is right if its class is and it shares half of the joint area with "
        f"the object (IoU 0.5). {told}: it also weighs how "
        "exactly boxes are placed, at every score."
    )


def said_of_one_box(run: RunFolder, metric: Metric, value: float) -> str:
    """The main number of one box a picture in words; begins within a sentence."""
    measured = section(run.evaluation, "metrics")
    accuracy, covered = (number(section(measured, key).get("value")) for key in ("accuracy", "mean_iou"))
    if accuracy is None or covered is None:
        return f"{metric.title} is {metric.show(value)}."
    return (
        f"the class is right in {share(accuracy)}, and the box covers its object with an IoU of {figure(covered)} on "
        "average (shared area over joint area, 1 is perfect). The score is the mean of the two."
    )


def operating_point(run: RunFolder) -> str:
    """Which boxes are kept, who chose that, and what follows from it; "" where it is not known."""
    chosen = thresholds(run)
    if not chosen:
        return ""
    by_score = [f"{name} {value:.2f}" for name, value in chosen.items()]
    if len(by_score) > _MOST_NAMED:
        low, high = min(chosen.values()), max(chosen.values())
        which = f"{low:.2f} to {high:.2f}, each class its own"
    else:
        which = ", ".join(by_score)
    source = {
        "the run": "They had the highest F1 on the validation part at the end of the training, and go with the run.",
        "the data scored": "They have the highest F1 on these very pictures, which flatters precision, recall and F1 "
        "a little; AP needs no threshold.",
    }.get(str(run.evaluation.get("thresholds_from")), "")
    text = (
        f"Operating point: a box is kept when its score reaches the threshold of its class ({which}). {source}"
    ).rstrip()
    totals = _totals(run)
    if totals is not None:
        objects, right, kept = totals
        text += (
            f" There {right:,} of {counted(objects, 'object')} are found, {objects - right:,} are not, and "
            f"{kept - right:,} of {kept:,} kept {'box' if kept == 1 else 'boxes'} are wrong."
        )
    return text


def sizes_in_words(run: RunFolder) -> str:
    """What small, medium and large mean here; "" where it is not known."""
    limits = size_limits(run)
    if limits is None:
        return ""
    small, medium, large = SIZES
    low, high = (f"{side:g}" for side in limits)
    return (
        f"{small.capitalize()} is an area below {low} x {low} px of the original file, {large} from {high} x {high} "
        f"px on, {medium} between."
    )


def _totals(run: RunFolder) -> tuple[int, int, int] | None:
    """Objects, found ones and kept boxes over all classes; None where the table of classes does not tell."""
    sums = [0, 0, 0]
    table = class_rows(run, "per_class")
    for row in table:
        counts = [number(row.get(key)) for key in ("objects", "found", "false_alarms")]
        if counts[0] is None or counts[1] is None or counts[2] is None:
            return None
        sums[0] += int(counts[0])
        sums[1] += int(counts[1])
        sums[2] += int(counts[1] + counts[2])
    return (sums[0], sums[1], sums[2]) if table else None
