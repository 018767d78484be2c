"""What the pages of many runs have in common.

Next: folds_page.py
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from sightline.report.frame import frame, with_links

_SHEETS = (("sightline.report", "boxes.css"), ("sightline.report", "track.css"), ("sightline.compare", "journey.css"))


def page(
    title: str, *, kind: str, origin: str, head: str, sections: Sequence[tuple[str, str, str]], notes: Sequence[str],
    scripts: Sequence[str] = ("report.js",),
) -> str:  # fmt: skip
    """The whole page.

    Args:
        title: plain.
        kind: what made it, for the browser's title.
        origin: a line above the title, plain.
        head: HTML below the title.
        sections: anchor, title and HTML of each; one without HTML is left out.
        notes: plain lines for the foot.
        scripts: of the report, that the sections need.
    """
    links, body = with_links(sections)
    return frame(
        title=title,
        kind=kind,
        header=f'<p class="origin">{escape(origin)}</p><h1>{escape(title)}</h1>{head}{links}',
        main=body,
        sheets=_SHEETS,
        scripts=scripts,
        notes=notes,
    )
