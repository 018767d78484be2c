"""Very many inputs in parts: one row an input, whatever is killed, unreadable or asked for twice."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from sightline.bulk import local, part
from sightline.bulk.inputs import Unit, find_units, parts_of
from sightline.bulk.local import PATIENCE, run_local
from sightline.bulk.model import ModelFile, OfPictures, Row
from sightline.bulk.part import Done, DoPart
from sightline.bulk.plan import Plan, make_plan
from sightline.bulk.run import Manifest, run_plan
from sightline.errors import UserError
from sightline.images import read_image
from sightline.prepare import load_data
from sightline.records import Detections, FoundPoints, Skeleton
from sightline.shards.write import write_shards


@pytest.fixture
def pictures(faces: Path, tmp_path: Path) -> Path:
    """Seven pictures, one cut short and one that is none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    files = sorted(path for path in faces.rglob("*") if path.suffix in (".png", ".jpg"))[:7]
    for number, file in enumerate(files):
        shutil.copy(file, folder / f"{number}{file.suffix}")
    (folder / f"3{files[3].suffix}").write_bytes(files[3].read_bytes()[:100])
    (folder / f"5{files[5].suffix}").write_bytes(b"no picture")
    return folder


class Means:
    """Finds one point: the mean brightness as x, so that a row tells which picture it is of."""

    finds, skeleton, classes, channels, takes_boxes = "points", Skeleton(names=("mean",)), (), 1, True

    def __call__(self, image: np.ndarray, box: Any = None) -> FoundPoints:
        return FoundPoints(points_xy=np.array([[image.mean(), image.shape[0]]]), scores=np.ones(1))


@dataclass(frozen=True, kw_only=True)
class MeansFile(ModelFile):
    """A model that needs no file of its own."""

    def load(self) -> OfPictures:
        return OfPictures(Means())


def plan_of(out: Path, inputs: Sequence[Path], *, part: int = 2, **settings: Any) -> Plan:
    units, _ = find_units([str(path) for path in inputs], follows=False)
    model = out.parent / "model.onnx"
    model.write_bytes(b"a model")
    return make_plan(out, units, model=model, score=None, format=settings.pop("format", "jsonl"), part=part, **settings)


def work_of(plan: Plan) -> DoPart:
    return DoPart(plan=plan, model=MeansFile(path=Path("means")))


def one_worker(work: Any, numbers: Sequence[int]) -> Iterator[Done]:
    return run_local(work, numbers, workers=1)


def rows_of(out: Path) -> list[Row]:
    return [json.loads(line) for path in sorted((out / "parts").glob("*.jsonl")) for line in path.open()]


def files_of(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / "parts").iterdir())}


def test_every_picture_has_one_row_in_order_and_the_unreadable_say_why(pictures: Path, tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "out", [pictures])
    made = run_plan(plan, work_of(plan), engine=one_worker)
    rows = rows_of(tmp_path / "out")
    assert [row["input"] for row in rows] == list(range(7)) and made.inputs == made.rows == 7
    assert [row["name"][0] for row in rows] == list("0123456")
    assert [bool(row["error"]) for row in rows] == [False, False, False, True, False, True, False] and made.errors == 2
    for row in rows:
        if row["error"]:
            assert row["points"] is None and row["name"] in row["error"]
        else:
            image = read_image(Path(row["path"]), channels=1)
            assert row["points"][0]["x"] == pytest.approx(image.mean(), abs=1e-3)
            assert (row["height"], row["width"]) == image.shape[:2]


