"""Every command on tiny data, in this process; what it writes, what it says, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sightline import train as loop
from sightline.cli import console
from sightline.cli.console import Output
from sightline.readers import read_dataset
from sightline.recipes import RECIPES
from sightline.writers import WRITERS

Cli = Callable[..., "object"]


@pytest.fixture(autouse=True)
def the_disk_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


# ---- looking


def test_recipes_are_listed(cli: Cli) -> None:
    ran = cli("recipes")
    assert ran.code == 0
    assert all(name in ran.out for name in RECIPES)
    assert set(cli("recipes", "--json").json["recipes"]) == set(RECIPES)


def test_pieces_are_listed_with_what_fits(cli: Cli) -> None:
    ran = cli("pieces")
    assert ran.code == 0
    assert "simcc" in ran.out
    found = cli("pieces", "--json").json
    assert found["pieces"].keys() == {"backbone", "neck", "context", "head", "codec"}
    assert found["codecs_of_head"]["mlp"] == ["coords"]


def test_inspect_counts_parameters(cli: Cli, recipe_file: Path) -> None:
    found = cli("inspect", recipe_file, "--json").json
    assert found["recipe"] == "tiny"
    assert found["parameters"] == {"total": 1690, "trainable": 1690, "frozen": 0}
    assert found["flops"] > 0
    assert {"input", "backbone", "neck", "head", "codec"} <= found["stages"].keys()
    assert {"name", "type", "output", "parameters"} <= found["layers"][0].keys()
    frozen = cli("inspect", recipe_file, "--set", "backbone.frozen=all", "--json").json["parameters"]
    assert frozen["frozen"] == 664
    assert "1,690" in cli("inspect", recipe_file).out


def test_a_sound_data_set_passes_the_check(cli: Cli, faces: Path) -> None:
    ran = cli("check", faces)
    assert ran.code == 0
    assert "16 records, 68 points" in ran.out
    found = cli("check", faces, "--json").json
    assert (found["format"], found["records"], found["errors"]) == ("landmark_csv", 16, 0)
    assert len(found["points"]) == 68
    assert found["data_fingerprint"] == read_dataset(faces).fingerprint()


def test_an_unsound_data_set_fails_the_check_with_exit_code_1(cli: Cli, faces: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(faces, tmp_path / "faces"))
    (data / "pictures" / "00003.jpg").unlink()
    ran = cli("check", data)
    assert ran.code == 1
    assert "landmarks.csv:5" in ran.out
    again = cli("check", data, "--json")
    assert again.code == 1
    (problem,) = [p for p in again.json["problems"] if p["severity"] == "error"]
    assert (problem["id"], problem["where"]) == ("image-missing", "landmarks.csv:5")


# ---- training


def test_training_writes_the_whole_run_folder(cli: Cli, recipe_file: Path, faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    ran = cli("train", recipe_file, "--data", faces, "--out", out, "--set", "train.epochs=1", "--device", "cpu")
    assert ran.code == 0
    assert "12 records train, 4 validate" in ran.out
    assert "nme_interocular" in ran.out
    assert f"report  {out / 'report.html'}" in ran.out
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {
        "config.yaml", "run.json", "split.json", "metrics.jsonl", "best.safetensors", "last.safetensors",
        "report.html", "evaluation/metrics.json", "evaluation/per_image.csv", "evaluation/predictions.json",
    } <= names  # fmt: skip
    assert not [name for name in names if ".writing-" in name]
    assert yaml.safe_load((out / "config.yaml").read_text())["train"]["epochs"] == 1
    info = json.loads((out / "run.json").read_text())
    assert info["command"] == (
        f"sightline train {recipe_file} --data {faces} --out {out} --set train.epochs=1 --device cpu"
    )
    assert info["data"]["skipped"] == 0
    assert info["data"]["train"] == 12
    assert info["parameters"]["total"] > 0
    assert info["machine"]["cpu"]
    split = json.loads((out / "split.json").read_text())
    assert len(set(split["train"]) | set(split["val"])) == 16


def test_training_can_answer_in_json_alone(cli: Cli, recipe_file: Path, faces: Path, tmp_path: Path) -> None:
    ran = cli("train", recipe_file, "--data", faces, "--out", tmp_path / "run", "--set", "train.epochs=1", "--json")
    assert ran.code == 0
    assert ran.json["run"] == str(tmp_path / "run")
    assert ran.json["images"] == 4
    assert ran.json["metrics"]["nme_interocular"]["value"] > 0


def test_pieces_can_be_swapped_from_the_command_line(cli: Cli, recipe_file: Path, faces: Path, tmp_path: Path) -> None:
    ran = cli(
        "train", recipe_file, "--data", faces, "--out", tmp_path / "run", "--use", "codec=simcc", "head=axes",
        "--set", "train.epochs=1", "data.points=['36','45','30']",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (config["codec"]["kind"], config["head"]["kind"]) == ("simcc", "axes")
    assert len(config["skeleton"]["names"]) == 3


def test_a_runs_own_config_can_be_trained_again(cli: Cli, trained: Path, faces: Path, tmp_path: Path) -> None:
    ran = cli("train", trained / "config.yaml", "--data", faces, "--out", tmp_path / "again")
    assert ran.code == 0
    for name in ("best.safetensors", "config.yaml", "split.json"):
        assert (tmp_path / "again" / name).read_bytes() == (trained / name).read_bytes()


def test_ctrl_c_says_how_to_go_on_and_going_on_ends_like_the_unbroken_run(
    cli: Cli, recipe_file: Path, trained: Path, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["train", recipe_file, "--data", faces, "--out", tmp_path / "run"]
    tell = loop._Training._tell_step

    def press(self: loop._Training, loss: float, factor: float) -> None:
        tell(self, loss, factor)
        if self.progress.global_step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(loop._Training, "_tell_step", press)
    ran = cli(*arguments)
    assert ran.code == 130
    assert f"--resume --out {tmp_path / 'run'}" in ran.out
    monkeypatch.setattr(loop._Training, "_tell_step", tell)
    refused = cli(*arguments)
    assert refused.code == 2
    assert "already holds a run" in refused.err
    assert cli(*arguments, "--resume", "--set", "train.lr=1").code == 2
    ran = cli(*arguments, "--resume")
    assert ran.code == 0, ran.err
    assert (tmp_path / "run" / "best.safetensors").read_bytes() == (trained / "best.safetensors").read_bytes()
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert "--resume" not in info["command"]  # the command that repeats the run
    assert (tmp_path / "run" / "report.html").is_file()


def test_a_setting_that_is_refused_before_the_first_step_leaves_the_name_free(
    cli: Cli, recipe_file: Path, faces: Path, tmp_path: Path
) -> None:
    arguments = ["train", recipe_file, "--data", faces, "--out", tmp_path / "run", "--set", "train.epochs=1"]
    ran = cli(*arguments, "train.precision=16")
    assert ran.code == 2
    assert "float16 training needs a GPU" in ran.err
    assert cli(*arguments).code == 0


# ---- scoring


def test_evaluate_has_stable_keys(cli: Cli, trained: Path, faces: Path) -> None:
    ran = cli("evaluate", trained, "--data", faces, "--json")
    assert ran.code == 0
    found = ran.json
    assert found["images"] == 16
    assert found["data_fingerprint"] == read_dataset(faces).fingerprint()
    assert found["split"] == "all"
    for name in ("nme_interocular", "mean_error_px", "rmse_px", "pck_0.05"):
        metric = found["metrics"][name]
        assert metric["low"] <= metric["value"] <= metric["high"]
    assert {"codec_px", "network_px"} <= found["budget"].keys()


def test_a_part_that_the_data_define_can_be_scored(cli: Cli, trained: Path, faces: Path) -> None:
    assert cli("evaluate", trained, "--data", faces, "--split", "val", "--json").json["images"] == 3
    own = cli("evaluate", trained, "--data", faces, "--split", "run-val", "--json").json
    assert own["images"] == 4
    stored = json.loads((trained / "evaluation" / "metrics.json").read_text())
    assert own["metrics"] == stored["metrics"]
    assert own["data_fingerprint"] == stored["data_fingerprint"]
    wrong = cli("evaluate", trained, "--data", faces, "--split", "vall")
    assert wrong.code == 2
    assert "Did you mean 'val'" in wrong.err


def test_scoring_elsewhere_writes_tables_and_a_report_there(
    cli: Cli, trained: Path, faces: Path, tmp_path: Path
) -> None:
    before = (trained / "evaluation" / "metrics.json").read_bytes()
    ran = cli("evaluate", trained, "--data", faces, "--out", tmp_path / "scores")
    assert ran.code == 0
    assert "nme_interocular" in ran.out
    rows = list(csv.DictReader((tmp_path / "scores" / "evaluation" / "per_image.csv").open()))
    assert len(rows) == 16
    assert (tmp_path / "scores" / "report.html").is_file()
    assert (trained / "evaluation" / "metrics.json").read_bytes() == before


def test_how_predictions_are_scored_can_be_changed(cli: Cli, trained: Path, faces: Path) -> None:
    plain = cli("evaluate", trained, "--data", faces, "--json").json
    still = cli("evaluate", trained, "--data", faces, "--set", "evaluate.jitter=0", "--json").json
    assert still["metrics"]["mean_error_px"] != plain["metrics"]["mean_error_px"]
    whole = cli("evaluate", trained, "--data", faces, "--set", "data.crop=image", "--json").json
    assert whole["crop"] == "image"
    auto = cli("evaluate", trained, "--data", faces, "--set", "data.crop=auto", "--json")
    assert auto.code == 0
    assert auto.json["crop"].startswith("points")


@pytest.mark.parametrize("setting", ["train.lr=1", "backbone.frozen=all", "codec.margin=0.1", "data.input_hw=[64,64]"])
def test_settings_that_scoring_cannot_change_are_refused_not_ignored(
    cli: Cli, trained: Path, faces: Path, setting: str
) -> None:
    ran = cli("evaluate", trained, "--data", faces, "--set", setting)
    assert ran.code == 2
    assert setting.partition("=")[0] in ran.err


def test_points_that_are_not_the_models_are_told(cli: Cli, trained: Path, faces: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(faces, tmp_path / "faces"))
    rows = list(csv.reader((data / "landmarks.csv").open()))
    with (data / "landmarks.csv").open("w", newline="") as file:
        csv.writer(file).writerows(row[:-2] for row in rows)
    ran = cli("evaluate", trained, "--data", data)
    assert ran.code == 2
    assert "has 67 points, the model 68" in ran.err


# ---- predicting


def test_a_folder_is_predicted_and_the_output_says_where_the_crop_came_from(
    cli: Cli, trained: Path, faces: Path, tmp_path: Path
) -> None:
    ran = cli("predict", trained, faces / "pictures", "--out", tmp_path / "found")
    assert ran.code == 0
    assert "16 predictions (crop from: whole image)" in ran.out
    assert len(list((tmp_path / "found" / "overlays").glob("*.jpg"))) == 16


def test_pictures_with_boxes_are_cropped_by_them(cli: Cli, trained: Path, faces: Path, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("file,xmin,ymin,xmax,ymax\n00001.jpg,5,6,50,60\n00001.jpg,0,0,64,64\n00002.jpg,8,8,60,60\n")
    pictures = [faces / "pictures" / name for name in ("00001.jpg", "00002.jpg")]
    ran = cli("predict", trained, *pictures, "--out", tmp_path / "found", "--boxes", boxes, "--json")
    assert ran.code == 0, ran.err
    assert [p["image_id"] for p in ran.json] == ["00001.jpg", "00001.jpg#2", "00002.jpg"]
    assert ran.json[0]["box_xyxy"] == [5, 6, 50, 60]
    assert all("box" in p["box_source"] for p in ran.json)
    assert len(ran.json[0]["points_xy"]) == len(ran.json[0]["score"]) == 68
    overlays = sorted(p.name for p in (tmp_path / "found" / "overlays").iterdir())
    assert overlays == ["00001.jpg", "00001_2.jpg", "00002.jpg"]


def test_every_format_can_be_written(cli: Cli, trained: Path, faces: Path, tmp_path: Path) -> None:
    pictures = [faces / "pictures" / "00001.jpg", faces / "pictures" / "00002.jpg"]
    ran = cli("predict", trained, *pictures, "--out", tmp_path, "--no-overlay", "--format", *WRITERS)
    assert ran.code == 0, ran.err
    assert not (tmp_path / "overlays").exists()
    assert len([p for p in tmp_path.rglob("*") if p.is_file()]) >= len(WRITERS)


def with_broken(faces: Path, folder: Path) -> Path:
    """Three good pictures, one that is none and an empty one."""
    folder.mkdir()
    for name in ("00001.jpg", "00002.jpg", "00003.jpg"):
        shutil.copy(faces / "pictures" / name, folder / name)
    (folder / "00002b.jpg").write_text("I am no picture at all")
    (folder / "00009.jpg").touch()
    return folder


def test_behind_unreadable_pictures_the_others_are_written_before_the_mistake_is_told(
    cli: Cli, trained: Path, faces: Path, tmp_path: Path
) -> None:
    ran = cli("predict", trained, with_broken(faces, tmp_path / "in"), "--out", tmp_path / "found")
    assert ran.code == 2
    assert "2 pictures cannot be read" in ran.err
    assert all(words in ran.err for words in ("00002b.jpg", "00009.jpg", "--skip-broken"))
    assert "3 predictions" in ran.out
    rows = list(csv.DictReader((tmp_path / "found" / "landmarks.csv").open()))
    assert [row["file"] for row in rows] == ["00001.jpg", "00002.jpg", "00003.jpg"]
    assert len(list((tmp_path / "found" / "overlays").glob("*.jpg"))) == 3


def test_unreadable_pictures_can_be_skipped_and_are_counted(
    cli: Cli, trained: Path, faces: Path, tmp_path: Path
) -> None:
    arguments = ["predict", trained, with_broken(faces, tmp_path / "in"), "--out", tmp_path / "found", "--skip-broken"]
    ran = cli(*arguments)
    assert ran.code == 0
    assert not ran.err
    last = ran.out.splitlines()[-3:]
    assert last[0] == "2 are skipped:"
    assert "00002b.jpg" in last[1]
    assert "00009.jpg" in last[2]
    assert len(list(csv.DictReader((tmp_path / "found" / "landmarks.csv").open()))) == 3
    again = cli(*arguments, "--json")
    assert again.code == 0
    assert len(again.json) == 3
    assert "2 are skipped" in again.err


def test_a_label_file_s_missing_pictures_can_be_skipped(cli: Cli, trained: Path, faces: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(faces, tmp_path / "faces"))
    (data / "pictures" / "00003.jpg").unlink()
    arguments = ["predict", trained, data / "landmarks.csv", "--out", tmp_path / "found", "--no-overlay"]
    refused = cli(*arguments)
    assert refused.code == 2
    assert "--skip-broken" in refused.err
    ran = cli(*arguments, "--skip-broken")
    assert ran.code == 0
    assert "15 predictions" in ran.out
    assert "1 is skipped:" in ran.out


@pytest.mark.parametrize("skip", [[], ["--skip-broken"]])
def test_where_no_picture_can_be_read_nothing_is_written(
    cli: Cli, trained: Path, tmp_path: Path, skip: list[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").touch()
    ran = cli("predict", trained, tmp_path / "in", "--out", tmp_path / "found", *skip)
    assert ran.code == 2
    assert "None of the pictures can be read" in ran.err
    assert "a.png" in ran.err
    assert not (tmp_path / "found").exists()


@pytest.mark.parametrize("name", WRITERS)
def test_data_can_be_converted_to_every_format(cli: Cli, faces: Path, tmp_path: Path, name: str) -> None:
    ran = cli("convert", faces, tmp_path / "new", "--to", name.replace("_", "-"))
    assert ran.code == 0, ran.err
    assert "16 records" in ran.out


@pytest.mark.parametrize("name", ["landmark_csv", "coco_keypoints", "dlib_xml", "pts", "yolo_pose"])
def test_converted_data_are_the_same_data(cli: Cli, faces: Path, tmp_path: Path, name: str) -> None:
    cli("convert", faces, tmp_path / "new", "--to", name)
    before, after = read_dataset(faces), read_dataset(tmp_path / "new")
    assert len(after) == 16
    assert not after.errors
    by_name = {r.path.name: r for r in after.records}
    for record in before.records:
        assert by_name[record.path.name].points_xy == pytest.approx(
            record.points_xy,
            abs=0.51 if name == "dlib_xml" else 0.02,  # whole pixels are dlib's format
        )


def test_a_report_is_written_again(cli: Cli, trained: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    (run / "report.html").unlink()
    ran = cli("report", run)
    assert ran.code == 0
    assert f"report  {run / 'report.html'}" in ran.out
    assert "nme_interocular" in (run / "report.html").read_text()


@pytest.mark.slow
def test_the_demo_runs_from_nothing_to_a_report(cli: Cli, tmp_path: Path) -> None:
    ran = cli("demo", "--out", tmp_path / "demo", "--count", "40", "--set", "train.epochs=1", "train.min_steps=0")
    assert ran.code == 0, ran.err
    assert (tmp_path / "demo" / "run" / "report.html").is_file()
    assert cli("demo", "--out", tmp_path / "demo").code == 2


# ---- mistakes


def test_help_and_version_end_well(cli: Cli) -> None:
    ran = cli("--help")
    assert ran.code == 0
    for name in ("train", "evaluate", "predict", "check", "convert", "demo", "recipes", "pieces", "inspect", "report"):
        assert name in ran.out
    assert cli("--version").out.strip()


MISTAKES: dict[str, tuple[list[str], list[str]]] = {
    "unknown command": (["trane"], ["trane"]),
    "unknown option": (["train", "RECIPE", "--data", "DATA", "--epochs", "3"], ["--epochs"]),
    "no data": (["train", "RECIPE"], ["--data"]),
    "unknown recipe": (["train", "landmark", "--data", "DATA"], ["no recipe 'landmark'", "Did you mean 'landmarks'"]),
    "recipe file missing": (["train", "no.yaml", "--data", "DATA"], ["There is no no.yaml"]),
    "recipe not YAML": (["train", "BAD", "--data", "DATA"], ["is not YAML"]),
    "recipe not text": (["train", "BINARY", "--data", "DATA"], ["cannot be read as text"]),
    "data missing": (["train", "RECIPE", "--data", "nowhere"], ["There is no nowhere"]),
    "unknown piece": (["train", "RECIPE", "--data", "DATA", "--use", "neck=fpm"], ["Did you mean 'fpn'"]),
    "unknown slot": (["inspect", "RECIPE", "--use", "neckk=fpn"], ["Did you mean 'neck'"]),
    "unknown setting": (["inspect", "RECIPE", "--set", "train.epoch=1"], ["Did you mean 'train.epochs'"]),
    "wrong value": (["inspect", "RECIPE", "--set", "train.epochs=many"], ["train.epochs"]),
    "misfit": (["inspect", "RECIPE", "--use", "codec=heatmap"], ["head 'mlp'", "codec 'heatmap'", "head 'heatmap'"]),
    "negative seed": (["inspect", "RECIPE", "--set", "train.seed=-1"], ["train.seed = -1", "greater than or equal"]),
    "seed of 70 bits": (["inspect", "RECIPE", "--set", f"train.seed={2**70}"], ["train.seed", "less than"]),
    "picture too large": (["inspect", "RECIPE", "--set", "data.input_hw=[100000,64]"], ["data.input_hw.0", "16384"]),
    "tracker for a recipe": (["inspect", "track-ball"], ["is a tracker", "track-ball-coarse"]),
    "picture too small": (["inspect", "facenet58", "--set", "data.input_hw=[8,8]"], ["data.input_hw"]),
    "unknown format to read": (["check", "DATA", "--format", "coco_keypoint"], ["Did you mean 'coco_keypoints'"]),
    "unknown format to write": (["convert", "DATA", "OUT", "--to", "cocoo"], ["coco_keypoints"]),
    "unknown format to predict": (["predict", "RUN", "PICTURE", "--out", "OUT", "--format", "ptss"], ["'pts'"]),
    "no device": (["train", "RECIPE", "--data", "DATA", "--device", "tpu"], ["expected auto, cpu or cuda"]),
    "no weights folder": (["train", "RECIPE", "--data", "DATA", "--weights-dir", "nowhere"], ["nowhere is no folder"]),
    "out is a file": (["train", "RECIPE", "--data", "DATA", "--out", "FILE"], ["is a file"]),
    "out below a file": (["train", "RECIPE", "--data", "DATA", "--out", "FILE/run"], ["Cannot write"]),
    "out cannot be written": (["train", "RECIPE", "--data", "DATA", "--out", "/proc/run"], ["Cannot write /proc/run"]),
    "predictions cannot be written": (["predict", "RUN", "PICTURE", "--out", "FILE"], ["Cannot write"]),
    "conversion cannot be written": (["convert", "DATA", "FILE", "--to", "pts"], ["Nothing is overwritten"]),
    "page cannot be written": (
        ["audit", "RUN", "--data", "DATA", "--html", "DATA"],
        ["there is a folder of this name"],
    ),
    "page in a run's place": (["audit", "FILE", "--data", "DATA"], ["is no run folder"]),
    "predictions below a file": (["predict", "RUN", "nowhere.jpg", "--out", "FILE/x"], ["Cannot write"]),
    "conversion over a file": (["convert", "DATA", "BAD", "--to", "coco_keypoints"], ["Nothing is overwritten"]),
    "conversion over data": (["convert", "DATA", "DATA", "--to", "coco_keypoints"], ["Nothing is overwritten"]),
    "scores cannot be written": (["evaluate", "RUN", "--data", "DATA", "--out", "FILE"], ["Cannot write"]),
    "existing run": (["train", "RECIPE", "--data", "DATA", "--out", "RUN"], ["already holds a run"]),
    "nothing to resume": (["train", "RECIPE", "--data", "DATA", "--out", "OUT", "--resume"], ["no run to resume"]),
    "resume what": (["train", "RECIPE", "--data", "DATA", "--resume"], ["--resume needs --out"]),
    "no run": (["evaluate", "DATA", "--data", "DATA"], ["is no run folder"]),
    "no run to predict": (["predict", "nowhere", "PICTURE", "--out", "OUT"], ["is no run folder"]),
    "no run to report": (["report", "DATA"], ["is not a run folder"]),
    "no such point": (["train", "RECIPE", "--data", "DATA", "--set", "data.points=[chinn]"], ["no point 'chinn'"]),
    "point twice": (["train", "RECIPE", "--data", "DATA", "--set", "data.points=[3,3]"], ["a point twice"]),
    "no points": (["train", "RECIPE", "--data", "DATA", "--set", "data.points=[]"], ["no point"]),
    "no boxes": (["train", "RECIPE", "--data", "DATA", "--set", "data.crop=box"], ["no box", "landmarks.csv:"]),
    "input missing": (["predict", "RUN", "nowhere.jpg", "--out", "OUT"], ["There is no nowhere.jpg"]),
    "boxes missing": (["predict", "RUN", "PICTURE", "--out", "OUT", "--boxes", "no.csv"], ["there is no such file"]),
    "boxes are a run": (["predict", "RUN", "PICTURE", "--out", "OUT", "--boxes", "RUN"], ["finds points"]),
    "boxes lack columns": (["predict", "RUN", "PICTURE", "--out", "OUT", "--boxes", "LABELS"], ["lacks the columns"]),
    "boxes not text": (["predict", "RUN", "PICTURE", "--out", "OUT", "--boxes", "BINARY"], ["UTF-8"]),
    "no faces to draw": (["demo", "--out", "OUT", "--count", "0"], ["at least 1"]),
}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "The memory does not suffice"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "does not suffice"),
        (PermissionError(13, "Permission denied", "/data/a.png"), "/data/a.png: permission denied"),
        (OSError(28, "No space left on device"), "or a file without a name: no space left"),
    ],
)
def test_what_the_machine_lacks_is_one_paragraph(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("sightline.cli.app", fail)
    ran = cli("recipes")
    assert ran.code == 2
    assert said in ran.err


def test_a_name_that_is_no_text_can_be_said(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightline.cli.app", lambda *_, **__: console.say("a\udcff.png is told"))
    ran = cli("recipes")
    assert (ran.code, ran.out, ran.err) == (0, "a\\udcff.png is told\n", "")


def test_a_name_that_is_no_text_and_cannot_be_written_is_one_paragraph(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sightline.cli.app", lambda *_, **__: "folder/a\udcff.png".encode())
    ran = cli("recipes")
    assert ran.code == 2
    assert r"what ends with 'folder/a\udcff' is no UTF-8 text" in ran.err


def test_links_that_lead_to_each_other_are_one_paragraph(cli: Cli, recipe_file: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to(tmp_path / "b.csv")
    (tmp_path / "b.csv").symlink_to(tmp_path / "a.csv")
    ran = cli("train", recipe_file, "--data", tmp_path / "a.csv", "--out", tmp_path / "run")
    assert ran.code == 2
    assert "a.csv: too many levels of symbolic links" in ran.err


def test_a_pipe_is_no_data(cli: Cli, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "labels.csv")
    ran = cli("check", tmp_path / "labels.csv")
    assert ran.code == 2
    assert "is a device or a pipe" in ran.err


def test_a_label_file_whose_pictures_could_not_be_copied_is_not_left(
    cli: Cli, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("sightline.writers.pictures.shutil.copyfile", full)
        ran = cli("convert", faces, tmp_path / "points.json", "--to", "coco_keypoints")
    assert ran.code == 2
    assert "no space left" in ran.err
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []
    assert cli("convert", faces, tmp_path / "points.json", "--to", "coco_keypoints").code == 0


def test_a_reader_that_leaves_is_no_failure(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    class Left(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("sightline.cli.app", lambda *_, **__: Output(file=Left()).print("a table"))
    ran = cli("recipes")
    assert (ran.code, ran.err) == (0, "")


def test_a_mistake_of_the_program_keeps_its_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr("sightline.cli.app", fail)
    with pytest.raises(RuntimeError, match="shapes differ"):
        cli("recipes")


@pytest.mark.parametrize("name", ["config.yaml", "run.json", "split.json"])
def test_a_damaged_file_of_a_run_is_named(cli: Cli, trained: Path, faces: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run" / name).write_bytes(b'{"a": "\xff')
    ran = cli("evaluate", tmp_path / "run", "--data", faces, "--split", "run-val")
    assert ran.code == 2
    assert f"{name} is damaged" in ran.err


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_paragraph_and_exit_code_2(
    cli: Cli, trained: Path, faces: Path, recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {
        "RECIPE": recipe_file, "DATA": faces, "RUN": trained, "OUT": tmp_path / "out", "FILE": tmp_path / "file",
        "BAD": tmp_path / "bad.yaml", "BINARY": tmp_path / "binary.yaml", "LABELS": faces / "landmarks.csv",
        "PICTURE": faces / "pictures" / "00000.jpg",
    }  # fmt: skip
    places["FILE"].write_text("precious")
    places["BAD"].write_text("a: [")
    places["BINARY"].write_bytes(b"\xff\xfa\x00\x81" * 50)
    arguments, words = MISTAKES[name]
    ran = cli(*(str(places.get(a, a)) if "/" not in a else a.replace("FILE", str(places["FILE"])) for a in arguments))
    assert ran.code == 2
    said = ran.err + ran.out
    for word in words:
        assert word in said
    assert places["FILE"].read_text() == "precious"
    assert len(ran.err) < 2500
