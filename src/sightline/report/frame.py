"""The frame of every page: one HTML file that needs nothing else, and whose content security policy forbids it to load.

Next: page.py
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from importlib.resources import files

import cv2
import numpy as np

_QUALITY = 82
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_WITH_SCRIPTS = f"{_POLICY}; script-src 'unsafe-inline'"

Sheet = tuple[str, str]  # a package, and a file in it
STYLE: Sheet = ("sightline.report", "style.css")


def frame(
    *, title: str, kind: str, header: str, main: str, sheets: Sequence[Sheet] = (), scripts: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> str:  # fmt: skip
    """The whole page.

    Args:
        title: for the browser, plain.
        kind: what made the page, behind the title; perhaps nothing.
        header: HTML of the head of the page.
        main: HTML of its sections.
        sheets: style sheets behind the report's own.
        scripts: of the report, which also get its box for enlarged pictures.
        notes: plain lines for the foot.
    """
    style = "".join(files(package).joinpath(name).read_text(encoding="utf-8") for package, name in (STYLE, *sheets))
    listed = "".join(f"<p>{escape(note)}</p>" for note in notes)
    end = ""
    if scripts:
        script = "".join(files("sightline.report").joinpath(name).read_text(encoding="utf-8") for name in scripts)
        end = f'<dialog><div></div><button type="button">Close</button></dialog><script>{script}</script>'
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_WITH_SCRIPTS if scripts else _POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>{escape(title)} - {f'sightline {kind}'.strip()}</title><style>{style}</style></head><body>"
        f"<header>{header}</header><main>{main}</main>"
        f"<footer>{listed}<p>Made by sightline.</p></footer>{end}</body></html>\n"
    )


def with_links(sections: Sequence[tuple[str, str, str]]) -> tuple[str, str]:
    """Links to sections, for the header, and the sections themselves.

    Args:
        sections: anchor, title and HTML of each; one without HTML is left out.
    """
    there = [(anchor, title, html) for anchor, title, html in sections if html]
    links = "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title, _ in there)
    body = "".join(
        f'<section id="{anchor}"><h2>{title}</h2><div class="content">{html}</div></section>'
        for anchor, title, html in there
    )
    return f'<nav aria-label="Sections">{links}</nav>', body


def scaled(picture: np.ndarray, *, side: int, enlarge: int = cv2.INTER_LINEAR) -> np.ndarray:
    """A picture [H, W, C] uint8 whose longer side is `side` pixels; `enlarge` is OpenCV's way for smaller ones."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA if scale < 1 else enlarge)


def image_tag(picture: np.ndarray, *, alt: str, like: np.ndarray | None = None) -> str:
    """An RGB picture [H, W, 3] uint8 as an <img> of its size, or of that of the picture `like`; `alt` is plain."""
    height, width = (picture if like is None else like).shape[:2]
    return f'<img alt="{escape(alt, quote=True)}" width="{width}" height="{height}" src="{jpeg_uri(picture)}">'


def jpeg_uri(picture: np.ndarray) -> str:
    """An RGB picture [H, W, 3] uint8 as the address that holds it."""
    code = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(code.tobytes()).decode()