def test_the_manifest_counts_and_vouches_for_every_file(pictures: Path, tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "out", [pictures], part=3)
    run_plan(plan, work_of(plan), engine=one_worker)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["inputs"], manifest["rows"], manifest["errors"]) == (7, 7, 2)
    assert [entry["inputs"] for entry in manifest["parts"]] == [3, 3, 1]
    for entry in manifest["parts"]:
        data = (tmp_path / "out" / entry["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"] and len(data) == entry["bytes"]


def test_parquet_has_the_rows_of_jsonl(pictures: Path, tmp_path: Path) -> None:
    for format in ("jsonl", "parquet"):
        plan = plan_of(tmp_path / format, [pictures], format=format)
        run_plan(plan, work_of(plan), engine=one_worker)
    files = sorted((tmp_path / "parquet" / "parts").glob("*.parquet"))
    tables = [pyarrow.parquet.read_table(path) for path in files]
    assert len({table.schema for table in tables}) == 1  # also where a part holds errors only
    assert [row for table in tables for row in table.to_pylist()] == rows_of(tmp_path / "jsonl")


def in_a_fork(action: Callable[[], object]) -> int | None:
    process = multiprocessing.get_context("fork").Process(target=action)
    process.start()
    process.join(60)
    return process.exitcode


@pytest.mark.parametrize("place", ["rows", "word"])
def test_a_kill_within_a_part_loses_and_doubles_nothing(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Killed while the rows are aside, and killed between the rows and the word that they are whole."""
    plan = plan_of(tmp_path / "out", [pictures])
    whole = plan_of(tmp_path / "whole", [pictures])
    run_plan(whole, work_of(whole), engine=one_worker)
    write, lines = part.write_atomically, part._lines

    def killing_write(path: Path, data: bytes | str) -> None:
        if path.name == "part-00002.json":
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, data)

    def killing_lines(rows: Sequence[Row]) -> Iterator[str]:
        for line in lines(rows):
            yield line
            if '"input": 4,' in line:
                os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patched:
        patched.setattr(part, *(("write_atomically", killing_write) if place == "word" else ("_lines", killing_lines)))
        assert in_a_fork(lambda: run_plan(plan, work_of(plan), engine=one_worker)) == -signal.SIGKILL
    assert not (tmp_path / "out" / "manifest.json").exists()
    made = run_plan(plan, work_of(plan), engine=one_worker)
    assert made.kept == 2
    found = files_of(tmp_path / "out")
    assert {name: data for name, data in found.items() if name.endswith(".jsonl") and name[0] != "."} == {
        name: data for name, data in files_of(tmp_path / "whole").items() if name.endswith(".jsonl")
    }


@dataclass(frozen=True, kw_only=True)
class DieAt:
    """The work, whose process kills itself at one part: the first time only, or always."""

    work: DoPart
    number: int
    marker: Path
    always: bool = False

    def __call__(self, number: int) -> Done:
        if number == self.number and (self.always or not self.marker.exists()):
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.work(number)


def test_when_a_worker_is_killed_others_do_its_part(pictures: Path, tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "out", [pictures])
    dying = DieAt(work=work_of(plan), number=1, marker=tmp_path / "died")
    made = run_plan(plan, dying, engine=lambda work, numbers: run_local(work, numbers, workers=2))
    assert (tmp_path / "died").exists() and made.kept == 0
    assert [row["input"] for row in rows_of(tmp_path / "out")] == list(range(7))


@pytest.mark.slow
def test_workers_that_always_die_end_with_a_reason_and_keep_the_rest(pictures: Path, tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "out", [pictures])
    dying = DieAt(work=work_of(plan), number=1, marker=tmp_path / "died", always=True)
    with pytest.raises(UserError, match=f"died {PATIENCE} times") as raised:
        run_plan(plan, dying, engine=lambda work, numbers: run_local(work, numbers, workers=2))
    assert "part 1" in str(raised.value)
    assert run_plan(plan, work_of(plan), engine=one_worker).inputs == 7


def test_patience_is_for_deaths_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that dies after each part still gets to the end; one that only dies does not."""

    def one_then_dead(work: Any, numbers: Sequence[int], *, workers: int) -> Iterator[Done]:
        yield Done(part=numbers[0], inputs=1, rows=1, errors=0, bytes=1, sha256="")

    monkeypatch.setattr(local, "_until_one_dies", one_then_dead)
    assert [done.part for done in run_local(None, range(9), workers=2)] == list(range(9))  # type: ignore[arg-type]
    monkeypatch.setattr(local, "_until_one_dies", lambda *_, **__: iter(()))
    with pytest.raises(UserError, match="9 are left"):
        list(run_local(None, range(9), workers=2))  # type: ignore[arg-type]


def test_a_part_that_was_changed_is_done_anew_and_others_are_not(pictures: Path, tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "out", [pictures])
    run_plan(plan, work_of(plan), engine=one_worker)
    before = files_of(tmp_path / "out")
    (tmp_path / "out" / "parts" / "part-00001.jsonl").write_text("{}\n")
    (tmp_path / "out" / "parts" / "part-00002.json").write_text("{")
    assert run_plan(plan, work_of(plan), engine=one_worker).kept == 2
    assert files_of(tmp_path / "out") == before


def test_results_of_anything_else_are_not_mixed(pictures: Path, faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    plan_of(out, [pictures])
    plan_of(out, [pictures])
    with pytest.raises(UserError, match="other inputs"):
        plan_of(out, [faces])
    with pytest.raises(UserError, match="another --part"):
        plan_of(out, [pictures], part=3)
    (tmp_path / "other.onnx").write_bytes(b"another model")
    units, _ = find_units([str(pictures)], follows=False)
    with pytest.raises(UserError, match="another model and another --score"):
        make_plan(out, units, model=tmp_path / "other.onnx", score=0.5, format="jsonl", part=2)
    with pytest.raises(UserError, match="not empty"):
        plan_of(pictures, [faces])
    (out / "inputs.jsonl").write_text("")
    with pytest.raises(UserError, match="missing or changed"):
        plan_of(out, [pictures])


def test_a_folder_left_between_list_and_plan_goes_on(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "inputs.jsonl").write_text("half")
    assert len(plan_of(tmp_path / "out", [pictures]).parts) == 4


def test_inputs_are_folders_patterns_lists_labels_and_shards(faces: Path, pictures: Path, tmp_path: Path) -> None:
    data = load_data(faces, skip_broken=False)
    write_shards(data, tmp_path / "shards", shard_mb=0.03)
    (tmp_path / "list.txt").write_text(
        f"# mine\n{pictures}/0.png\npictures/1.png\n\nnowhere.png\n".replace(".png", suffix_of(pictures))
    )
    of_list, _ = find_units([str(tmp_path / "list.txt")], follows=False)
    assert [Path(unit.path).exists() for unit in of_list] == [True, True, False]  # the last one's row will say so
    of_pattern, _ = find_units([f"{pictures}/[0-2].*"], follows=False)
    assert [Path(unit.name).stem for unit in of_pattern] == ["0", "1", "2"]
    both, twice = find_units([str(pictures), f"{pictures}/[0-2].*"], follows=False)
    assert len(both) == 7 and twice == 3
    of_shards, _ = find_units([str(tmp_path / "shards")], follows=False)
    assert [unit.name for unit in of_shards] == [record.image_id for record in data.records]
    plan = plan_of(tmp_path / "out", [tmp_path / "shards"], part=10)
    made: Manifest = run_plan(plan, work_of(plan), engine=one_worker)
    assert made.errors == 0 and len(made.parts) == 2


def test_tars_of_other_programs_need_no_labels(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "tars").mkdir()
    with tarfile.open(tmp_path / "tars" / "all.tar", "w") as tar:
        tar.add(pictures, arcname="deep/er")
    for given in (tmp_path / "tars", tmp_path / "tars" / "all.tar"):
        units, _ = find_units([str(given)], follows=False)
        assert sorted(unit.name for unit in units) == [f"all/deep/er/{n}{suffix_of(pictures)}" for n in range(7)]
    rows = [row for unit in units for row in OfPictures(Means()).rows(unit)]
    assert len(rows) == 7 and sum("error" in row for row in rows) == 2
    data = (tmp_path / "tars" / "all.tar").read_bytes()
    (tmp_path / "tars" / "all.tar").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="is damaged"):
        find_units([str(tmp_path / "tars")], follows=False)


def suffix_of(pictures: Path) -> str:
    return next(pictures.iterdir()).suffix


@pytest.mark.parametrize("given", [[], ["nowhere"], ["nowhere/*.png"]])
def test_no_inputs_are_a_mistake(given: list[str]) -> None:
    with pytest.raises(UserError, match=r"nothing to predict|There is no|No file matches"):
        find_units(given, follows=False)


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no pictures"):
        find_units([str(tmp_path)], follows=False)


def test_a_picture_is_nothing_to_follow(pictures: Path) -> None:
    with pytest.raises(UserError, match="holds no videos"):
        find_units([str(pictures)], follows=True)
    with pytest.raises(UserError, match="is a picture"):
        find_units([str(next(pictures.iterdir()))], follows=True)


def test_a_video_is_a_part_by_itself() -> None:
    units = [Unit(name=str(n), path=str(n), is_video=n in (2, 6)) for n in range(8)]
    assert [[int(unit.name) for unit in part] for part in parts_of(units, size=2)] == [
        [0, 1],
        [2],
        [3, 4],
        [5],
        [6],
        [7],
    ]


def test_a_full_disk_ends_with_one_paragraph_and_goes_on_later(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(tmp_path / "out", [pictures])

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="no space left"):
            run_plan(plan, work_of(plan), engine=one_worker)
    assert not list((tmp_path / "out" / "parts").iterdir())
    assert run_plan(plan, work_of(plan), engine=one_worker).inputs == 7


class Boxes(Means):
    finds, classes = "boxes", ("cat", "dog")

    def __call__(self, image: np.ndarray, box: Any = None) -> Any:
        return Detections(boxes_xyxy=np.array([[1, 2, 3, 4.5]]), labels=np.array([1]), scores=np.array([0.25]))


def test_boxes_have_their_class_and_corners(faces: Path) -> None:
    (picture, *_), _ = find_units([str(faces)], follows=False)
    (row,) = OfPictures(Boxes()).rows(picture)  # type: ignore[arg-type]
    (box,) = row["boxes"]
    assert (box["class"], box["score"], box["x0"], box["y0"], box["x1"], box["y1"]) == ("dog", 0.25, 1, 2, 3, 4.5)
    assert box["probability"] is None


def test_the_command_answers_as_predict_does(
    cli: Callable[..., Any], points_file: Path, faces: Path, tmp_path: Path
) -> None:
    done = cli("predict-many", points_file, faces, "--out", tmp_path / "many", "--part", 5)
    assert done.code == 0 and "16 inputs, 16 rows in 4 parts" in done.out, done.err
    assert (
        "4 of them whole before" in cli("predict-many", points_file, faces, "--out", tmp_path / "many", "--part", 5).out
    )
    one = cli("predict", points_file, faces, "--out", tmp_path / "one", "--no-overlay", "--json").json
    for row, found in zip(rows_of(tmp_path / "many"), one, strict=True):
        assert row["name"] == found["image_id"]
        np.testing.assert_allclose([[p["x"], p["y"]] for p in row["points"]], found["points_xy"], atol=2e-3)
    refused = cli("predict-many", points_file, faces, "--out", tmp_path / "many", "--part", 6)
    assert refused.code == 2 and "another --part" in refused.err
    assert cli("predict-many", points_file, faces, "--out", tmp_path / "x", "--address", "auto").code == 2


def test_a_name_that_ends_a_line_of_text_is_one_input(pictures: Path, tmp_path: Path) -> None:
    suffix = suffix_of(pictures)
    odd = ["line\u2028end", "next\x85line", "new\nline", "form\x0cfeed"]
    for name in odd:
        (tmp_path / "odd" / (name + suffix)).parent.mkdir(exist_ok=True)
        (tmp_path / "odd" / (name + suffix)).write_bytes(next(pictures.iterdir()).read_bytes())
    plan = plan_of(tmp_path / "out", [tmp_path / "odd"])
    run_plan(plan, work_of(plan), engine=one_worker)
    assert {row["name"] for row in rows_of(tmp_path / "out")} == {name + suffix for name in odd}


def test_a_name_that_is_no_text_is_told_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "a\udcff.png").write_bytes(b"")
    with pytest.raises(UserError, match="rename that file"):
        plan_of(tmp_path / "out", [tmp_path / "odd"])
    assert not (tmp_path / "out").exists()
