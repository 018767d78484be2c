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
    from sightline.cli.artefact_card import tell_exported
    from sightline.export.tracker import export_tracker

    with console.err.status("loading") as status:
        done = export_tracker(
            run, out, data=data, engine=engine, int8=int8, frames=frames, threads=threads, on_step=status.update
        )
    return tell_exported(done.card, refused=done.refused, run=run, out=out, json=json)
