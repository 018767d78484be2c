"""The page's sections about what goes wrong with boxes: what is taken for what, and kinds of mistakes by size.

Next: anchor_section.py
"""

from __future__ import annotations

from html import escape

import numpy as np

from sightline.report.box_facts import SIZES, Confusion, confusion, error_kinds
from sightline.report.box_words import sizes_in_words
from sightline.report.run_folder import RunFolder
from sightline.report.tables import Line, bar_list, cell, number_table
from sightline.report.words import ERROR_KINDS, share

_MOST_IN_MATRIX = 12  # classes; of more, the pairs that are confused most
_MOST_PAIRS = 12


def confused(run: RunFolder) -> str:
    """What was taken for what: the whole matrix of few classes, the most confused pairs of many."""
    found = confusion(run)
    if found is None:
        return ""
    if found.num_classes <= _MOST_IN_MATRIX:
        text = "Rows are what is there, columns what it was found as; the colour is the share of the row."
        if found.num_classes < len(found.names):
            text += (
                " The last column are objects that nothing found; the last row are boxes where nothing is, in parts of "
                "all boxes of that class."
            )
        return f'{_matrix(found)}<p class="fine">{text}</p>'
    return _pairs(found)


def mistakes(run: RunFolder) -> str:
    """What kinds of mistakes there are, and for objects of which size."""
    counts, by_size = error_kinds(run)
    known = {kind: counts[kind] for kind in ERROR_KINDS if kind in counts}
    if not known:
        return ""
    top = max(max(known.values()), 1)
    has_sizes = any(by_size.values())
    body = ""
    for kind, count in known.items():
        title, meaning = ERROR_KINDS[kind]
        sizes = "".join(cell(f"{by_size[size].get(kind, 0):,}") for size in SIZES) if has_sizes else ""
        body += (
            f'<tr><th scope="row">{escape(title)}<small>{escape(meaning)}</small></th><td class="all">'
            f'<b>{count:,}</b><span class="bar"><i style="width:{100 * count / top:.1f}%"></i></span></td>{sizes}</tr>'
        )
    heads = ("Kind", "All", *(size.capitalize() for size in SIZES)) if has_sizes else ("Kind", "All")
    top_row = "".join(f'<th scope="col">{head}</th>' for head in heads)
    return (
        f'<div class="scroll" tabindex="0"><table class="numbers mistakes"><thead><tr>{top_row}</tr></thead>'
        f'<tbody>{body}</tbody></table></div><p class="fine">Counted at the operating point; every wrong box has one '
        "kind. "
        f"{escape(sizes_in_words(run))} The size is that of the box that was drawn, or of the object that was "
        "missed.</p>"
    )


def _matrix(found: Confusion) -> str:
    """A table of counts; each tinted by its share of the row, false alarms by their share of the column."""
    size, names, counts = found.num_classes, found.names, found.counts
    lines = []
    for row, name in enumerate(names):
        cells = []
        for column, other in enumerate(names):
            if row == column == size:
                cells.append("<td></td>")
                continue
            count = int(counts[row, column])
            total = int(counts[:, column].sum() if row == size else counts[row].sum())
            kind = ("right" if row == column else "wrong") + ("" if count else " nil")
            part = count / total if total else 0.0
            told = f"{count:,} of {total:,} " + (f"found as {other}: nothing is there" if row == size else f"{name}: ")
            told += "" if row == size else ("missed" if column == size else f"found as {other}")
            title = escape(f"{told} ({share(part)})", quote=True)
            cells.append(f'<td class="{kind}" style="--s:{100 * part:.0f}%" title="{title}">{count:,}</td>')
        lines.append(Line(name="nothing there" if row == size else name, cells=cells))
    head = ("there / found as", *names[:size], *["missed"] * (len(names) - size))
    return number_table(head, lines, kind="matrix" if len(names) <= 5 else "matrix narrow")


def _pairs(found: Confusion) -> str:
    """Of many classes: the pairs that are confused most, and what is missed and invented most."""
    size, names, counts = found.num_classes, found.names, found.counts
    totals = counts.sum(axis=1)
    off = counts[:size, :size] * (1 - np.eye(size, dtype=counts.dtype))
    order = np.argsort(-off, axis=None, kind="stable")[:_MOST_PAIRS]
    pairs = [(int(place) // size, int(place) % size) for place in order if off.flat[place]]
    bars = [
        (f"{names[row]} found as {names[column]}", float(off[row, column]),
         f"{off[row, column]:,} of {totals[row]:,}")
        for row, column in pairs
    ]  # fmt: skip
    out = f"<h3>Most confused</h3>{bar_list(bars, kind='wide')}" if bars else "<p>No two classes were confused.</p>"
    if len(names) > size:
        missed, invented = counts[:size, size], counts[size, :size]
        drawn = counts.sum(axis=0)
        for title, values, of in (("Most missed", missed, totals), ("Most false alarms", invented, drawn)):
            worst = [int(place) for place in np.argsort(-values, kind="stable")[:_MOST_PAIRS] if values[place]]
            listed = [(names[k], float(values[k]), f"{values[k]:,} of {of[k]:,}") for k in worst]
            out += f"<h3>{title}</h3>{bar_list(listed, kind='wide')}" if listed else ""
    ends = " Missed: of the labelled objects. False alarms: of the boxes drawn." if len(names) > size else ""
    return f'{out}<p class="fine">At the operating point, of {size} classes.{ends}</p>'
