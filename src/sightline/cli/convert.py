"""`sightline convert`: a data set in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from sightline.cli import console
from sightline.cli.options import Flag
from sightline.errors import UserError

SHARDS = "webdataset"
SHARD_MB = 200.0


def convert(
    data: Path,
    out_dir: Path,
    *,
    to: str,
    format: str | None = None,
    skip_broken: Flag = False,
    shard_mb: Annotated[float | None, Parameter(validator=validators.Number(gt=0))] = None,
) -> int:
    """Write a data set in another label format, pictures copied beside the labels.

    With `--to webdataset` it becomes tars of --shard-mb, which every command reads as --data. The same call goes on
    behind the shards that are whole, where it was broken off. Of other formats nothing is overwritten.

    Args:
        data: a label file or the folder that holds labels and pictures.
        out_dir: the new data set's folder, or a new label file, beside which the pictures are put.
        to: the format to write.
        format: the format to read, where it cannot be found out.
        skip_broken: leave broken samples out instead of stopping.
        shard_mb: webdataset: size of a shard, 200 without it.
    """
    from sightline.prepare import load_data

    to_shards = to.strip().lower() == SHARDS
    if shard_mb is not None and not to_shards:
        raise UserError(f"--shard-mb is for --to {SHARDS}, and {to} has no shards. Leave it out.")
    dataset = load_data(data, skip_broken=skip_broken, format=format)
    if to_shards:
        from sightline.shards.write import write_shards

        with console.err.status("converting") as status:
            made = write_shards(
                dataset,
                out_dir,
                shard_mb=shard_mb or SHARD_MB,
                tell=lambda done, of: status.update(f"shard {done:,} of {of:,}"),
            )
        pictures = sum(shard.pictures for shard in made.shards)
        size = sum(shard.bytes for shard in made.shards)
        kept = f" ({made.kept:,} of them were whole already)" if made.kept else ""
        shards = "1 shard" if len(made.shards) == 1 else f"{len(made.shards):,} shards"
        console.say(
            f"{len(dataset):,} records of {dataset.format}, {pictures:,} pictures in {shards}{kept}, "
            f"{size / 2**20:,.1f} MB: {out_dir}"
        )
        return 0
    from sightline.predict_files import convert_anew

    first, count = convert_anew(dataset, out_dir, to=to)
    console.say(f"{count} records of {dataset.format} as {to}: {first}")
    return 0
