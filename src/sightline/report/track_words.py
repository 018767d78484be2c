"""What the numbers of a track mean, and what an evaluation of one says in sentences.

Next: sections.py
"""

from __future__ import annotations

from typing import Any

from sightline.report.values import number, section

OUTCOME_WORDS = {
    "TP": ("Right", "visible, found within the distance"),
    "FP1": ("Wrong place", "visible, found farther off"),
    "FN": ("Missed", "visible, not found"),
    "FP2": ("False alarm", "not visible, but found"),
    "TN": ("Rightly silent", "not visible, not found"),
}
RIGHT = ("TP", "TN")
# Meanings that differ from those of boxes and points.
TRACK_MEANINGS = {
    "f1": "Precision and recall of frames in one number, low if either is: 2 TP / (2 TP + FP1 + FP2 + FN).",
    "precision": "Of the frames where a point is found, the share where it is right.",
    "recall": "TP / (TP + FN): points found in a wrong place are left out, as TrackNet does.",
    "accuracy": "Share of all frames that are right: found within the distance, or rightly not found.",
    "mean_error_px": "Mean distance on visible frames that were given a place, found or not.",
    "median_error_px": "Half of these frames are nearer than this.",
}


def said_of_track(evaluation: dict[str, Any]) -> str:
    """The main number of a track in words; begins within a sentence."""
    counts = {name: number(value) or 0.0 for name, value in section(evaluation, "outcomes").items()}
    distance = number(evaluation.get("threshold_px"))
    if not counts or distance is None:
        return "the point was followed."
    visible = sum(counts.get(name, 0.0) for name in ("TP", "FP1", "FN"))
    hidden = sum(counts.get(name, 0.0) for name in ("FP2", "TN"))
    told = f"the point is found within {distance:g} px in {counts.get('TP', 0):,.0f} of the {visible:,.0f} that show it"
    if not visible:
        told = "the point is in none"
    if hidden:
        told += (
            f"; in {counts.get('FP2', 0):,.0f} of the {hidden:,.0f} that do not show it something else is taken for it"
        )
    else:
        told += ", and it is visible in all of them: nothing is said about frames without it"
    longest = number(section(evaluation, "gaps").get("longest"))
    return told + (f". The longest it is lost is {longest:,.0f} frames." if longest else ".")
