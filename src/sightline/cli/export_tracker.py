"""`sightline export` for a tracker's folder: its stages and settings as one file for `track`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sightline.cli import console

if TYPE_CHECKING:
    from rich.table import Table

    from sightline.runtime.tracker_file import TrackerCard

TRACKER_FILE = "tracker.yaml"  # as in track/config.py, which costs time to import


def export_tracker_file(run: Path, out: Path, *, data: Path | None, frames: int, threads: int, json: bool) -> int:
    """Write the file and tell of it; 1 where it answers otherwise than its runs.

    Args:
        run: the tracker's folder.
        out: the file to write.
        data: frames to compare on.
        frames: how many at most.
        threads: of each network while it is timed.
        json: print the card as JSON.
    """
    from sightline.export.tracker import export_tracker

    with console.err.status("loading") as status:
        done = export_tracker(run, out, data=data, frames=frames, threads=threads, on_step=status.update)
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


def tracker_table(card: TrackerCard, *, title: str) -> Table:
    """What a card says of each stage."""
    from rich.table import Table

    table = Table(
        title=title,
        title_justify="left",
        caption=f"compared on {card.frames} frames of {card.data}; {card.threads} threads each, {card.cpu}",
        caption_justify="left",
    )
    for name in ("stage", "recipe", "input", "apart, px", "mean", "score apart", "p50 ms", "p95 ms", "run p50 ms"):
        table.add_column(name, justify="left" if name in ("stage", "recipe", "input") else "right")
    for name, stage in card.stages.items():
        height, width = stage.input_hw
        row = [name, stage.recipe, f"{height} x {width}"]
        if (parity := stage.parity) is not None:
            row += [f"{parity.largest_px:.5f}", f"{parity.mean_px:.5f}", f"{parity.largest_score:.6f}"]
            row += [f"{value:.2f}" for value in (parity.p50_ms, parity.p95_ms, parity.run_p50_ms)]
        table.add_row(*row)
    return table
