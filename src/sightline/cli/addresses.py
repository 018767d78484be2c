"""Addresses where a command wants a path (`--data https://...`): refused for all paths of all commands.

Without this a command would say that there is no `https:/...`, and one that writes would make such a folder.
Next: options.py
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from cyclopts import CycloptsError
from cyclopts.panel import CycloptsPanel
from rich.console import RenderableType
from rich.text import Text

from sightline.errors import UserError

# `Path` makes one slash of two. A drive of Windows has one letter.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,3}(.*)", re.DOTALL)


def refuse_address(given: str | Path) -> None:
    """Refuse an address; a path, also of a folder that is called like one, is fine.

    Raises:
        UserError: it is an address; says what to do with it.
    """
    text = str(given)
    found = _ADDRESS.fullmatch(text)
    if found is None or Path(text).exists():
        return
    scheme, rest = found.groups()
    if scheme.lower() == "file":
        raise UserError(f"file:///{rest} is an address. Expected a path: give /{rest}.")
    raise UserError(
        f"{scheme}://{rest} is an address, and commands read and write what is on this machine. Download it first, for "
        "example with curl, wget, `aws s3 cp` or `gsutil cp`, and give the path. Shards that `sightline convert --to "
        "webdataset` wrote may stay where they are: see `sightline remote`."
    )


def refuse_addresses(_: object, value: object) -> None:
    """A validator of all arguments: the paths among them are none."""
    values = value if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
    for each in values:
        if isinstance(each, Path):
            refuse_address(each)


def told(error: CycloptsError) -> RenderableType:
    """What is printed of a mistake in the arguments: our own as a paragraph, the parser's in its frame."""
    if isinstance(error.__cause__, UserError):
        return Text(f"sightline: {error.__cause__}", style="red", no_wrap=True, overflow="ignore")
    return CycloptsPanel(error)
