"""A trained run on new pictures: points in pixels of the original files, with score and box source.

Where the model wants a crop, the box comes from a table of boxes or is the whole picture;
every prediction says which. Next: cli.py
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sightline.checkpoint import RunFolder
from sightline.codecs.protocol import Codec
from sightline.config import Experiment
from sightline.errors import UserError
from sightline.fold import folded
from sightline.geometry import Affine, Box, apply_affines, crop_to, enlarge, fit_aspect
from sightline.images import ImageError, list_images, read_image
from sightline.infer import invert
from sightline.model import Locator
from sightline.pipeline import load_run
from sightline.readers import read_dataset
from sightline.readers.texts import read_table
from sightline.records import Skeleton
from sightline.scan import require_clean
from sightline.transforms import warp
from sightline.writers import Prediction

LABEL_SUFFIXES = {".xml", ".json", ".csv"}
BOX_COLUMNS = ("file", "xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, kw_only=True)
class Task:
    """One object of one picture to predict."""

    image_id: str
    path: Path
    box: Box | None


class Predictor:
    """A run, loaded once: `predictor(image)` gives points in the image's own pixels."""

    def __init__(self, model: Locator, codec: Codec, experiment: Experiment, *, device: str = "cpu") -> None:
        height, width = experiment.data.input_hw
        example = torch.zeros(1, experiment.data.channels, height, width, dtype=torch.uint8, device=device)
        placed = model.eval().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = folded(placed, example)
        self.codec, self.experiment, self.device = codec, experiment, device
        self.skeleton: Skeleton = experiment.skeleton.skeleton()

    @staticmethod
    def load(run: Path | str, *, device: str = "cpu") -> Predictor:
        """Load a run folder; raises UserError where there is none, or a damaged one."""
        folder = RunFolder(Path(run))
        model, codec = load_run(folder)
        return Predictor(model, codec, folder.experiment(), device=device)

    @torch.inference_mode()
    def __call__(self, image: np.ndarray, box: Box | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Points and scores of one object.

        Args:
            image: [H, W, C] uint8 with the model's number of channels.
            box: the object's box in the image's pixels; the whole image without it.

        Returns:
            points [K, 2] float64 in continuous pixels of the image, and scores [K].
        """
        to_input = self._to_input((image.shape[0], image.shape[1]), box)
        crop = warp(image, to_input, self.experiment.data.input_hw)
        pixels = torch.from_numpy(crop).permute(2, 0, 1)[None].to(self.device)
        points = self.codec.decode(self.model(pixels))
        back = invert(torch.from_numpy(to_input.matrix)[None]).to(points.xy.dtype).to(self.device)
        xy = apply_affines(back, points.xy)[0]
        return xy.double().cpu().numpy(), points.score[0].float().cpu().numpy()

    def _to_input(self, size_hw: tuple[int, int], box: Box | None) -> Affine:
        """The crop that training used: a box is enlarged by the margin, the whole picture is not."""
        data = self.experiment.data
        height, width = size_hw
        if box is None or data.crop == "image":
            area: Box = (0.0, 0.0, float(width), float(height))
        else:
            area = enlarge(box, 1 + data.margin)
        return crop_to(fit_aspect(area, data.input_hw) if data.keep_aspect else area, data.input_hw)

    def predict(self, tasks: Iterable[Task]) -> Iterator[Prediction]:
        """Predictions for pictures on disk, one at a time.

        Raises:
            UserError: pictures that cannot be read; behind the last one, naming all of them.
        """
        last_path, image = None, None
        broken: list[str] = []
        for task in tasks:
            if image is None or task.path != last_path:
                try:
                    image = read_image(task.path, channels=self.experiment.data.channels)
                except ImageError as error:
                    broken.append(str(error))
                    image = None
                    continue
                last_path = task.path
            used = task.box if self.experiment.data.crop != "image" else None
            xy, score = self(image, used)
            yield Prediction(
                image_id=task.image_id,
                path=task.path,
                size_hw=(image.shape[0], image.shape[1]),
                points_xy=xy,
                score=score,
                visible=np.ones(len(xy), dtype=bool),
                box_xyxy=used,
                box_source="given box" if used is not None else "whole image",
            )
        if broken:
            raise UserError("\n  ".join([f"{len(broken)} pictures cannot be read:", *broken]))


def find_tasks(inputs: Sequence[Path], *, boxes: Path | None = None) -> list[Task]:
    """Every picture below the inputs; with a table of boxes, one task for each of their boxes.

    Raises:
        UserError: an input is missing, holds no picture, or a picture has no box in the table.
    """
    found: dict[str, Path] = {}
    labelled: list[Task] = []
    for given in inputs:
        if given.is_dir():
            pictures = list_images(given)
            if not pictures:
                raise UserError(f"{given} holds no pictures. Give a folder with pictures, or picture files.")
            for path in pictures:
                _add(found, path.relative_to(given).as_posix(), path)
        elif given.is_file() and given.suffix.lower() in LABEL_SUFFIXES:
            labelled += tasks_of_labels(given)
        elif given.is_file():
            _add(found, given.name, given)
        else:
            raise UserError(f"There is no {given}. Give a picture or a folder of pictures.")
    if boxes is None:
        return [*labelled, *(Task(image_id=name, path=path, box=None) for name, path in found.items())]
    if labelled:
        raise UserError(
            "--boxes goes with pictures; a label file among the inputs brings its own boxes. Leave one out."
        )
    table = read_boxes(boxes)
    lacking = [name for name in found if name not in table]
    if lacking:
        raise UserError(
            f"{boxes} has no box for {len(lacking)} of {len(found)} pictures, first {lacking[:3]}. Add a row for each."
        )
    return [
        Task(image_id=name if number == 0 else f"{name}#{number + 1}", path=path, box=box)
        for name, path in found.items()
        for number, box in enumerate(table[name])
    ]


def _add(found: dict[str, Path], name: str, path: Path) -> None:
    """Name a picture; one from another folder whose name is taken gets its whole path, none is lost."""
    if name in found and found[name].resolve() != path.resolve():
        name = path.as_posix().lstrip("/")
    found[name] = path


def tasks_of_labels(path: Path) -> list[Task]:
    """One task for each record of a label file, in its order, with the record's box where it has one.

    An XML that has boxes but no parts, as competitions give it out, is such a file.

    Raises:
        UserError: the file is of no known format, or has errors.
    """
    dataset = require_clean(read_dataset(path), skip_broken=False)
    return [Task(image_id=r.image_id, path=r.path, box=r.box_xyxy) for r in dataset.records]


def read_boxes(path: Path) -> dict[str, list[Box]]:
    """A CSV with the columns file, xmin, ymin, xmax, ymax (continuous pixels of the original picture).

    Raises:
        UserError: no such file, missing columns, or a row without a proper box, with its line.
    """
    if path.is_dir():
        raise UserError(
            f"--boxes {path} is a folder. A run that finds boxes cannot be used yet; give a CSV file of boxes."
        )
    if not path.is_file():
        raise UserError(
            f"--boxes {path}: there is no such file. Expected a CSV with the columns {', '.join(BOX_COLUMNS)}."
        )
    table: dict[str, list[Box]] = {}
    rows = read_table(path)
    columns = rows[0].cells if rows else ()
    missing = [column for column in BOX_COLUMNS if column not in columns]
    if missing:
        raise UserError(f"{path} lacks the columns {', '.join(missing)}. Expected {', '.join(BOX_COLUMNS)}.")
    for row in rows[1:]:
        values = dict(zip(columns, row.cells, strict=False))
        try:
            x0, y0, x1, y1 = (float(values[column]) for column in BOX_COLUMNS[1:])
        except (KeyError, ValueError):
            raise UserError(f"{path}:{row.line}: the box is not four numbers: {', '.join(row.cells)}.") from None
        if not (np.isfinite([x0, y0, x1, y1]).all() and x1 > x0 and y1 > y0):
            raise UserError(f"{path}:{row.line}: the box ({x0}, {y0}, {x1}, {y1}) has no area.")
        table.setdefault(values["file"], []).append((x0, y0, x1, y1))
    return table
