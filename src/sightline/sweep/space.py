"""What is searched, as users write it: `train.lr=1e-5..1e-2:log`, `train.batch=8,16,32`, `neck=fpn,bifpn`.

    KEY=LOW..HIGH          a range; of whole numbers where the key takes nothing else
    KEY=LOW..HIGH:log      even in the logarithm
    KEY=LOW..HIGH:STEP     LOW, LOW + STEP, ..., HIGH
    KEY=A,B,C              one of these; [32, 32],[64, 64] for lists
    SLOT=A,B               one of these pieces, as --use
    SLOT+SLOT=A+B,C+D      pieces that only go together
    KEY@PIECE=VALUES       only where PIECE was chosen; a key that a chosen piece does not have is left out anyway

A YAML file holds the same below `space:`. In: text. Out: `Dimension`s, and all mistakes at once. No torch.
Next: fit.py
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sightline.errors import UserError, unknown_name
from sightline.settings import load_yaml

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

Value = str | int | float
_RANGE_KEYS = {"low", "high", "log", "step"}
_COMMAS = re.compile(r",(?![^\[\{]*[\]\}])")  # not those inside a list
_NEAR = 1e-9


@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers from `low` to `high`, both in it."""

    low: float
    high: float
    is_log: bool = False
    step: float | None = None
    is_int: bool = False

    def at(self, share: float) -> Value:
        """The value at a share of the way from low (0) to high (1)."""
        if self.is_log:
            value = math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + share * (self.high - self.low)
        if self.step is not None:
            value = self.low + round((value - self.low) / self.step) * self.step
        value = min(max(value, self.low), self.high)
        return round(value) if self.is_int else float(value)

    def probes(self) -> list[Value]:
        """Values that show whether a range is legal: its ends."""
        return [self.at(0.0), self.at(1.0)]

    def distribution(self) -> BaseDistribution:
        """As Optuna has it."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.is_int:
            return IntDistribution(int(self.low), int(self.high), log=self.is_log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.is_log, step=self.step)

    def holds(self, value: object) -> bool:
        """Whether a value can be drawn."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        if self.is_int and value != int(value):
            return False
        steps = 0.0 if self.step is None else (value - self.low) / self.step
        return abs(steps - round(steps)) < _NEAR

    def __str__(self) -> str:
        """As it is written."""
        ends = f"{_plain(self.low, self.is_int)}..{_plain(self.high, self.is_int)}"
        return ends + (":log" if self.is_log else "") + (f":{_plain(self.step, self.is_int)}" if self.step else "")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of several values, as text; `override` reads it as --set would."""

    options: tuple[str, ...]

    def at(self, share: float) -> Value:
        """The option at a share of the way through them."""
        return self.options[min(int(share * len(self.options)), len(self.options) - 1)]

    def probes(self) -> list[Value]:
        """All."""
        return list(self.options)

    def distribution(self) -> BaseDistribution:
        """As Optuna has it."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.options)

    def holds(self, value: object) -> bool:
        """Whether a value can be drawn."""
        return value in self.options

    def __str__(self) -> str:
        """As it is written."""
        return ",".join(self.options)


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One thing that is searched.

    Attributes:
        name: as written, before the `=`; trials go by it.
        values: what can be drawn.
    """

    name: str
    values: Range | Choice

    @property
    def key(self) -> str:
        """The setting, without the piece it is for."""
        return self.name.partition("@")[0]

    @property
    def piece(self) -> str | None:
        """The piece that must have been chosen."""
        return self.name.partition("@")[2] or None

    @property
    def is_slot(self) -> bool:
        """Whether pieces are chosen."""
        return "." not in self.key

    @property
    def slots(self) -> tuple[str, ...]:
        """The slots whose pieces are chosen; none for a setting."""
        return tuple(self.key.split("+")) if self.is_slot else ()

    def pieces(self, value: object) -> dict[str, str]:
        """The piece of each slot that a drawn value stands for."""
        return dict(zip(self.slots, str(value).split("+"), strict=True))

    def suggest(self, trial: Trial) -> Value:
        """Draw a value, or what the trial has drawn before."""
        if isinstance(self.values, Choice):
            return trial.suggest_categorical(self.name, self.values.options)
        low, high, step = self.values.low, self.values.high, self.values.step
        if self.values.is_int:
            return trial.suggest_int(self.name, int(low), int(high), step=int(step or 1), log=self.values.is_log)
        return trial.suggest_float(self.name, low, high, step=step, log=self.values.is_log)

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.name}={self.values}"


def read_space(texts: Sequence[str]) -> tuple[list[Dimension], list[str]]:
    """The dimensions, and what is wrong with the text; whether keys and values are legal is asked in fit.py.

    Args:
        texts: `KEY=VALUES`, or the path of a YAML file with `space:`.

    Raises:
        UserError: a file that cannot be read as such.
    """
    found: list[Dimension] = []
    mistakes: list[str] = []
    for name, values in _entries(texts, mistakes):
        try:
            found.append(Dimension(name=name, values=_values(name, values)))
        except UserError as error:
            mistakes.append(str(error))
    names = [dimension.name for dimension in found]
    mistakes += [f"{name} is searched twice; name it once." for name in dict.fromkeys(names) if names.count(name) > 1]
    return found, mistakes


def as_text(value: Value) -> str:
    """A drawn value as --set takes it, to the last bit."""
    return value if isinstance(value, str) else repr(value)


def _entries(texts: Sequence[str], mistakes: list[str]) -> list[tuple[str, object]]:
    entries: list[tuple[str, object]] = []
    for text in texts:
        if "=" not in text and text.endswith((".yaml", ".yml")):
            entries += _file(Path(text)).items()
            continue
        name, sign, values = text.partition("=")
        if not sign or not name.strip() or not values.strip():
            mistakes.append(f"--try {text}: expected KEY=VALUES, for example --try train.lr=1e-5..1e-2:log.")
            continue
        entries.append((name.strip(), values.strip()))
    return entries


def _file(path: Path) -> Mapping[str, object]:
    try:
        held = load_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"There is no {path}. Give KEY=VALUES or a YAML file with `space:`.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read as YAML ({error}). Give a file with `space:` in it.") from error
    space = held.get("space") if isinstance(held, dict) else None
    if not isinstance(space, dict) or not space:
        raise UserError(f"{path} holds no space: expected `space:` with lines KEY: VALUES below it.")
    return {str(name): values for name, values in space.items()}


def _values(name: str, values: object) -> Range | Choice:
    if isinstance(values, dict):
        return _mapped(name, values)
    if isinstance(values, list):
        return _choice(name, [yaml_text(value) for value in values])
    text = str(values)
    if ".." in text and not text.startswith("["):
        return _range(name, text)
    return _choice(name, [part.strip() for part in _COMMAS.split(text)])


def yaml_text(value: object) -> str:
    """A YAML value in one line of text that reads back as it."""
    if isinstance(value, str):
        return value
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()


def _choice(name: str, options: Sequence[str]) -> Choice:
    if "" in options:
        raise UserError(f"{name}: a value is missing between two commas.")
    twice = next((option for option in options if list(options).count(option) > 1), None)
    if twice is not None:
        raise UserError(f"{name}: {twice} stands there twice.")
    if len(options) < 2:
        raise UserError(f"{name}={''.join(options)} leaves nothing to choose. Fix a value by --set {name}=VALUE.")
    return Choice(options=tuple(options))


def _mapped(name: str, values: Mapping[Any, Any]) -> Range:
    unknown = next((str(key) for key in values if key not in _RANGE_KEYS), None)
    if unknown is not None:
        raise unknown_name(f"key of a range ({name})", unknown, _RANGE_KEYS)
    if "low" not in values or "high" not in values:
        raise UserError(f"{name}: a range needs low and high.")
    step = values.get("step")
    rest = [":log"] if values.get("log") is True else []
    return _range(name, "".join([f"{values['low']}..{values['high']}", *rest, *([f":{step}"] if step else [])]))


def _range(name: str, text: str) -> Range:
    example = f"Expected LOW..HIGH, LOW..HIGH:log or LOW..HIGH:STEP, for example {name}=0.1..0.5:0.1."
    ends, *options = text.split(":")
    low_text, _, high_text = ends.partition("..")
    low, high = _number(low_text), _number(high_text)
    steps = [option for option in options if option.strip() != "log"]
    step = _number(steps[0]) if steps else None
    if low is None or high is None or len(steps) > 1 or (steps and step is None):
        raise UserError(f"{name}={text} is no range. {example}")
    is_log = len(steps) < len(options)
    if low >= high:
        raise UserError(f"{name}={text}: the low end is not below the high end.")
    if is_log and low <= 0:
        raise UserError(f"{name}={text}: a logarithmic range begins above 0.")
    if is_log and step is not None:
        raise UserError(f"{name}={text}: a range is logarithmic or has steps, not both.")
    if step is not None and (step <= 0 or step > high - low):
        raise UserError(f"{name}={text}: the step is above 0 and at most {high - low:g}.")
    if step is not None and abs((high - low) / step - round((high - low) / step)) > _NEAR:
        raise UserError(f"{name}={text}: steps of {step:g} from {low:g} on do not end at {high:g}.")
    is_int = all(_is_whole(part) for part in (low_text, high_text, *steps))
    return Range(low=low, high=high, is_log=is_log, step=step, is_int=is_int)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"\s*[+-]?\d+\s*", text) is not None


def _plain(value: float | None, is_int: bool) -> str:
    return str(int(value)) if is_int and value is not None else repr(value)
