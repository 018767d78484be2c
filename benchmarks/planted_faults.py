"""Plant 23 kinds of faults, 10 of each, in copies of real data, and count how many `sightline check` finds.

    python benchmarks/planted_faults.py DATA            # DATA holds faces68, bccd, coco128, tennis_ball, ...
    python benchmarks/planted_faults.py DATA --only point-odd --timing

Each kind is planted alone in a fresh copy. A fault counts as found where the check of that id names the picture (for
classes: the misspelt name). Then every clean data set is checked, and what is said of it is listed. Last, with
--timing: 100,000 records without pictures, a CSV of 100,000 rows that name pictures which are not there, and 1,000
pictures with the search for near-copies.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from sightline.doctor import Examination, examine
from sightline.predict_files import convert_dataset
from sightline.readers import read_dataset
from sightline.records import Dataset, Record, Skeleton
from sightline.scan import scan
from sightline.skeletons import skeleton

EACH = 10
CLEAN = ("faces68", "bccd", "caltech_onebox", "coco128", "mouse_openfield", "mirror_mouse")
FACES, SEED = 400, 0


@dataclass
class Faces:
    """A copy of faces as a CSV: rows to change, pictures to break."""

    root: Path
    rows: list[dict[str, str]]

    def xy(self, row: dict[str, str]) -> np.ndarray:
        return np.array([[float(row[f"x{k}"]), float(row[f"y{k}"])] for k in range(68)])

    def put(self, row: dict[str, str], xy: np.ndarray) -> None:
        for k, (x, y) in enumerate(xy.tolist()):
            row[f"x{k}"], row[f"y{k}"] = f"{x:.2f}", f"{y:.2f}"

    def picture(self, row: dict[str, str]) -> np.ndarray:
        return cv2.imread(str(self.root / row["file"]))

    def replace(self, row: dict[str, str], pixels: np.ndarray, quality: int = 95) -> None:
        path = self.root / row["file"]
        path.unlink(missing_ok=True)
        cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])

    def rewrite(self, row: dict[str, str], data: bytes) -> None:
        path = self.root / row["file"]
        path.unlink()  # a hard link: the original stays
        path.write_bytes(data)

    def twin(self, row: dict[str, str], name: str) -> dict[str, str]:
        other = {**row, "file": f"train/{name}.jpg"}
        shutil.copyfile(self.root / row["file"], self.root / other["file"])
        self.rows.append(other)
        return other

    def save(self) -> None:
        with (self.root / "landmarks.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(self.rows[0]))
            writer.writeheader()
            writer.writerows(self.rows)


Rows = list[dict[str, str]]


def truncated(faces: Faces, rows: Rows, _: np.random.Generator) -> set[str]:
    for row in rows:
        data = (faces.root / row["file"]).read_bytes()
        faces.rewrite(row, data[: len(data) // 2])
    return {row["file"] for row in rows}


def unreadable(faces: Faces, rows: Rows, _: np.random.Generator) -> set[str]:
    for row in rows:
        faces.rewrite(row, b"<html>not found</html>" * 20)
    return {row["file"] for row in rows}


def emptied(faces: Faces, rows: Rows, _: np.random.Generator) -> set[str]:
    for row in rows:
        faces.rewrite(row, b"")
    return {row["file"] for row in rows}


def turned_by_tag(faces: Faces, rows: Rows, _: np.random.Generator) -> set[str]:
    for row in rows:
        path = faces.root / row["file"]
        picture = Image.open(path)
        picture.load()
        exif = picture.getexif()
        exif[0x0112] = 6
        path.unlink()
        picture.save(path, exif=exif.tobytes(), quality=95)
    return {row["file"] for row in rows}


def copied(faces: Faces, rows: Rows, _: np.random.Generator) -> set[str]:
    return {faces.twin(row, f"copy_{i}")["file"] for i, row in enumerate(rows)}


def nearly_copied(faces: Faces, rows: Rows, rng: np.random.Generator) -> set[str]:
    """Resized to 70-95 %, brighter or darker, compressed at quality 50-80."""
    for i, row in enumerate(rows):
        other = faces.twin(row, f"near_{i}")
        pixels, scale = faces.picture(row), float(rng.uniform(0.7, 0.95))
        small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        lighter = np.clip(small.astype(int) + int(rng.integers(-20, 20)), 0, 255).astype(np.uint8)
        faces.replace(other, lighter, int(rng.integers(50, 80)))
        factor = np.array([small.shape[1] / pixels.shape[1], small.shape[0] / pixels.shape[0]])
        faces.put(other, (faces.xy(row) + 0.5) * factor - 0.5)
        other["width"], other["height"] = str(small.shape[1]), str(small.shape[0])
    return {f"train/near_{i}.jpg" for i in range(len(rows))}


def blank(faces: Faces, rows: Rows, _: np.random.Generator) -> set[str]:
    for row in rows:
        faces.replace(row, np.full_like(faces.picture(row), 127))
    return {row["file"] for row in rows}


def swapped(faces: Faces, rows: Rows, _: np.random.Generator) -> set[str]:
    index = list(skeleton("ibug68").flip_index)
    for row in rows:
        faces.put(row, faces.xy(row)[index])
    return {row["file"] for row in rows}


def off_image(faces: Faces, rows: Rows, rng: np.random.Generator) -> set[str]:
    for row in rows:
        xy = faces.xy(row)
        xy[rng.integers(68), 0] = float(row["width"]) + rng.uniform(5, 40)
        faces.put(row, xy)
    return {row["file"] for row in rows}


def slipped(faces: Faces, rows: Rows, rng: np.random.Generator) -> set[str]:
    """One point moved by 30-50 % of the face, within the picture."""
    for row in rows:
        xy = faces.xy(row)
        extent = np.ptp(xy, axis=0).max()
        k = rng.integers(68)
        towards = xy.mean(axis=0) - xy[k]
        turn = towards / max(np.hypot(*towards), 1e-6)
        xy[k] += turn * extent * rng.uniform(0.3, 0.5)
        faces.put(row, xy)
    return {row["file"] for row in rows}


def other_order(faces: Faces, rows: Rows, _: np.random.Generator) -> set[str]:
    """The points in another convention's order: counted from the other end."""
    for row in rows:
        faces.put(row, np.roll(faces.xy(row), 20, axis=0))
    return {row["file"] for row in rows}


