"""What an exported file says of itself, as tables: shared by `export` and `inspect`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from sightline.cli import console
from sightline.report.words import counted
from sightline.runtime.card import Card, Int8Card, ParityCard
from sightline.runtime.tracker_file import StageCard, TrackerCard, card_in

NAMES = 8  # of points or classes that are told


def tell_artefact(path: Path, *, json: bool) -> None:
    """Show the card of a file that `sightline export` wrote.

    Raises:
        UserError: it is no such file, damaged, or of another version.
    """
    card = card_in(path)
    if json:
        console.print_json(card.model_dump(mode="json"))
        return
    title = f"{path.name}: {path.stat().st_size / 2**20:.1f} MB, {card.made}, sightline {card.sightline}"
    console.out.print(_table(card, title=title))


def tell_exported(card: Card | TrackerCard, *, refused: str | None, run: Path, out: Path, json: bool) -> int:
    """Show the card of what was exported, and why it was not written, if it was not; the exit code."""
    if json:
        console.print_json({"refused": refused, **card.model_dump(mode="json")})
    else:
        console.out.print(_table(card, title=f"{run} -> {out}"))
    if refused is not None:
        console.err.print(
            f"sightline: not exported: {refused}. {out} was not written.",
            style="red", highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
        return 1
    return 0


def _table(card: Card | TrackerCard, *, title: str) -> Table:
    return tracker_table(card, title=title) if isinstance(card, TrackerCard) else card_table(card, title=title)


def card_table(card: Card, *, title: str) -> Table:
    """What a card says, two columns."""
    table = Table(title=title, title_justify="left", show_header=False)
    height, width = card.data.input_hw
    table.add_row("model", f"{card.recipe}, {card.task}, input {height} x {width}, {card.engine} {card.precision}")
    if card.task == "points":
        table.add_row("points", _listed(card.skeleton.names))
    else:
        least = ", ".join(f"{name} from {score:.2f}" for name, score in list(card.thresholds.items())[:NAMES])
        table.add_row("classes", _listed(card.classes) + (f"; found: {least}" if least else ""))
    if card.int8 is not None:
        table.add_row("int8", _int8(card.int8))
    if card.parity is not None:
        _add_parity(table, card.parity)
    if (latency := card.latency) is not None:
        pictures = "one picture" if latency.batch == 1 else f"{latency.batch} pictures"
        table.add_row(
            "time", f"p50 {latency.p50_ms:.2f} ms, p95 {latency.p95_ms:.2f} ms, {counted(latency.threads, 'thread')}"
        )
        if latency.fp32_p50_ms is not None:
            gain = latency.fp32_p50_ms / latency.p50_ms
            table.add_row("in single precision", f"p50 {latency.fp32_p50_ms:.2f} ms: int8 is {gain:.2f} times as fast")
        run = f"p50 {latency.run_p50_ms:.2f} ms, p95 {latency.run_p95_ms:.2f} ms"
        table.add_row("the run's time", f"{run}: the file is {latency.times_faster:.2f} times as fast")
        table.add_row("measured on", f"{latency.cpu}, {pictures} at a time, in turn, {latency.repeats} times")
    return table


def _add_parity(table: Table, parity: ParityCard) -> None:
    if parity.largest_px is not None:
        told = f"points at most {parity.largest_px:.4f} px apart (mean {parity.mean_px:.4f})"
    else:
        told = f"{parity.boxes:,} boxes, least IoU {parity.least_iou:.5f}"
        told += f", {parity.unmatched} without counterpart, {parity.apart} with another box of the same object"
    seen = f"{parity.pictures} pictures of {parity.data}"
    table.add_row("against the run", f"{told}; scores at most {parity.largest_score:.5f}; {seen}")
    if parity.metric is not None:
        found = "none" if parity.metric_artefact is None else f"{parity.metric_artefact:.4f}"
        table.add_row(parity.metric, f"{found} (run {parity.metric_run:.4f})")


def tracker_table(card: TrackerCard, *, title: str) -> Table:
    """What a card says of each stage."""
    told = [
        f"{card.engine} {card.precision}; compared on {card.frames} frames of {card.data}; times of one call, in turn, "
        f"{counted(card.threads, 'thread')} each, {card.cpu}"
    ]
    if (score := card.score) is not None:
        told.append(
            f"{score.metric} at {score.threshold_px:g} px on {score.frames} labelled frames: {score.artefact:.4f} "
            f"(run {score.run:.4f})"
        )
    table = Table(title=title, title_justify="left", caption="\n".join(told), caption_justify="left")
    table.add_column("stage")
    cells = {name: _stage(stage) for name, stage in card.stages.items()}
    for name in cells:
        table.add_column(name, justify="right")
    for row in dict.fromkeys(row for column in cells.values() for row in column):
        table.add_row(row, *(column.get(row, "") for column in cells.values()))
    return table


def _stage(stage: StageCard) -> dict[str, str]:
    """What is told of a stage, line by line."""
    height, width = stage.input_hw
    told = {"recipe": stage.recipe, "input": f"{height} x {width}"}
    if stage.int8 is not None:
        told["int8"] = _int8(stage.int8)
    if (parity := stage.parity) is None:
        return told
    told |= {
        "apart from the run, px": f"{parity.largest_px:.5f}",
        "on average": f"{parity.mean_px:.5f}",
        "probability apart": f"{parity.largest_score:.6f}",
        "windows at a time": "?" if parity.batch is None else str(parity.batch),
        "p50, ms": f"{parity.p50_ms:.2f}",
        "p95, ms": f"{parity.p95_ms:.2f}",
    }
    if parity.fp32_p50_ms is not None:
        told["p50 in single precision, ms"] = f"{parity.fp32_p50_ms:.2f}"
    return told | {"p50 of the run, ms": f"{parity.run_p50_ms:.2f}"}


def _int8(told: Int8Card) -> str:
    kept = f" of {told.convolutions + told.kept}" if told.kept else ""
    return f"{told.convolutions}{kept} convolutions"


def _listed(names: Sequence[str]) -> str:
    rest = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return f"{len(names)}: {', '.join(names[:NAMES])}{rest}"
