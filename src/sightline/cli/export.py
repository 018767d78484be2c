"""`sightline export`: a run as one file that needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from sightline.cli import console
from sightline.cli.export_tracker import TRACKER_FILE, export_tracker_file
from sightline.cli.options import Flag
from sightline.errors import UserError

if TYPE_CHECKING:
    from rich.table import Table

    from sightline.runtime.card import Card

Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]


def export(
    run: Path,
    /,
    *,
    out_: Annotated[Path, Parameter(name="--out")],
    to: Literal["onnx", "openvino"] = "onnx",
    int8: Flag = False,
    data: Path | None = None,
    frames: Count = 200,
    threads: Count = 2,
    json: Flag = False,
) -> int:
    """Turn a run into one file for `predict` and `evaluate` that takes pixels, gives coordinates and needs no torch.

    The file is compared with the run on real pictures and not written (exit code 1) where it answers otherwise: points
    by more than 0.05 px, boxes below an IoU of 0.99; int8: where the metric is worse by more than 1 %.

    A tracker becomes one file for `track`, compared on consecutive frames: points by more than 0.05 px.

    Args:
        run: a run folder, or a tracker's folder.
        out_: the file to write.
        to: onnx, which ONNX Runtime and others run, or openvino.
        int8: quantise to 8 bits, calibrated on the pictures; needs labelled ones to be judged on.
        data: pictures to compare on: a label file, a folder of labels and pictures, or of pictures alone; the data
            that the run was trained on without it. For a tracker a video, numbered frames or clips.
        frames: compare on at most so many.
        threads: time it with so many.
        json: print the file's card as JSON.
    """
    if (run / TRACKER_FILE).is_file():
        if int8 or to != "onnx":
            raise UserError("A tracker is exported to ONNX in single precision. Leave out --int8 and --to.")
        return export_tracker_file(run, out_, data=data, frames=frames, threads=threads, json=json)
    from sightline.export.run import export_run

    with console.err.status("loading") as status:
        done = export_run(
            run, out_, engine=to, int8=int8, data=data, frames=frames, threads=threads, on_step=status.update
        )
    if done.note:
        console.say(done.note, on=console.err)
    if json:
        console.print_json({"refused": done.refused, **done.card.model_dump(mode="json")})
    else:
        console.out.print(card_table(done.card, title=f"{run} -> {out_}"))
    if done.refused is not None:
        console.err.print(
            f"sightline: not exported: {done.refused}. {out_} was not written.",
            style="red", highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
        return 1
    return 0


def card_table(card: Card, *, title: str) -> Table:
    """What a card says, two columns."""
    from rich.table import Table

    from sightline.report.words import counted

    table = Table(title=title, show_header=False)
    height, width = card.data.input_hw
    table.add_row("model", f"{card.recipe}, {card.task}, input {height} x {width}, {card.engine} {card.precision}")
    if (parity := card.parity) is not None:
        if parity.largest_px is not None:
            told = f"points at most {parity.largest_px:.4f} px apart (mean {parity.mean_px:.4f})"
        else:
            told = f"{parity.boxes:,} boxes, least IoU {parity.least_iou:.5f}, {parity.unmatched} without counterpart"
        table.add_row(
            "against the run", f"{told}; scores at most {parity.largest_score:.5f}; {parity.pictures} pictures"
        )
        if parity.metric is not None:
            table.add_row(parity.metric, f"{parity.metric_artefact:.4f} (run {parity.metric_run:.4f})")
    if (latency := card.latency) is not None:
        table.add_row(
            "time", f"p50 {latency.p50_ms:.2f} ms, p95 {latency.p95_ms:.2f} ms, {counted(latency.threads, 'thread')}"
        )
        run = f"p50 {latency.run_p50_ms:.2f} ms, p95 {latency.run_p95_ms:.2f} ms"
        table.add_row("the run's time", f"{run}: the file is {latency.times_faster:.2f} times as fast")
        table.add_row("measured on", f"{latency.cpu}, one picture at a time, in turn, {latency.repeats} pictures")
    return table
