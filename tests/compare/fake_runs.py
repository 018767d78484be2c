"""Run folders made without training: errors are drawn, and everything that a comparison reads follows from them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from sightline.metrics.picture_table import PictureTable, Pooled
from sightline.metrics.units import number_units


def write_run(
    path: Path,
    errors: np.ndarray,
    *,
    recipe: str = "plain",
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    units: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    fingerprint: str = "0123456789abcdef",
    task: str = "points",
    has_median: bool = False,
) -> Path:
    """A run whose main metric, nme_box, is the mean of `errors` [N]; `accuracy` is the share below 0.1.

    With `has_median` it keeps what their median can be compared by; else it is as a run of before.
    """
    count = len(errors)
    ids = list(names) if names is not None else [f"{row:03d}.jpg" for row in range(count)]
    ones = np.ones(count)
    sums = {
        "nme_box": (np.column_stack([errors, ones]), "ratio"),
        "rmse_px": (np.column_stack([errors**2, ones]), "root-ratio"),
        "accuracy": (np.column_stack([(errors < 0.1).astype(float), ones]), "ratio"),
    }
    pooled = Pooled(values=errors, picture=np.arange(count), shares={"median_error_px": 0.5}) if has_median else None
    unit_of = number_units(ids) if units is None else np.array(units)
    table = PictureTable(image_ids=tuple(ids), units=unit_of, sums=sums, pooled=pooled)
    evaluation = path / "evaluation"
    evaluation.mkdir(parents=True)
    config = {"recipe": recipe, "train": {"lr": 0.001, "seed": seed}, "data": {"crop": "box"}, **(settings or {})}
    if settings and "train" in settings:
        config["train"] = {"lr": 0.001, "seed": seed, **settings["train"]}
    (path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    info = {"recipe": recipe, "data": {"fingerprint": "whole", "train": 100, "root": "."}, "skeleton": {"names": ["a"]}}
    _write(path / "run.json", info)
    measured = {name: {"value": float(table.values(name, ones[None])[0]), "low": None, "high": None} for name in sums}
    measured["median_error_px"] = {"value": float(np.median(errors)), "low": None, "high": None}
    _write(
        evaluation / "metrics.json",
        {"task": task, "metrics": measured, "images": count, "metric": "nme_box", "less_is_better": True,
         "data_fingerprint": fingerprint, "normaliser": "box"},
    )  # fmt: skip
    np.savez_compressed(evaluation / "pictures.npz", **table.to_arrays())
    rows = [
        {"image_id": name, "path": name, "size_hw": [10, 10], "points_xy": [[4.0, 4.0]], "visible": [True],
         "predicted_xy": [[4.0 + error, 4.0]], "score": [1.0], "box_xyxy": None, "error": float(error)}
        for name, error in zip(ids, errors, strict=True)
    ]  # fmt: skip
    _write(evaluation / "predictions.json", rows)
    lines = [
        {"kind": kind, "step": step, "epoch": step, "seconds": step, "loss": 1 / step, "nme_box": 0.2 / step}
        for step in (1, 2, 3)
        for kind in ("train", "val")
    ]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def write_arm(
    root: Path, recipe: str, *, mean: float, seeds: int, count: int = 200, spread: float = 0.01, **options: object
) -> list[Path]:
    """Runs of one recipe: pictures are as hard for every recipe, and each seed shifts all errors by about `spread`."""
    hard = np.random.default_rng(99).lognormal(0, 0.6, count)
    rng = np.random.default_rng([seeds, *recipe.encode()])
    runs = []
    for seed in range(seeds):
        own = hard * np.exp(rng.normal(0, 0.2, count))
        errors = mean * own / own.mean() * (1 + rng.normal(0, spread))
        runs.append(write_run(root / f"{recipe}-{seed}", errors, recipe=recipe, seed=seed, **options))  # type: ignore[arg-type]
    return runs


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))