def upside_down(faces: Faces, rows: Rows, _: np.random.Generator) -> set[str]:
    for row in rows:
        side = np.array([float(row["width"]) - 1, float(row["height"]) - 1])
        faces.put(row, side - faces.xy(row))
    return {row["file"] for row in rows}


def carried_over(faces: Faces, rows: Rows, _: np.random.Generator) -> set[str]:
    sources = [row for row in faces.rows if all(row is not other for other in rows)]
    for row, source in zip(rows, sources, strict=False):
        faces.put(row, faces.xy(source))
    return {f"{row['file']}|{source['file']}" for row, source in zip(rows, sources, strict=False)}


def zeroed(faces: Faces, rows: Rows, rng: np.random.Generator) -> set[str]:
    for row in rows:
        xy = faces.xy(row)
        xy[rng.integers(68)] = 0
        faces.put(row, xy)
    return {row["file"] for row in rows}


def unlisted(faces: Faces, rows: Rows, _: np.random.Generator) -> set[str]:
    faces.rows = [row for row in faces.rows if all(row is not other for other in rows)]
    return {row["file"] for row in rows}


def leaked(faces: Faces, rows: Rows, _: np.random.Generator) -> set[str]:
    """A training picture under another name in the validation part."""
    for row in faces.rows[::8]:
        row["split"] = "val"
    found = set()
    for i, row in enumerate(rows):
        assert row["split"] == "train", row["file"]
        other = faces.twin(row, f"leak_{i}")
        other["split"] = "val"
        found.add(other["file"])
    return found


Boxes = dict
Entry = dict


def empty_box(entry: Entry, *_: object) -> None:
    entry["bbox"][2] = 0.0


def outside_box(entry: Entry, picture: Entry, *_: object) -> None:
    entry["bbox"][0] = picture["width"] + 5.0


