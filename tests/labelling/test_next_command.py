"""`sightline next`: from pictures and videos to pre-annotations, and back by `merge`."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from labelling_cases import ONE_BOX, SIZE_HW, blocks, make_run
from PIL import Image

from sightline.geometry import pairwise_iou
from sightline.labelling.candidates import Candidate, find_candidates
from sightline.labelling.choose import choose
from sightline.labelling.opinions import Opinion, Panel
from sightline.labelling.survey import Seen, survey
from sightline.labelling.uncertainty import Doubt
from sightline.readers import read_dataset
from sightline.records import Detections, FoundPoints, Skeleton
from sightline.video.writer import VideoWriter
from sightline.writers import Prediction

SOURCE = Path(__file__).resolve().parents[2] / "src"


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "next.csv").open() as file:
        return list(csv.DictReader(file))


def as_export(tasks: list[dict], *, shift: float = 0.0) -> list[dict]:
    """What an annotator hands back: every guess accepted, its regions moved by `shift` percent to the right."""
    export = json.loads(json.dumps(tasks))
    for task in export:
        (guess,) = task.pop("predictions")
        for region in guess["result"]:
            region["origin"] = "prediction-changed"
            region["value"]["x"] += shift
        task |= {"annotations": [{"id": 1, "result": guess["result"], "was_cancelled": False}], "predictions": []}
    return export


# ---- what is written


def test_one_run_writes_table_page_pictures_and_guesses(cli, one_box: Path, unlabelled: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = cli("next", one_box, "--data", unlabelled, "--count", "5", "--out", out, "--to", "label-studio", "cvat")
    assert ran.code == 0, ran.err
    assert "5 chosen of 12 looked at" in ran.out
    table = rows(out)
    assert [row["rank"] for row in table] == ["1", "2", "3", "4", "5"]
    assert table[0]["distance"] == "" and all(float(row["distance"]) > 0 for row in table[1:])
    tasks = json.loads((out / "tasks.json").read_text())
    for task, row in zip(tasks, table, strict=True):
        assert task["data"]["image"] == f"/data/local-files/?d={row['picture']}"
        assert (out / row["picture"]).read_bytes() == (unlabelled / row["picture"]).read_bytes()
        (guess,) = task["predictions"]
        assert guess["model_version"] and 0 <= guess["score"] <= 1
        assert float(row["uncertainty"]) == pytest.approx(1 - guess["score"], abs=1e-3)
        assert "annotations" not in task
    page = (out / "next.html").read_text()
    assert page.count("<figure") == 5 and "default-src 'none'" in page and "http" not in page.split("<main>")[1]


@pytest.mark.parametrize("kind", ["one_box", "many_boxes", "two_points"])
def test_label_studio_and_cvat_get_the_same_places_as_predict(
    cli, request: pytest.FixtureRequest, unlabelled: Path, tmp_path: Path, kind: str
) -> None:
    run, out = request.getfixturevalue(kind), tmp_path / "out"
    ran = cli("next", run, "--data", unlabelled, "--count", "3", "--out", out, "--to", "label-studio", "cvat", "coco")
    if kind == "two_points":
        assert (ran.code, "There is no format of points to write 'coco'" in ran.err) == (2, True)
        ran = cli("next", run, "--data", unlabelled, "--count", "3", "--out", out, "--to", "label-studio", "cvat")
    assert ran.code == 0, ran.err
    said = {one["image_id"]: one for one in cli("predict", run, unlabelled, "--out", tmp_path / "p", "--json").json}
    height, width = SIZE_HW
    cvat = {image.get("name"): image for image in ElementTree.parse(out / "annotations.xml").getroot().iter("image")}
    for task in json.loads((out / "tasks.json").read_text()):
        name = task["data"]["image"].partition("?d=")[2]
        regions = task["predictions"][0]["result"]
        if kind == "two_points":
            percent = [(r["value"]["x"] * width / 100, r["value"]["y"] * height / 100) for r in regions]
            points = [tuple(map(float, p.get("points", "").split(","))) for p in cvat[name].iter("points")]
            assert np.allclose(percent, said[name]["points_xy"], atol=2e-3)
            assert np.allclose(points, said[name]["points_xy"], atol=2e-3)
            assert {r["type"] for r in regions} == {"keypointlabels"}
            continue
        corners = [(v["x"], v["y"], v["x"] + v["width"], v["y"] + v["height"]) for v in (r["value"] for r in regions)]
        percent = np.array(corners).reshape(-1, 4) / 100 * [width, height, width, height]
        edges = [[float(b.get(e, "")) for e in ("xtl", "ytl", "xbr", "ybr")] for b in cvat[name].iter("box")]
        wanted = np.array([box["box_xyxy"] for box in said[name]["detections"]]).reshape(-1, 4)
        assert np.allclose(percent, wanted, atol=2e-3) and np.allclose(
            np.array(edges).reshape(-1, 4), wanted, atol=2e-3
        )
        assert {r["type"] for r in regions} <= {"rectanglelabels"}


def test_the_choice_is_the_same_again_and_follows_the_seed_only_among_equals(
    cli, one_box: Path, unlabelled: Path, tmp_path: Path
) -> None:
    tables = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        cli("next", one_box, "--data", unlabelled, "--count", "6", "--out", tmp_path / name, "--seed", seed)
        tables.append([row["picture"] for row in rows(tmp_path / name)])
    assert tables[0] == tables[1] == tables[2]  # no two of these pictures are equal


def test_several_runs_disagree_whatever_the_order_of_their_classes(
    cli, one_box: Path, unlabelled: Path, tmp_path: Path
) -> None:
    other = make_run(tmp_path / "other", ONE_BOX.replace("[cat, dog]", "[dog, cat]"), seed=5)
    found = cli("next", one_box, other, "--data", unlabelled, "--count", "4", "--out", tmp_path / "two", "--json").json
    assert all(0 <= one["disagreement"] <= 1 for one in found["chosen"])
    assert max(one["disagreement"] for one in found["chosen"]) > 0.1


@pytest.mark.slow
def test_an_exported_file_will_do_without_torch(one_box: Path, unlabelled: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    from sightline.export.run import export_run

    data = tmp_path / "pictures"
    shutil.copytree(unlabelled, data)
    artefact = tmp_path / "one.onnx"
    export_run(one_box, artefact, engine="onnx", data=data, frames=3, threads=1, repeats=2)
    code = f"""
