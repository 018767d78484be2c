"""What metrics.json, the terminal and the report say of a calibration, as plain values.

Next: ../checkpoint.py
"""

from __future__ import annotations

from typing import Any

from sightline.calibration.answers import Answers
from sightline.calibration.coverage import Checked
from sightline.calibration.file import Calibration
from sightline.calibration.fit import checked_on

KEY = "calibrated"  # in metrics.json


def told_at_the_fit(calibration: Calibration) -> dict[str, Any]:
    """For the validation part that it was fitted on: what its halves say of each other."""
    return _told(calibration, checked=calibration.checked, note=_of_the_fit(calibration))


def told_of_answers(
    calibration: Calibration, answers: Answers, *, fingerprint: str, trained_on: int = 0, validated_on: int = 0
) -> dict[str, Any]:
    """For answers on labelled data.

    Args:
        calibration: of the run.
        answers: measured by its measure.
        fingerprint: of the data.
        trained_on: how many of the pictures the run was trained on.
        validated_on: how many of them the calibration was fitted on.
    """
    if fingerprint == calibration.fitted_on.fingerprint:
        return told_at_the_fit(calibration)
    note = ""
    if trained_on or validated_on:
        note = (
            f"{trained_on:,} of the {answers.pictures:,} pictures were trained on and {validated_on:,} validated on: "
            "what is found here looks better than on new ones."
        )
    return _told(calibration, checked=checked_on(calibration, answers), note=note)


def _of_the_fit(calibration: Calibration) -> str:
    pictures = f"{calibration.fitted_on.pictures:,} pictures"
    if calibration.checked is None:
        return f"Fitted here, on these {pictures}, which are too few to check it on their own halves."
    return (
        f"Fitted here, on these {pictures}, so the fit itself would look perfect on them. What is shown is each half "
        "looked at with what the other half gave: a little pessimistic, as half the data were fitted to."
    )


def _told(calibration: Calibration, *, checked: Checked | None, note: str) -> dict[str, Any]:
    measure = calibration.measure
    return {
        "coverage": calibration.coverage,
        "scale": measure.scale_in_words,
        "right": measure.right_in_words,
        "bound": measure.bound_in_words,
        "fitted_on": calibration.fitted_on.model_dump(mode="json"),
        "fits": [
            {
                "name": fit.name,
                "answers": fit.answers,
                "probability": None if fit.curve is None else fit.curve.kind,
                "measured": fit.measured,
                "bins": None if fit.bound is None else len(fit.bound.values),
                "note": fit.note,
            }
            for fit in (calibration.pooled, *calibration.groups)
        ],
        "checked": None if checked is None else checked.model_dump(mode="json"),
        "note": note,
    }


def line_of(told: dict[str, Any]) -> str:
    """One line for the terminal."""
    checked = told["checked"]
    if checked is None or checked["pooled"]["share"] is None:
        return f"calibration: {told['note'] or told['fits'][0]['note'] or 'no answer with a bound'}"
    pooled, found = checked["pooled"], checked["probability"]
    said = (
        f"within the {told['coverage']:.0%} bound: {pooled['share']:.1%} of {pooled['answers']:,} answers "
        f"({pooled['low']:.1%} .. {pooled['high']:.1%}), mean bound {pooled['mean_px']:.3g} px"
    )
    if found is not None:
        said += f"; calibration error of the probability {found['ece']:.3f}"
    return f"{said} ({checked['how']})"