def twice(entry: Entry, picture: Entry, coco: Boxes, rng: np.random.Generator) -> None:
    x, y, w, h = entry["bbox"]
    x, y = x + w * float(rng.uniform(-0.03, 0.03)), y + h * float(rng.uniform(-0.03, 0.03))
    coco["annotations"].append({**entry, "id": 10**6 + entry["id"], "bbox": [x, y, w, h]})


def two_classes(entry: Entry, picture: Entry, coco: Boxes, _: np.random.Generator) -> None:
    ids = [one["id"] for one in coco["categories"]]
    other = next(one for one in ids if one != entry["category_id"])
    x, y, w, h = entry["bbox"]
    again = {**entry, "id": 10**6 + entry["id"], "category_id": other, "bbox": [x + 0.5, y, w, h]}
    coco["annotations"].append(again)


def far_too_small(entry: Entry, picture: Entry, *_: object) -> None:
    x, y, w, h = entry["bbox"]
    entry["bbox"] = [x + w / 2, y + h / 2, w / 20, h / 20]


ON_FACES: dict[str, tuple[Callable[[Faces, Rows, np.random.Generator], set[str]], tuple[str, ...]]] = {
    "truncated picture": (truncated, ("image-truncated",)),
    "no picture": (unreadable, ("image-unreadable",)),
    "empty file": (emptied, ("image-empty",)),
    "EXIF rotation": (turned_by_tag, ("image-rotated",)),
    "exact copy": (copied, ("image-copied",)),
    "near-copy": (nearly_copied, ("image-near-copy",)),
    "blank picture": (blank, ("image-blank",)),
    "left and right swapped": (swapped, ("points-swapped",)),
    "point off the picture": (off_image, ("point-off-image",)),
    "one point slipped": (slipped, ("point-odd",)),
    "another order of points": (other_order, ("shape-odd", "points-swapped")),
    "upside down": (upside_down, ("shape-turned",)),
    "labels of another picture": (carried_over, ("points-copied",)),
    "missing point as 0": (zeroed, ("point-at-corner",)),
    "unlabelled picture": (unlisted, ("label-missing",)),
    "copy in both parts": (leaked, ("split-copied",)),
}
ON_BOXES: dict[str, tuple[Callable[..., None], tuple[str, ...]]] = {
    "box of zero size": (empty_box, ("box-empty",)),
    "box off the picture": (outside_box, ("box-off-image",)),
    "box twice": (twice, ("box-near-copy",)),
    "box of two classes": (two_classes, ("box-contradicts",)),
    "box far too small": (far_too_small, ("box-size-odd",)),
}


def looked_at(root: Path) -> Examination:
    return examine(scan(read_dataset(root)))


def on_faces(data: Path, work: Path, kind: str, seed: int) -> tuple[int, int]:
    plant, ids = ON_FACES[kind]
    rng = np.random.default_rng(seed)
    with (data / "faces68" / "landmarks.csv").open() as file:
        rows = list(csv.DictReader(file))[:FACES]
    for row in rows:
        target = work / row["file"]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(data / "faces68" / row["file"], target)
    faces = Faces(work, rows)
    # The first rows and every eighth are kept: labels are carried over from those, and these validate.
    free = [i for i in range(100, FACES) if i % 8]
    chosen = [rows[i] for i in rng.choice(free, EACH, replace=False)]
    wanted = plant(faces, chosen, rng)
    faces.save()
    told = {p.image_id for p in looked_at(work).problems if p.id in ids and p.image_id}
    return sum(any(name in told for name in each.split("|")) for each in wanted), len(wanted)


