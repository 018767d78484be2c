"""Settings as users write them: YAML, and `KEY=VALUE` for every command that takes --set. Needs no torch.

Next: config.py
"""

from __future__ import annotations

from typing import Any

import yaml

from sightline.errors import UserError


class _Finite(yaml.SafeLoader):
    """Plain values, none of which holds itself: what walks through them comes to an end."""

    def construct_document(self, node: yaml.Node) -> Any:  # noqa: ANN401 (whatever the text holds)
        return self.construct_object(node, deep=True)  # at once, so that what is under construction is known

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401
        if node in self.recursive_objects:
            problem = "an alias (*name) stands within the very value that it names"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_object(node, deep=deep)


def load_yaml(text: bytes | str) -> Any:  # noqa: ANN401
    """The values in a YAML text.

    Raises:
        yaml.YAMLError: it is no YAML, or nested without an end, or more deeply than settings can be.
    """
    try:
        return yaml.load(text, Loader=_Finite)
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None


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
        value = load_yaml(text)
    except yaml.YAMLError:
        return text  # its field will judge it
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value
