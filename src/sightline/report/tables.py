"""Tables of numbers, and lists of bars, as HTML.

Next: box_facts.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of a table: its name as text, and its cells as HTML, each a whole `td`."""

    name: str
    cells: Sequence[str]


def cell(text: str, *, kind: str = "") -> str:
    """A table cell with text."""
    return f'<td class="{kind}">{escape(text)}</td>' if kind else f"<td>{escape(text)}</td>"


def number_table(head: Sequence[str], lines: Sequence[Line], *, kind: str = "", most: int = 0) -> str:
    """A table with names on the left and numbers to the right of them.

    It scrolls in itself where the page is too narrow. Of more than `most` lines (0 for no limit) the rest is folded.
    """
    top = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)

    def table(some: Sequence[Line]) -> str:
        body = "".join(f'<tr><th scope="row">{escape(line.name)}</th>{"".join(line.cells)}</tr>' for line in some)
        css = f"numbers {kind}".strip()
        # A region that scrolls must be reachable by keyboard.
        return (
            f'<div class="scroll" tabindex="0"><table class="{css}"><thead><tr>{top}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
        )

    if not most or len(lines) <= most:
        return table(lines)
    left = len(lines) - most
    return f"{table(lines[:most])}<details><summary>The other {left:,}</summary>{table(lines[most:])}</details>"


def bar_list(rows: Sequence[tuple[str, float, str]], *, kind: str = "") -> str:
    """Bars with a name and a text each; the longest is that of the largest value."""
    top = max((value for _, value, _ in rows), default=0.0) or 1.0
    lines = "".join(
        f'<li><span class="name">{escape(name)}</span><span class="bar"><i style="width:{100 * value / top:.1f}%">'
        f'</i></span><span class="value">{escape(text)}</span></li>'
        for name, value, text in rows
    )
    return f'<div class="{f"bars {kind}".strip()}"><ol>{lines}</ol></div>'
