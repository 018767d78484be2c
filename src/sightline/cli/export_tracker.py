"""`sightline export` for a tracker's folder: its stages and settings as one file for `track`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sightline.cli import console

if TYPE_CHECKING:
    from sightline.runtime.card import Engine

TRACKER_FILE = "tracker.yaml"  # as in track/config.py, which costs time to import


def export_tracker_file(
    run: Path,
    out: Path,
    *,
    data: Path | None,
    engine: Engine,
    int8: bool,
    frames: int,
    threads: int,
    json: bool,
) -> int:
    """Write the file and tell of it; 1 where it answers otherwise than its runs.

    Args:
        run: the tracker's folder.
        out: the file to write.
        data: frames to compare on.
        engine: what runs the file.
        int8: quantise.
        frames: how many at most.
        threads: of each network while it is timed.
        json: print the card as JSON.
    """
    from sightline.cli.artefact_card import tracker_table
    from sightline.export.tracker import export_tracker

    with console.err.status("loading") as status:
        done = export_tracker(
            run, out, data=data, engine=engine, int8=int8, frames=frames, threads=threads, on_step=status.update
        )
    if json:
        console.print_json({"refused": done.refused, **done.card.model_dump(mode="json")})
    else:
        console.out.print(tracker_table(done.card, title=f"{run} -> {out}"))
    if done.refused is not None:
        console.err.print(
            f"sightline: not exported: {done.refused}. {out} was not written.",
            style="red", highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
        return 1
    return 0