import sys
sys.argv = ["sightline", "next", {str(artefact)!r}, "--data", {str(unlabelled)!r}, "--count", "4",
            "--out", {str(tmp_path / "light")!r}]
from sightline.cli import main
try:
    main()
finally:
    assert "torch" not in sys.modules
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={"PYTHONPATH": str(SOURCE)}
    )
    assert ran.returncode == 0, ran.stderr
    assert len(rows(tmp_path / "light")) == 4


# ---- there and back


def test_what_people_made_of_the_guesses_comes_back_and_nothing_is_lost(
    cli, one_box: Path, unlabelled: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(unlabelled, data)
    (data / "boxes.csv").write_text(
        "file,class,xmin,ymin,xmax,ymax\na/1.png,cat,2,3,20,30\na/3.png,dog,5,6,30,40\nb/0.png,,,,,\n"
    )
    old = read_dataset(data)
    out = tmp_path / "out"
    ran = cli("next", one_box, "--data", data, "--count", "6", "--out", out)
    assert ran.code == 0, ran.err
    assert "6 chosen of 9 looked at, 3 labelled already" in ran.out
    asked = {row["picture"] for row in rows(out)}
    assert not asked & {"a/1.png", "a/3.png", "b/0.png"}
    tasks = json.loads((out / "tasks.json").read_text())
    export = [*as_export(tasks[:4], shift=1.0), *tasks[4:]]  # two are not looked at yet
    (out / "export.json").write_text(json.dumps(export))
    ran = cli("merge", data / "boxes.csv", out / "export.json", "--out", tmp_path / "joined", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["added"], ran.json["filled"], ran.json["unlabelled"]) == (4, 0, 2)
    joined = {record.image_id: record for record in read_dataset(tmp_path / "joined").records}
    assert len(joined) == len(old) + 4 == 7
    for record in old.records:
        objects = joined[record.image_id].objects
        assert objects is not None and record.objects is not None
        assert np.allclose(objects.boxes_xyxy, record.objects.boxes_xyxy)
    for task in tasks[:4]:
        name = task["data"]["image"].partition("?d=")[2]
        (region,) = task["predictions"][0]["result"]
        objects = joined[name].objects
        assert objects is not None
        (box,) = objects.boxes_xyxy
        assert box[0] == pytest.approx((region["value"]["x"] + 1) * SIZE_HW[1] / 100, abs=1e-3)
    # The next round asks for none of them.
    again = cli(
        "next", one_box, "--data", tmp_path / "joined", data, "--count", "20", "--out", tmp_path / "o2", "--json"
    )
    names = {one["picture"] for one in again.json["chosen"]}
    assert not names & set(joined)
    assert len(names) == 12 - 7


def test_points_go_there_and_back_through_label_studio(cli, two_points: Path, unlabelled: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(unlabelled / "a", old / "a")
    (old / "landmarks.csv").write_text("file,nose_x,nose_y,tail_x,tail_y\na/1.png,5,6,40,30\n")
    out = tmp_path / "out"
    assert cli("next", two_points, "--data", unlabelled / "b", "--count", "3", "--out", out).code == 0
    tasks = json.loads((out / "tasks.json").read_text())
    (out / "export.json").write_text(json.dumps(as_export(tasks)))
    ran = cli("merge", old / "landmarks.csv", out / "export.json", "--out", tmp_path / "joined", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["before"]["labels"], ran.json["new"]["labels"], ran.json["after"]["labels"]) == (2, 6, 8)


# ---- videos


def video(path: Path, *, frames: int = 40, fps: float = 10, still_from: int = 1000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, fps=fps, size_hw=SIZE_HW) as writer:
        for number in range(frames):
            writer.write(blocks(100 + min(number, still_from)))
    return path


def test_frames_of_a_video_keep_their_distance_and_become_pictures(cli, one_box: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    clip, out = video(tmp_path / "clips" / "day one.mp4"), tmp_path / "out"
    ran = cli("next", one_box, "--data", clip.parent, "--count", "20", "--apart", "0.5", "--out", out)
    assert ran.code == 0, ran.err
    assert "of 20 looked at" in ran.out  # 4 s, one frame in 0.2
    table = rows(out)
    times = sorted(float(row["time_s"]) for row in table)
    assert len(times) >= 4 and min(np.diff(times)) >= 0.5 - 1e-6
    for row in table:
        assert row["picture"] == f"day one/frame_{int(row['frame']):06d}.jpg"
        picture = np.array(Image.open(out / row["picture"]).convert("RGB")).astype(int)
        errors = [np.abs(picture - blocks(100 + number)).mean() for number in range(40)]
        assert int(np.argmin(errors)) == int(row["frame"])
    assert read_dataset(out / "tasks.json").records[0].group == "day one"


def test_frames_that_show_the_same_are_chosen_once(cli, one_box: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    clip = video(tmp_path / "still.mp4", still_from=10)
    found = cli(
        "next", one_box, "--data", clip, "--count", "30", "--apart", "0", "--every", "0", "--out", tmp_path / "o"
    )
    assert found.code == 0, found.err
    frames = sorted(int(row["frame"]) for row in rows(tmp_path / "o"))
    assert len([frame for frame in frames if frame >= 10]) == 1
    assert "what is left shows nearly the same" in found.out


def test_a_tracker_ranks_frames_of_videos_and_of_folders(cli, one_box: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    from sightline.recipes.track_ball import track_ball_coarse

    recipe = track_ball_coarse()
    experiment = recipe.model_copy(update={"data": recipe.data.model_copy(update={"input_hw": (32, 48)})})
    run = make_run(tmp_path / "coarse", experiment.to_yaml())
    clip = video(tmp_path / "clips" / "one.mp4", frames=20)
    found = cli("next", run, "--data", clip, "--count", "3", "--apart", "0.3", "--out", tmp_path / "a", "--json")
    assert found.code == 0, found.err
    assert len(found.json["chosen"]) == 3 and found.json["looked_at"] == 10
    tasks = json.loads((tmp_path / "a" / "tasks.json").read_text())
    labels = {r["value"]["keypointlabels"][0] for t in tasks for r in t["predictions"][0]["result"]}
    assert labels <= set(experiment.skeleton.names)
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(12):
        cv2.imwrite(str(frames / f"{number + 5:04d}.png"), blocks(number)[:, :, ::-1])
    found = cli(
        "next", run, "--data", frames, "--count", "4", "--every", "0", "--apart", "0.05", "--out", tmp_path / "b"
    )
    assert found.code == 0, found.err
    for row in rows(tmp_path / "b"):
        assert (tmp_path / "b" / row["picture"]).read_bytes() == (frames / row["picture"]).read_bytes()
    clip.with_suffix(".csv").write_text("Frame,Visibility,X,Y\n" + "".join(f"{n},1,{n},2\n" for n in range(8)))
    found = cli(
        "next", run, "--data", clip.parent, "--every", "0", "--apart", "0.25", "--out", tmp_path / "d", "--json"
    )
    assert (found.json["labelled"], found.json["looked_at"], found.json["like_labelled"]) == (8, 12, 2)
    assert min(chosen["frame"] for chosen in found.json["chosen"]) >= 10
    both = cli("next", run, one_box, "--data", clip, "--out", tmp_path / "c")
    assert (both.code, "of different tasks" in both.err) == (2, True)


def test_of_labelled_clips_the_frames_without_a_label_are_asked_for(cli, one_box: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    clip = video(tmp_path / "clips" / "one.mp4", frames=20)
    table = clip.with_suffix(".csv")
    labels = [f"{number},{number % 2},{3 * (number % 2)},{4 * (number % 2)}" for number in range(10)]
    table.write_text("\n".join(["Frame,Visibility,X,Y", *labels]) + "\n")
    common = ("next", one_box, "--every", "0", "--apart", "0.35", "--count", "20")
    for place, given in enumerate((clip.parent, table)):
        out = tmp_path / f"out{place}"
        found = cli(*common, "--data", given, "--out", out, "--json")
        assert found.code == 0, found.err
        assert (found.json["labelled"], found.json["looked_at"], found.json["like_labelled"]) == (10, 10, 3)
        frames = sorted(int(row["frame"]) for row in rows(out))
        assert frames[0] >= 13 and min(np.diff(frames)) >= 4  # at 10 frames a second, 0.35 s from the last labelled one
    second = video(tmp_path / "clips" / "two.mp4", frames=4)
    found = cli(*common, "--data", clip.parent, "--out", tmp_path / "both", "--json")
    assert {chosen["source"] for chosen in found.json["chosen"]} == {str(clip), str(second)}
    rest = [f"{number},0,0,0" for number in range(20)]
    table.write_text("\n".join(["Frame,Visibility,X,Y", *rest]) + "\n")
    found = cli(*common, "--data", table, "--out", tmp_path / "none")
    assert (found.code, "All 20 pictures and frames are labelled already" in found.err) == (2, True)


# ---- the panel


class Fixed:
    """Finds the brightest pixel of the picture; a second kind always says the same place."""

    finds, channels, takes_boxes, classes = "points", 3, False, ()

    def __init__(self, *, follows: bool) -> None:
        self.follows, self.skeleton = follows, Skeleton(names=("spot",))

    def __call__(self, image: np.ndarray, box: object = None) -> FoundPoints:
        y, x = np.unravel_index(int(image.sum(axis=2).argmax()), image.shape[:2])
        place = (x + 0.5, y + 0.5) if self.follows else (20.0, 20.0)
        return FoundPoints(points_xy=np.array([place], dtype=np.float64), scores=np.ones(1))


def test_a_model_that_looks_agrees_with_itself_and_one_that_does_not_is_found_out() -> None:
    image = np.zeros((40, 60, 3), dtype=np.uint8)
    image[12, 17] = 255

    def apart(*, follows: bool) -> list[np.ndarray]:
        opinion = Opinion(name="x", finder=Fixed(follows=follows), thresholds=np.zeros(0))  # type: ignore[arg-type]
        return [one.points_xy[0] for one in Panel([opinion]).ask({3: image}).all if isinstance(one, FoundPoints)]

    assert all(np.allclose(place, (17.5, 12.5)) for place in apart(follows=True))
    assert len(apart(follows=True)) == 4  # itself, mirrored, two shifts
    assert max(np.linalg.norm(place - (20, 20)) for place in apart(follows=False)) > 10


class Boxer:
    """Finds one box at a fixed place of the picture's content, by its brightest pixel."""

    finds, channels, takes_boxes = "boxes", 3, False
    skeleton, classes = Skeleton(names=()), ("cat", "dog")

    def __call__(self, image: np.ndarray, box: object = None) -> Detections:
        y, x = np.unravel_index(int(image.sum(axis=2).argmax()), image.shape[:2])
        boxes = np.array([[x - 3.5, y - 4.5, x + 4.5, y + 5.5]])
        return Detections(boxes_xyxy=boxes, labels=np.array([1]), scores=np.array([0.4]))


def test_boxes_of_changed_pictures_come_back_to_the_picture() -> None:
    image = np.zeros((40, 60, 3), dtype=np.uint8)
    image[20, 30] = 255
    panel = Panel([Opinion(name="x", finder=Boxer(), thresholds=np.array([0.3, 0.3]))])  # type: ignore[arg-type]
    answers = [one for one in panel.ask({3: image}).all if isinstance(one, Detections)]
    for one in answers:
        assert pairwise_iou(one.boxes_xyxy, answers[0].boxes_xyxy)[0, 0] == pytest.approx(1.0)


# ---- the choice


def plain(name: str, *, doubt: float, dispute: float, feature: tuple[float, float], seed: int) -> Seen:
    guess = Prediction(
        image_id=name, path=Path(name), size_hw=SIZE_HW, points_xy=np.zeros((1, 2)), score=np.ones(1),
        visible=np.ones(1, dtype=bool),
    )  # fmt: skip
    return Seen(
        candidate=Candidate(name=name, path=Path(name)),
        guess=guess,
        doubt=Doubt(value=doubt, words="w"),
        disagreement=dispute,
        thumb=cv2.resize(blocks(seed)[..., 0], (32, 32)).astype(np.float32),
        feature=np.array(feature),
    )


def test_units_of_doubt_and_disagreement_do_not_matter() -> None:
    draw = np.random.default_rng(3)
    seen = [
        plain(f"{n}", doubt=d, dispute=e, feature=(x, y), seed=n) for n, (d, e, x, y) in enumerate(draw.random((9, 4)))
    ]
    again = [
        plain(f"{n}", doubt=900 * d**3, dispute=e / 7, feature=(50 * x, 50 * y), seed=n)
        for n, (d, e, x, y) in enumerate(np.random.default_rng(3).random((9, 4)))
    ]
    first, second = (choose(some, count=9, apart_s=1, seed=0) for some in (seen, again))
    assert [c.seen.candidate.name for c in first.choices] == [c.seen.candidate.name for c in second.choices]


def test_the_most_doubted_comes_first_and_copies_and_labelled_ones_never() -> None:
    seen = [
        plain("sure", doubt=0.1, dispute=0.1, feature=(0, 9), seed=1),
        plain("unsure", doubt=0.9, dispute=0.9, feature=(0, 0), seed=2),
        plain("its copy", doubt=0.8, dispute=0.8, feature=(9, 9), seed=2),
        plain("like a labelled one", doubt=0.7, dispute=0.7, feature=(9, 0), seed=3),
    ]
    thumb = plain("labelled", doubt=0, dispute=0, feature=(0, 0), seed=3).thumb
    assert thumb is not None
    chosen = choose(seen, count=4, apart_s=1, seed=0, labelled_thumbs=[thumb])
    assert [choice.seen.candidate.name for choice in chosen.choices] == ["unsure", "sure"]
    no_thumbs = choose([replace(one, thumb=None) for one in seen], count=4, apart_s=1, seed=0, labelled_thumbs=[thumb])
    assert len(no_thumbs.choices) == 4  # of a tracker: frames that look alike are other frames
    assert chosen.like_labelled == 1
    assert chosen.choices[0].why.startswith("unsure, top 1 %: w")


# ---- bad input


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def test_mistakes_are_told_before_a_model_is_loaded(
    cli, one_box: Path, many_boxes: Path, two_points: Path, unlabelled: Path, empty: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    full = tmp_path / "full"
    full.mkdir()
    (full / "x").write_text("x")
    other = make_run(tmp_path / "other", ONE_BOX.replace("[cat, dog]", "[cat, bird]"))
    labelled = tmp_path / "labelled"
    shutil.copytree(unlabelled / "a", labelled)
    names = sorted(path.name for path in labelled.iterdir())
    text = "\n".join(["file,class,xmin,ymin,xmax,ymax", *(f"{name},cat,1,2,30,40" for name in names)])
    (labelled / "boxes.csv").write_text(text + "\n")
    note = tmp_path / "note.txt"
    note.write_text("x")
    for arguments, words in (
        ((one_box, "--data", empty), "holds no pictures and no videos"),
        ((one_box, "--data", tmp_path / "none"), "There is no"),
        ((one_box, "--data", note), "no picture, no video"),
        ((one_box, "--data", labelled), "are labelled already"),
        ((tmp_path / "none", "--data", unlabelled), "Expected a run folder"),
        ((empty, "--data", unlabelled), "config.yaml"),
        ((one_box, "--data", unlabelled, "--out", full), "is not empty"),
        ((one_box, "--data", unlabelled, "--out", unlabelled / "next"), "lies in"),
        ((one_box, "--data", unlabelled, "--to", "label_studo"), "Did you mean 'label_studio'"),
        ((one_box, many_boxes, "--data", unlabelled), "finds one-box and"),
        ((one_box, two_points, "--data", unlabelled), "finds points"),
        ((one_box, other, "--data", unlabelled), "alone knows bird"),
        ((one_box, "--data", unlabelled, "--count", "0"), "count"),
    ):
        given = arguments if "--out" in arguments else (*arguments, "--out", out)
        ran = cli("next", *given)
        assert ran.code == 2, arguments
        assert words in ran.err + ran.out, (arguments, ran.err)
        assert not out.exists()


def test_more_than_there_are_is_said(cli, one_box: Path, unlabelled: Path, tmp_path: Path) -> None:
    ran = cli("next", one_box, "--data", unlabelled, "--count", "90", "--out", tmp_path / "out")
    assert ran.code == 0
    assert "12 instead of 90: there are no more." in ran.out
    assert len(rows(tmp_path / "out")) == 12


def test_broken_pictures_are_named_and_the_others_done(cli, one_box: Path, unlabelled: Path, tmp_path: Path) -> None:
    (unlabelled / "a" / "1.png").write_bytes((unlabelled / "a" / "3.png").read_bytes()[:60])
    (unlabelled / "bad.mp4").write_bytes(b"no video")
    ran = cli("next", one_box, "--data", unlabelled, "--out", tmp_path / "one")
    assert ran.code == 2
    assert "a/1.png" in ran.err and "bad.mp4" in ran.err and "--skip-broken" in ran.err
    assert len(rows(tmp_path / "one")) == 11
    ran = cli("next", one_box, "--data", unlabelled, "--out", tmp_path / "two", "--skip-broken")
    assert ran.code == 0 and "a/1.png" in ran.err
    only = tmp_path / "only"
    only.mkdir()
    (only / "1.png").write_bytes(b"nothing")
    ran = cli("next", one_box, "--data", only, "--out", tmp_path / "three", "--skip-broken")
    assert (ran.code, "None of the pictures can be read" in ran.err) == (2, True)


def test_pictures_of_one_name_in_two_folders_are_both_asked_for(cli, one_box: Path, tmp_path: Path) -> None:
    for number, folder in enumerate(("x", "y")):
        (tmp_path / folder).mkdir()
        Image.fromarray(blocks(number)).save(tmp_path / folder / "same.png")
    found = find_candidates([tmp_path / "x", tmp_path / "y"])
    assert len({one.name for one in found.pictures}) == 2
    ran = cli("next", one_box, "--data", tmp_path / "x", tmp_path / "y", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert len(rows(tmp_path / "out")) == 2


@pytest.mark.parametrize("command", ["next", "merge"])
def test_help_comes_without_torch(command: str) -> None:
    code = f"""
import sys
sys.argv = ["sightline", {command!r}, "--help"]
from sightline.cli import main
try:
    main()
except SystemExit as ended:
    assert not ended.code
assert "torch" not in sys.modules and "sightline.config" not in sys.modules
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(SOURCE)}
    )
    assert ran.returncode == 0, ran.stderr


def test_boxes_near_their_threshold_are_guessed_from_it_on(many_boxes: Path, unlabelled: Path) -> None:
    panel = Panel.load([many_boxes], device="cpu")
    panel.thresholds = np.array([0.0, 1.1])
    seen = survey(panel, find_candidates([unlabelled]), every_s=1, on_broken=lambda text: pytest.fail(text))
    assert len(seen) == 12
    for one in seen:
        assert set(one.guess.labels.tolist()) <= {0}  # type: ignore[union-attr]