def on_boxes(data: Path, work: Path, kind: str, seed: int) -> tuple[int, int]:
    plant, ids = ON_BOXES[kind]
    rng = np.random.default_rng(seed)
    convert_dataset(without_errors(data / "bccd"), work, to="coco")
    path = next(iter(sorted(work.rglob("*.json"))))
    before = keys(looked_at(work), ids)
    coco = json.loads(path.read_text())
    pictures = {one["id"]: one for one in coco["images"]}
    common = Counter(one["category_id"] for one in coco["annotations"]).most_common(1)[0][0]
    inner = [one for one in coco["annotations"] if one["category_id"] == common and min(one["bbox"]) > 3]
    inner = list({one["image_id"]: one for one in inner}.values())  # one a picture
    chosen = [inner[i] for i in rng.choice(len(inner), EACH, replace=False)]
    for entry in chosen:
        plant(entry, pictures[entry["image_id"]], coco, rng)
    path.write_text(json.dumps(coco))
    told = Counter(keys(looked_at(work), ids))
    told.subtract(before)
    names = [Path(pictures[entry["image_id"]]["file_name"]).name for entry in chosen]
    return sum(told[name] > 0 for name in names), len(names)


def keys(found: Examination, ids: tuple[str, ...]) -> list[str]:
    return [Path(problem.image_id).name for problem in found.problems if problem.id in ids and problem.image_id]


def without_errors(root: Path) -> Dataset:
    return scan(read_dataset(root))


def on_classes(data: Path, work: Path) -> tuple[int, int]:
    """Ten names of frequent classes with two neighbouring letters exchanged, one object each."""
    dataset = scan(read_dataset(data / "coco128"))
    convert_dataset(dataset, work, to="coco")
    paths = sorted(work.rglob("*.json"))
    counts: Counter[str] = Counter()
    files = {path: json.loads(path.read_text()) for path in paths}
    for coco in files.values():
        names = {one["id"]: one["name"] for one in coco["categories"]}
        counts.update(names[one["category_id"]] for one in coco["annotations"])
    chosen = [name for name, count in counts.most_common() if len(name) >= 5 and count > 11][:EACH]
    assert len(chosen) == EACH, chosen
    wrong = {name: exchanged(name) for name in chosen}
    planted = set()
    for path, coco in files.items():
        ids = {one["name"]: one["id"] for one in coco["categories"]}
        for k, name in enumerate(chosen):
            coco["categories"].append({"id": 1000 + k, "name": wrong[name]})
            one = next((e for e in coco["annotations"] if e["category_id"] == ids[name]), None)
            if one is not None and name not in planted:
                one["category_id"] = 1000 + k
                planted.add(name)
        path.write_text(json.dumps(coco))
    messages = [p.message for p in looked_at(work).problems if p.id == "box-class-similar"]
    return sum(any(f"'{wrong[name]}'" in message for message in messages) for name in chosen), EACH


def exchanged(name: str) -> str:
    """The name with its first two different neighbours behind the first letter exchanged."""
    i = next(i for i in range(1, len(name) - 1) if name[i] != name[i + 1])
    return name[:i] + name[i + 1] + name[i] + name[i + 2 :]


