"""What an audit can find: each check with an id, and each finding with a severity, numbers and a sentence.

Next: skew.py, memory.py, twins.py, certainty.py
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sightline.audit.differences import Effect
from sightline.compare.words import p_text, signed, span
from sightline.records import Severity
from sightline.report.words import Metric

# What is looked for, by id.
CHECKS: dict[str, str] = {
    "needs-augmentation": "the network does better with the training's own augmentation than on plain pictures",
    "train-serve-skew": "the network does better on changed pictures than on plain ones",
    "fragile": "a mild change of the input costs much",
    "most-harmful-shift": "which change of the input costs most",
    "overfitting": "the validation pictures are worse than the training pictures, both plain",
    "ignores-picture": "another picture's pixels do as well",
    "memorised-points": "for some points another picture's pixels do nearly as well",
    "left-right": "left and right points are taken for each other",
    "twins-meet": "left and right points are both put into the middle",
    "miscalibrated": "scores are not the share that is right",
    "class-confusion": "one class is taken for another",
}
ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that the audit found.

    Attributes:
        id: a key of CHECKS.
        severity: "error": the model must not be used like this; "warning": look at it; "note".
        part: "train", "val" or "data".
        text: what was found, with its numbers.
        todo: what to do about it.
        numbers: the same numbers for programs, plain values.
    """

    id: str
    severity: Severity
    part: str
    text: str
    todo: str
    numbers: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the id is known."""
        assert self.id in CHECKS, self.id


def in_words(effect: Effect, metric: Metric) -> str:
    """'Loss 0.412 became 0.231 (-0.181, 95 % interval -0.2 to -0.16, p < 0.001)'."""
    p = p_text(effect.p_corrected)
    return (
        f"{metric.title} {metric.show(effect.plain)} became {metric.show(effect.value)} "
        f"({signed(effect.difference, metric)}, 95 % interval {span(effect.low, effect.high, metric)}, "
        f"p {p if p.startswith('<') else f'= {p}'})"
    )


def plain_numbers(effect: Effect) -> dict[str, Any]:
    """For JSON."""
    return {
        "plain": effect.plain,
        "value": effect.value,
        "difference": effect.difference,
        "low": effect.low,
        "high": effect.high,
        "p": effect.p,
        "p_corrected": effect.p_corrected,
        "verdict": effect.verdict,
        "harm": effect.harm,
    }
