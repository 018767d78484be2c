"""Kinds of options that several commands have. Next: choose.py."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

Many = Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)]
Flag = Annotated[bool, Parameter(negative="")]
