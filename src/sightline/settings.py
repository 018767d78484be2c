"""`KEY=VALUE` as users write it, for every command that takes --set. Needs no torch. Next: config.py."""

from __future__ import annotations

import yaml

from sightline.errors import UserError


def pair(text: str, *, option: str, example: str) -> tuple[str, str]:
    """The key and the value's text.

    Raises:
        UserError: there is no `=`, or nothing before it.
    """
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise UserError(f"{option} {text}: expected KEY=VALUE, for example {option} {example}.")
    return key.strip(), value.strip()


def scalar(text: str) -> object:
    """A YAML value; `1e-3` too, which YAML 1.1 reads as text."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text  # its field will judge it
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value
