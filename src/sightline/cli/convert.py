"""`sightline convert`: a data set in another format."""

from __future__ import annotations

from pathlib import Path

from sightline.cli import console
from sightline.cli.options import Flag


def convert(data: Path, out_dir: Path, *, to: str, format: str | None = None, skip_broken: Flag = False) -> int:
    """Write a data set in another label format, pictures copied beside the labels.

    Args:
        data: a label file or the folder that holds labels and pictures.
        out_dir: the new data set's folder.
        to: the format to write.
        format: the format to read, where it cannot be found out.
        skip_broken: leave broken samples out instead of stopping.
    """
    from sightline.predict_files import convert_dataset
    from sightline.prepare import load_data

    dataset = load_data(data, skip_broken=skip_broken, format=format)
    first, count = convert_dataset(dataset, out_dir, to=to)
    console.say(f"{count} records of {dataset.format} as {to}: {first}")
    return 0
