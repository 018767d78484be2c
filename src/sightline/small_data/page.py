"""The frame of a page: one HTML file that needs nothing else, as the report's.

Next: folds_page.py
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_SHEETS = (
    ("sightline.report", "style.css"),
    ("sightline.report", "boxes.css"),
    ("sightline.report", "track.css"),
    ("sightline.compare", "journey.css"),
)


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
    there = [(anchor, name, html) for anchor, name, html in sections if html]
    links = "".join(f'<a href="#{anchor}">{name}</a>' for anchor, name, _ in there)
    body = "".join(
        f'<section id="{anchor}"><h2>{name}</h2><div class="content">{html}</div></section>'
        for anchor, name, html in there
    )
    style = "".join(files(package).joinpath(name).read_text(encoding="utf-8") for package, name in _SHEETS)
    script = "".join(files("sightline.report").joinpath(name).read_text(encoding="utf-8") for name in scripts)
    listed = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>{escape(title)} - sightline {kind}</title><style>{style}</style></head><body>"
        f'<header><p class="origin">{escape(origin)}</p><h1>{escape(title)}</h1>{head}'
        f'<nav aria-label="Sections">{links}</nav></header><main>{body}</main>'
        f"<footer>{listed}<p>Made by sightline.</p></footer>"
        '<dialog><div></div><button type="button">Close</button></dialog>'
        f"<script>{script}</script></body></html>\n"
    )
