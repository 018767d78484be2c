"""`sightline pieces`: what can be swapped, and what fits what."""

from __future__ import annotations

from rich.table import Table

from sightline.cli import console
from sightline.cli.options import Flag


def pieces(*, json: Flag = False) -> None:
    """List the pieces of each slot, and which heads fit which codecs."""
    from sightline.codecs import CODECS
    from sightline.config import PIECES
    from sightline.heads import HEADS

    rows = {slot: {name: piece.summary for name, piece in table.items()} for slot, table in PIECES.items()}
    emits = {name: [key for key, codec in CODECS.items() if codec.takes is head.emits] for name, head in HEADS.items()}
    if json:
        console.print_json({"pieces": rows, "codecs_of_head": emits})
        return
    table = Table(title="pieces: --use SLOT=NAME", title_justify="left")
    for column in ("slot", "name", "what it does", "fits"):
        table.add_column(column)
    for slot, names in rows.items():
        for name, summary in names.items():
            fits = ", ".join(emits[name]) if slot == "head" else ""
            table.add_row(slot, name, summary, fits)
    console.out.print(table)
