"""What finds something in pictures, from where it lies: a run, or an exported file. Next: predict_files.py."""

from __future__ import annotations

from pathlib import Path

from sightline.answers import Finder
from sightline.errors import UserError
from sightline.runtime.artefact_file import looks_like_artefact


def load_finder(path: Path, *, device: str, score: float | None = None) -> Finder:
    """A run, or an exported file, which needs no torch.

    Args:
        path: a run folder or an exported file.
        device: auto, cpu or cuda; for runs.
        score: give boxes scored at least so; the run's own thresholds without it.

    Raises:
        UserError: there is none, it is damaged, or it looks at clips and not at pictures.
    """
    if path.is_file():
        from sightline.runtime.artefact import Artefact

        return Artefact.load(path, least_score=score)
    from sightline.devices import pick_device
    from sightline.predict import Predictor

    return Predictor.load(path, device=pick_device(device), least_score=score)


def is_finder(boxes: Path) -> bool:
    """Whether --boxes names what finds boxes, not a table of them."""
    return boxes.is_dir() or looks_like_artefact(boxes)


def load_box_finder(boxes: Path, *, device: str) -> tuple[Finder, str]:
    """What finds the boxes that a model of points wants, and its name for messages and output: "run faces".

    Raises:
        UserError: it cannot be loaded, or finds points.
    """
    finder = load_finder(boxes, device=device)
    name = f"{'run' if boxes.is_dir() else 'file'} {boxes.name}"
    if finder.finds not in ("one-box", "boxes"):
        raise UserError(f"--boxes: {name} finds points. Give what finds boxes, or a CSV file of boxes.")
    return finder, name
