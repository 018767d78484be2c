"""Makes a run folder without training: drawn faces, and their points with noise as predictions."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import yaml

from sightline.drawn.faces import draw_face

JAW = [[k, k + 1] for k in range(16)]


def make_run_folder(root: Path, *, pictures: int = 20, size: int = 64, seed: int = 0, hostile: bool = False) -> Path:
    """A complete run folder; with `hostile`, names try to break out of the HTML."""
    rng = np.random.default_rng(seed)
    run = root / "run"
    (run / "evaluation").mkdir(parents=True)
    data = root / "faces"
    data.mkdir()
    nasty = "</script><script>alert(1)</script><img src=x onerror=alert(2)>" if hostile else ""
    predictions = _predictions(data, rng=rng, count=pictures, size=size, nasty=nasty)
    points = np.array([entry["points_xy"] for entry in predictions])
    errors = np.linalg.norm(points - np.array([entry["predicted_xy"] for entry in predictions]), axis=-1)
    names = [f"point {k}{nasty}" for k in range(68)]
    config = {"data": {"path": str(data), "size_hw": [size, size]}, "backbone": {"kind": "light", "pretrained": False},
              "train": {"steps": 1500, "lr": 1e-3, "note": nasty or "none", "ema": None}}  # fmt: skip
    (run / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    _write(run / "run.json", _run(data, names=names, nasty=nasty))
    _write_metrics_lines(run / "metrics.jsonl", rng=rng)
    _write(run / "evaluation" / "metrics.json", _evaluation(data, errors=errors, points=points, names=names))
    _write(run / "evaluation" / "predictions.json", predictions)
    maps, inputs = _maps(predictions[:3], data=data, size=size)
    ids = np.array([entry["image_id"] for entry in predictions[:3]])
    np.savez(run / "evaluation" / "heatmaps.npz", image_ids=ids, maps=maps, inputs=inputs)
    np.savez(run / "evaluation" / "filters.npz", filters=rng.standard_normal((24, 3, 5, 5)).astype(np.float32))
    return run


def _predictions(data: Path, *, rng: np.random.Generator, count: int, size: int, nasty: str) -> list[dict]:
    entries = []
    for index in range(count):
        picture, points = draw_face(rng, size=size)
        path = data / f"{index:03d}.jpg"
        cv2.imwrite(str(path), picture[..., ::-1])
        spread = size / 64 * float(rng.gamma(2.0, 0.35))
        predicted = points + rng.normal(0, spread, points.shape)
        if index == 3:
            path.unlink()
        entries.append({
            "image_id": f"{path.name}{nasty}", "path": str(path), "size_hw": [size, size], "points_xy": points.tolist(),
            "visible": [True] * 67 + [index % 2 == 0], "predicted_xy": predicted.tolist(), "score": [0.9] * 68,
            "box_xyxy": None,
            "error": float(np.linalg.norm(predicted - points, axis=1).mean() / np.linalg.norm(points[45] - points[36])),
        })  # fmt: skip
    return entries


def _run(data: Path, *, names: list[str], nasty: str) -> dict:
    return {
        "recipe": "demo_faces" + nasty,
        "command": f"sightline train demo_faces --data {data} --set train.steps=1500 --set train.lr=1e-3 --out run",
        "started": "2026-01-02 03:04:05", "seconds": 754.2, "sightline": "0.1.0",
        "machine": {"cpu": "Some CPU @ 2.0 GHz", "cores": 2, "torch": "2.9", "gpu": None},
        "data": {"root": str(data), "format": "landmark-csv", "fingerprint": "0123456789abcdef", "train": 800,
                 "val": 200, "skipped": 2,
                 "problems": ["error: [image-truncated] a.jpg: cut short" + nasty, "warning: [x] b.csv:3: y"]},
        "parameters": {"total": 1234567, "trainable": 1234000, "frozen": 567},
        "skeleton": {"names": names, "flip_pairs": [], "edges": JAW},
        "best": {"step": 1400, "epoch": 56.0, "metric": "nme_interocular", "value": 0.0312},
    }  # fmt: skip


def _write_metrics_lines(path: Path, *, rng: np.random.Generator) -> None:
    lines = []
    for step in range(1, 1501):
        loss = 8.0 * np.exp(-step / 160) + 0.09 + 0.03 * abs(float(rng.standard_normal()))
        lr = 1e-3 * min(1, step / 100) * (0.5 + 0.5 * np.cos(np.pi * step / 1500))
        lines.append({"kind": "train", "step": step, "epoch": step / 25, "seconds": step / 2, "loss": loss, "lr": lr})
        if step % 100 == 0:
            nme = 0.03 + 0.3 * np.exp(-step / 200)
            lines.append({"kind": "val", "step": step, "epoch": step / 25, "seconds": step / 2, "loss": loss + 0.05,
                          "nme_interocular": nme, "mean_error_px": nme * 40})  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"kind": "train", "step": 15')


def _evaluation(data: Path, *, errors: np.ndarray, points: np.ndarray, names: list[str]) -> dict:
    span = np.linalg.norm(points[:, 45] - points[:, 36], axis=1)
    nme, px = errors.mean(axis=1) / span, float(errors.mean())
    values = {"nme_interocular": float(nme.mean()), "mean_error_px": px, "median_error_px": float(np.median(errors)),
              "p95_error_px": float(np.quantile(errors, 0.95)), "pck_0.05": 0.87, "auc_0.08": 0.61,
              "failure_rate_0.08": 0.015}  # fmt: skip
    thresholds = np.linspace(0, 0.15, 61)
    shape = points - points.min(axis=1, keepdims=True)
    mean = (shape / shape.max(axis=1, keepdims=True)).mean(axis=0)
    per_point = [
        {"name": name, "mean_error_px": float(error), "nme": float(error / span.mean()), "count": len(errors)}
        for name, error in zip(names, errors.mean(axis=0), strict=True)
    ]
    per_point[5] = {"name": names[5], "mean_error_px": None, "nme": None, "count": 0}
    return {
        "metrics": {name: {"value": v, "low": v * 0.93, "high": v * 1.08} for name, v in values.items()},
        "images": len(errors), "data_fingerprint": "0123456789abcdef", "data": str(data), "split": "val",
        "crop": "box of the points, enlarged 1.3, jittered", "normaliser": "interocular", "per_point": per_point,
        "error_curve": {"thresholds": thresholds.tolist(), "fraction": [float((nme <= t).mean()) for t in thresholds],
                        "unit": "interocular"},
        "budget": {"codec_px": 0.03, "decoder_noise_px": 0.11, "network_px": px - 0.14, "annotator_px": 0.4},
        "mean_shape": mean.tolist(),
    }  # fmt: skip


def _maps(entries: list[dict], *, data: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    side = size // 2
    rows, columns = np.mgrid[0:side, 0:side]
    maps = [
        [255 * np.exp(-((columns - x / 2) ** 2 + (rows - y / 2) ** 2) / 4) for x, y in entry["predicted_xy"]]
        for entry in entries
    ]
    inputs = [cv2.imread(str(data / entry["image_id"].split("<")[0]))[..., ::-1] for entry in entries]
    return np.array(maps).astype(np.uint8), np.array(inputs)


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))