def on_track(data: Path, work: Path, seed: int) -> tuple[int, int]:
    """Frames of a ball whose point lies a third of the picture elsewhere."""
    rng = np.random.default_rng(seed)
    with (data / "tennis_ball" / "ball.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["source"] == "synframe" and r["x"] and r["instance"] == "0"]
    sizes = Counter(row["clip"] for row in rows)
    rows = [row for row in rows if sizes[row["clip"]] > 15]
    table = [{"file": Path(r["file"]).name, "group": r["clip"], "x0": r["x"], "y0": r["y"]} for r in rows]
    for row, source in zip(table, rows, strict=True):
        shutil.copyfile(data / "tennis_ball" / source["file"], work / row["file"])
    before = {p.image_id for p in saved(work, table).problems if p.id == "point-jump"}
    chosen: list[dict[str, str]] = []
    for i in rng.permutation(np.arange(2, len(table) - 2)):
        if len(chosen) < EACH and all(abs(int(i) - table.index(other)) > 4 for other in chosen):
            chosen.append(table[i])
    for row in chosen:
        row["x0"] = f"{(float(row['x0']) + 213) % 640:.2f}"
    told = {p.image_id for p in saved(work, table).problems if p.id == "point-jump"} - before
    return sum(row["file"] in told for row in chosen), EACH


def saved(work: Path, table: list[dict[str, str]]) -> Examination:
    with (work / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    return looked_at(work)


def timing(work: Path) -> None:
    """100,000 records of 5 points whose pictures are nowhere, and as many rows; 1,000 pictures of 640 x 480."""
    rng = np.random.default_rng(SEED)
    shape = np.array([[30, 30], [70, 30], [50, 50], [35, 70], [65, 70]], dtype=float)
    names = Skeleton(names=("eye_l", "eye_r", "nose", "mouth_l", "mouth_r"), flip_pairs=((0, 1), (3, 4)))
    points = shape + rng.normal(0, 2, (100_000, 5, 2)) + rng.uniform(0, 300, (100_000, 1, 2))
    records = tuple(
        Record(image_id=f"{i:06}.jpg", path=work / f"{i:06}.jpg", points_xy=points[i], visible=np.ones(5, dtype=bool),
               size_hw=(480, 640), group=f"clip{i // 500}")
        for i in range(100_000)
    )  # fmt: skip
    start, used = time.perf_counter(), time.process_time()
    found = examine(Dataset(root=work, format="landmark_csv", records=records, skeleton=names), look=False)
    print(f"100,000 records without pictures: {took(start, used)}, {len(found.problems)} problems")
    (work / "missing").mkdir()
    with (work / "missing" / "labels.csv").open("w") as file:
        file.write("file," + ",".join(f"x{k},y{k}" for k in range(5)) + "\n")
        for i, rows in enumerate(points.reshape(-1, 10).tolist()):
            file.write(f"train/{i:06}.jpg," + ",".join(f"{value:.2f}" for value in rows) + "\n")
    start, used = time.perf_counter(), time.process_time()
    found = looked_at(work / "missing")
    print(f"100,000 rows whose pictures are missing: {took(start, used)}, {len(found.problems)} problems")
    with (work / "labels.csv").open("w") as file:
        file.write("file,x0,y0,x1,y1,x2,y2\n")
        for i in range(1000):
            grain = cv2.resize(rng.integers(0, 255, (24, 32, 3), dtype=np.uint8), (640, 480))
            cv2.imwrite(str(work / f"{i}.jpg"), grain)
            file.write(f"{i}.jpg," + ",".join(f"{v:.2f}" for v in rng.uniform(50, 400, 6)) + "\n")
    start, used = time.perf_counter(), time.process_time()
    looked_at(work)
    print(f"1,000 pictures with near-copies: {took(start, used)}")


def took(start: float, used: float) -> str:
    return f"{time.perf_counter() - start:.1f} s by the clock, {time.process_time() - used:.1f} s of processor time"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", nargs="*", help="kinds to plant")
    parser.add_argument("--seed", type=int, default=SEED, help="which pictures and points are spoilt")
    parser.add_argument("--timing", action="store_true")
    args = parser.parse_args()
    kinds = [*ON_FACES, *ON_BOXES, "misspelt class", "jump in a track"]
    found_all = planted_all = 0
    for kind in kinds if args.only is None else args.only:
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            if kind in ON_FACES:
                found, planted = on_faces(args.data, work, kind, args.seed)
            elif kind in ON_BOXES:
                found, planted = on_boxes(args.data, work, kind, args.seed)
            elif kind == "misspelt class":
                found, planted = on_classes(args.data, work)
            else:
                found, planted = on_track(args.data, work, args.seed)
        found_all, planted_all = found_all + found, planted_all + planted
        print(f"{kind:28} {found:3} of {planted}", flush=True)
    if planted_all:
        print(f"{'all':28} {found_all:3} of {planted_all} ({100 * found_all / planted_all:.1f} %)")
    if args.only is None and args.seed == SEED:
        for name in CLEAN:
            found = looked_at(args.data / name)
            print(f"\nclean {name}: {found.count('error')} errors, {found.count('warning')} warnings")
            for id, count in Counter(p.id for p in found.problems if p.severity != "note").items():
                print(f"  {id:28} {count}")
    if args.timing:
        with tempfile.TemporaryDirectory() as folder:
            timing(Path(folder))


if __name__ == "__main__":
    main()
