"""Whether the training's pictures were unlike the plain ones, and which change of the input costs most.

A network that does clearly better with its own augmentation switched on has come to need it: it was hardly ever
shown a picture as it will be used. Noise of one constant strength does this, since every training picture carries
the same grain; noise whose strength is drawn anew leaves nearly clean pictures among them.

Two thresholds, beside Holm's: the error must change by GAIN to be worth a word, and by LOSS for a mild change to be
called fragile. Needs no torch.
In: rows of effects. Out: findings.
Next: memory.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sightline.audit.differences import Effect
from sightline.audit.findings import Finding, in_words, plain_numbers
from sightline.audit.shifts import IN_USE
from sightline.report.words import Metric

GAIN = 0.1
LOSS = 0.25
ALL = "all"
# An augmentation and the shifts that are the same change.
_ALIKE = {
    "noise": ("noise-constant", "noise-random"),
    "brightness": ("darker", "brighter"),
    "contrast": ("darker", "brighter"),
    "scale": ("smaller", "larger"),
    "blur": ("blur",),
    "shift": ("shift",),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One condition of one part, as far as it can be judged.

    Attributes:
        key: of the condition.
        axis: "augment", "shift", "crossed" or "strangers".
        what: the augmentation or the kind of shift.
        level: "on", "doubled", "mild" or "strong".
        words: what is done.
        part: "train", "val" or "data".
        metric: its effect on the metric; None where it has no value.
        loss: its effect on the loss.
    """

    key: str
    axis: str
    what: str
    level: str
    words: str
    part: str
    metric: Effect | None
    loss: Effect | None

    @property
    def harm(self) -> float:
        """By which part the metric's error grew; the loss's where the metric has no value."""
        told = self.metric or self.loss
        return 0.0 if told is None else told.harm

    @property
    def is_harmful(self) -> bool:
        """Whether metric or loss got worse for sure."""
        return any(effect is not None and effect.verdict == "worse" for effect in (self.metric, self.loss))


@dataclass(frozen=True, kw_only=True)
class Told:
    """How to speak of the two measures."""

    metric: Metric
    loss: Metric

    def of(self, row: Row) -> str:
        """Both effects of a row in words."""
        pairs = ((row.metric, self.metric), (row.loss, self.loss))
        return "; ".join(in_words(effect, metric) for effect, metric in pairs if effect is not None)


def find_skew(rows: Sequence[Row], *, told: Told, setting: Callable[[str], str]) -> list[Finding]:
    """What the rows of one part say of the pictures of training and use.

    Args:
        rows: of one part.
        told: metric and loss in words.
        setting: from an augmentation to its settings in words.
    """
    needed = [row for row in rows if row.axis == "augment" and row.level == "on" and is_gain(row)]
    single = [row for row in needed if row.what != ALL]
    found = [_needs(row, told=told, setting=setting) for row in single or needed]
    explained = {kind for row in single for kind in _ALIKE.get(row.what, ())}
    gains: dict[str, Row] = {}
    for row in rows:
        if row.axis == "shift" and row.what not in explained and is_gain(row):
            best = gains.get(row.what)
            gains[row.what] = row if best is None or _gain(row) > _gain(best) else best
    found += [_better_when_changed(row, told=told) for row in gains.values()]
    return [*found, *_fragile(rows, told=told), *_most_harmful(rows, told=told)]


def is_gain(row: Row) -> bool:
    """Whether metric or loss is better for sure and by GAIN of its error, and neither is worse."""
    known = [effect for effect in (row.metric, row.loss) if effect is not None]
    better = any(effect.verdict == "better" and effect.harm <= -GAIN for effect in known)
    return better and not any(effect.verdict == "worse" for effect in known)


def _gain(row: Row) -> float:
    return max(-effect.harm for effect in (row.metric, row.loss) if effect is not None)


def _numbers(row: Row) -> dict[str, object]:
    return {
        "condition": row.key,
        "metric": None if row.metric is None else plain_numbers(row.metric),
        "loss": None if row.loss is None else plain_numbers(row.loss),
    }


def _needs(row: Row, *, told: Told, setting: Callable[[str], str]) -> Finding:
    settings = setting(row.what)
    name = "augmentation" if row.what == ALL else f"augmentation '{row.what}'"
    given = f" (augment: {settings})" if settings else ""
    if row.what == "noise" and "noise_draw=constant" in settings:
        text = (
            f"The network needs the noise of its training{given}: every training picture carried noise of one constant "
            f"strength, and without it the network does worse. With that noise: {told.of(row)}."
        )
        todo = "Train with augment.noise_draw=each-image, which draws the strength anew, or with less noise."
    else:
        text = (
            f"The network needs the {name} of its training{given}: pictures as they are used were hardly among those "
            f"it saw. With it: {told.of(row)}."
        )
        todo = "Draw this augmentation so that unchanged pictures occur in training, or weaken it."
    return Finding(
        id="needs-augmentation", severity="error", part=row.part, text=text, todo=todo, numbers=_numbers(row)
    )


def _better_when_changed(row: Row, *, told: Told) -> Finding:
    cause, _ = IN_USE[row.what]
    return Finding(
        id="train-serve-skew",
        severity="warning",
        part=row.part,
        text=f"The network does better on changed pictures than on plain ones. With {row.words}: {told.of(row)}.",
        todo=f"The training pictures seem to have had more of this ({cause}) than these. Train on pictures as they are "
        "used.",
        numbers=_numbers(row),
    )


def _fragile(rows: Sequence[Row], *, told: Told) -> list[Finding]:
    found = []
    for row in rows:
        if row.axis == "shift" and row.level == "mild" and row.is_harmful and row.harm >= LOSS:
            cause, remedy = IN_USE[row.what]
            found.append(
                Finding(
                    id="fragile",
                    severity="warning",
                    part=row.part,
                    text=f"A mild change costs {row.harm:.0%} more error. With {row.words}: {told.of(row)}.",
                    todo=f"Where pictures in use have it ({cause}), {remedy}.",
                    numbers=_numbers(row),
                )
            )
    return sorted(found, key=lambda finding: -_harm_of(finding))


def _harm_of(finding: Finding) -> float:
    known = finding.numbers["metric"] or finding.numbers["loss"]
    return float(known["harm"])


def _most_harmful(rows: Sequence[Row], *, told: Told) -> list[Finding]:
    worst = most_harmful(rows)
    if worst is None:
        return []
    cause, remedy = IN_USE[worst.what]
    moved = (row for row in rows if row.axis == "shift" and row.loss is not None and row.loss.verdict == "worse")
    by_loss = max(moved, key=_loss_harm, default=worst)
    also = "" if by_loss.key == worst.key else f" The loss is moved most by {by_loss.words}."
    return [
        Finding(
            id="most-harmful-shift",
            severity="note",
            part=worst.part,
            text=f"Of all changes, {worst.words} costs most: {told.of(worst)}.{also}",
            todo=f"It stands for {cause}. Where pictures in use are like this, {remedy}.",
            numbers=_numbers(worst),
        )
    ]


def _loss_harm(row: Row) -> float:
    return row.loss.harm if row.loss is not None else 0.0


def most_harmful(rows: Sequence[Row]) -> Row | None:
    """The shift that costs most for sure; None where none does."""
    return max((row for row in rows if row.axis == "shift" and row.is_harmful), key=lambda row: row.harm, default=None)
