"""The errors that a user can cause, each with a message that says what to do.

Every message has three parts: what was found, what was expected, what to do.
The command line prints it as one paragraph and exits with 2; no traceback.
Next: records.py
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

MOST_LISTED = 60  # names in a message; of a longer list only the nearest are told
NEAREST = 12


class UserError(ValueError):
    """A mistake in what the user gave: data, names, paths, settings."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Workers hand it to the command as its message and fields, whatever arguments its class is made of."""
        return _restored, (type(self), self.args, vars(self))


def _restored(kind: type[UserError], told: tuple[Any, ...], fields: dict[str, Any]) -> UserError:
    error = kind.__new__(kind, *told)
    vars(error).update(fields)
    return error


class PieceMismatch(UserError):
    """Two pieces of a model do not fit together."""

    def __init__(self, *, giver: str, gives: str, taker: str, needs: str, fitting: Iterable[str]) -> None:
        """Name both pieces, what one gives, what the other needs, and what would fit."""
        names = ", ".join(sorted(fitting)) or "none"
        super().__init__(f"{giver} gives {gives}, but {taker} needs {needs}. Pieces that fit {taker}: {names}.")


class MissingExtra(UserError):
    """An optional dependency is not installed."""

    def __init__(self, *, feature: str, extra: str) -> None:
        """Name the feature and the extra that brings what it needs."""
        super().__init__(f"{feature} needs the extra '{extra}': pip install 'sightline[{extra}]'.")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory could not be had: Python and NumPy have an error for it, torch one on a GPU and words on a CPU."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )


def unknown_name(what: str, name: str, legal: Iterable[str]) -> UserError:
    """An error for a name that is not in a closed set, with the nearest legal one.

    Args:
        what: the kind of thing, as the user calls it ("recipe", "codec").
        name: what the user wrote.
        legal: every name that would have been accepted.
    """
    names = sorted(legal)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    if len(names) > MOST_LISTED:
        names = sorted(get_close_matches(name, names, n=NEAREST, cutoff=0.0))
        return UserError(f"There is no {what} '{name}'.{hint} The nearest of those known: {', '.join(names)}.")
    return UserError(f"There is no {what} '{name}'.{hint} Known: {', '.join(names) or 'none'}.")
