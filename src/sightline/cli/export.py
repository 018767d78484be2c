"""`sightline export`: a run as one file that needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators

from sightline.cli import console
from sightline.cli.export_tracker import TRACKER_FILE, export_tracker_file
from sightline.cli.options import Flag

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
    by more than 0.05 px, boxes below an IoU of 0.99 but for one in 1,000; int8: where the metric is worse by more than
    1 %.

    A tracker becomes one file for `track`, compared on consecutive frames: points by more than 0.05 px; int8: where its
    F1 on labelled clips is worse by more than 1 %. Either is refused in int8 where that is not faster.

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
        return export_tracker_file(
            run, out_, data=data, engine=to, int8=int8, frames=frames, threads=threads, json=json
        )
    from sightline.cli.artefact_card import tell_exported
    from sightline.export.run import export_run

    with console.err.status("loading") as status:
        done = export_run(
            run, out_, engine=to, int8=int8, data=data, frames=frames, threads=threads, on_step=status.update
        )
    if done.note:
        console.say(done.note, on=console.err)
    return tell_exported(done.card, refused=done.refused, run=run, out=out_, json=json)
