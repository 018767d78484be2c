"""Predictions in pixels of the original file, from a box or the whole picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from sightline.errors import UserError
from sightline.images import read_image
from sightline.predict import Predictor
from sightline.predict_files import Names, overlay_names, write_predictions
from sightline.records import FoundPoints
from sightline.tasks import Task, find_tasks, read_boxes
from sightline.types import Points, RawCoords


class Brightest:
    """A codec that ignores the network and knows where the brightest pixel of its input is."""

    def __init__(self) -> None:
        self.seen: torch.Tensor | None = None

    def decode(self, raw: RawCoords) -> Points:
        assert self.seen is not None
        width = self.seen.shape[3]
        best = self.seen.float().mean(1).flatten(1).argmax(1)
        xy = torch.stack([best % width, best // width], dim=1)[:, None] + 0.5
        return Points(xy=xy.float(), score=torch.ones(len(best), 1))


@pytest.fixture
def spotter(trained: Path) -> Predictor:
    """A predictor whose prediction is known: the bright dot in the picture."""
    predictor = Predictor.load(trained)
    codec = Brightest()
    predictor.model.register_forward_pre_hook(lambda _, inputs: setattr(codec, "seen", inputs[0]))
    predictor.codec = codec  # type: ignore[assignment]
    return predictor


def dotted(width: int, height: int, at: tuple[int, int]) -> np.ndarray:
    image = np.zeros((height, width, 1), dtype=np.uint8)
    cv2.circle(image, at, 3, 255, -1)
    return image


@pytest.mark.parametrize("box", [None, (20.0, 10.0, 90.0, 60.0), (-30.0, -20.0, 120.0, 100.0)])
def test_points_come_back_in_pixels_of_the_original(spotter: Predictor, box: tuple | None) -> None:
    image = dotted(130, 77, (60, 40))
    found = spotter(image, box)
    assert isinstance(found, FoundPoints)
    assert found.points_xy.shape == (1, 2)
    assert found.scores.shape == (1,)
    pixel = max(130, 77) / 32 * 1.5
    assert np.abs(found.points_xy[0] - (60.5, 40.5)).max() < pixel


def test_a_tighter_box_gives_a_finer_answer(spotter: Predictor) -> None:
    image = np.zeros((400, 400, 1), dtype=np.uint8)
    cv2.circle(image, (211, 199), 1, 255, -1)
    found = spotter(image, (200, 190, 220, 210))
    assert isinstance(found, FoundPoints)
    assert np.abs(found.points_xy[0] - (211.5, 199.5)).max() < 1.5


def test_turned_photos_are_answered_upright(spotter: Predictor, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.png"
    Image.fromarray(dotted(120, 60, (30, 20))[..., 0]).save(path, exif=exif)
    upright = read_image(path, channels=1)
    assert upright.shape == (120, 60, 1)
    y, x = np.unravel_index(upright[..., 0].argmax(), upright.shape[:2])
    (found,) = spotter.predict([Task(image_id="turned.png", path=path, box=None)])
    assert found.size_hw == (120, 60)
    assert np.abs(found.points_xy[0] - (x, y)).max() < 8


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "I;16", "1"])
def test_pictures_of_every_kind_are_taken(trained: Path, tmp_path: Path, mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50), dtype=np.uint8)
    if mode == "I;16":
        picture = Image.fromarray(pixels.astype(np.uint16) * 257)
    else:
        picture = Image.fromarray(pixels).convert("RGB").convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    picture.save(path)
    (found,) = Predictor.load(trained).predict([Task(image_id="a", path=path, box=None)])
    assert found.points_xy.shape == (68, 2)
    assert np.isfinite(found.points_xy).all()
    assert found.size_hw == (40, 50)


def test_a_picture_of_one_pixel_is_taken(trained: Path, tmp_path: Path) -> None:
    Image.new("RGB", (1, 1)).save(tmp_path / "a.png")
    (found,) = Predictor.load(trained).predict([Task(image_id="a", path=tmp_path / "a.png", box=None)])
    assert np.isfinite(found.points_xy).all()


def test_unreadable_pictures_are_all_told(trained: Path, tmp_path: Path) -> None:
    good = tmp_path / "good.png"
    Image.new("RGB", (9, 9)).save(good)
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("I am no picture at all")
    whole = good.read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError) as caught:
        list(Predictor.load(trained).predict(find_tasks([tmp_path])))
    for name in ("empty.png", "text.png", "half.png"):
        assert name in str(caught.value)
    assert "good.png" not in str(caught.value)


def test_who_asks_to_be_told_of_unreadable_pictures_hears_of_each_once_and_gets_the_others(
    trained: Path, tmp_path: Path
) -> None:
    pictures(tmp_path, "a.png", "c.png")
    (tmp_path / "b.png").write_text("I am no picture at all")
    tasks = [task for task in find_tasks([tmp_path]) for _ in range(2)]  # two objects of each picture
    told: list[str] = []
    found = list(Predictor.load(trained).predict(tasks, on_broken=told.append))
    assert [each.image_id for each in found] == ["a.png", "a.png", "c.png", "c.png"]
    assert len(told) == 1
    assert "b.png" in told[0]


def test_records_of_a_label_file_without_their_picture_are_an_error_or_told(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    (tmp_path / "points.csv").write_text("file,x0,y0\na.png,1,1\ngone.png,2,2\n")
    with pytest.raises(UserError, match=r"gone\.png"):
        find_tasks([tmp_path / "points.csv"])
    told: list[str] = []
    tasks = find_tasks([tmp_path / "points.csv"], on_broken=told.append)
    assert [task.image_id for task in tasks] == ["a.png"]
    assert len(told) == 1
    assert "gone.png" in told[0]


# ---- what to predict


def pictures(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10)).save(folder / name)
    return folder


def test_folders_are_searched_and_pictures_named_below_them(tmp_path: Path) -> None:
    pictures(tmp_path, "b.png", "a.jpg", "deep/c.png")
    (tmp_path / "notes.txt").write_text("no picture")
    assert [task.image_id for task in find_tasks([tmp_path])] == ["a.jpg", "b.png", "deep/c.png"]


def test_pictures_of_one_name_in_two_folders_are_both_predicted(tmp_path: Path) -> None:
    pictures(tmp_path, "one/a.png", "two/a.png")
    tasks = find_tasks([tmp_path / "one" / "a.png", tmp_path / "two"])
    assert len({task.image_id for task in tasks}) == 2
    assert {task.path.parent.name for task in tasks} == {"one", "two"}


def test_a_picture_given_twice_is_predicted_once(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    assert len(find_tasks([tmp_path / "a.png", tmp_path])) == 1


def test_nothing_to_predict_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no pictures"):
        find_tasks([tmp_path])
    with pytest.raises(UserError, match="There is no"):
        find_tasks([tmp_path / "none.png"])


def test_a_picture_without_a_box_is_told(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png")
    (tmp_path / "boxes.csv").write_text("file,xmin,ymin,xmax,ymax\na.png,0,0,5,5\n")
    with pytest.raises(UserError, match=r"no box for 1 of 2 pictures, first \['b.png'\]"):
        find_tasks([tmp_path], boxes=tmp_path / "boxes.csv")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "lacks the columns file, xmin"),
        ("file,xmin,ymin,xmax\n", "lacks the columns ymax"),
        ("file,xmin,ymin,xmax,ymax\na.png,0,0,5\n", r"boxes.csv:2: the box is not four numbers"),
        ("file,xmin,ymin,xmax,ymax\na.png,0,0,5,x\n", r"boxes.csv:2: the box is not four numbers"),
        ("file,xmin,ymin,xmax,ymax\n\na.png,0,0,5,5\na.png,5,0,5,5\n", r"boxes.csv:4: the box .* has no area"),
        ("file,xmin,ymin,xmax,ymax\na.png,0,0,nan,5\n", r"boxes.csv:2: the box .* has no area"),
        ('file,xmin,ymin,xmax,ymax\n"a.png,0,0,5,5\n', "boxes.csv:2"),
    ],
)
def test_wrong_boxes_are_told_with_file_and_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "boxes.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=words):
        read_boxes(path)


def test_tables_of_spreadsheets_are_read(tmp_path: Path) -> None:
    path = tmp_path / "boxes.csv"
    path.write_bytes("\ufefffile;xmin;ymin;xmax;ymax;extra\r\na.png;0;1;5;6;x\r\n".encode())
    assert read_boxes(path) == {"a.png": [(0, 1, 5, 6)]}


def test_no_overlay_is_written_over_another(trained: Path, tmp_path: Path) -> None:
    pictures(tmp_path / "in", "a.png", "a.jpg", "b/a.png")
    predictor = Predictor.load(trained)
    tasks = find_tasks([tmp_path / "in"])
    tasks.append(Task(image_id="b/a.png#2", path=tasks[-1].path, box=(1, 1, 9, 9)))
    written = write_predictions(
        list(predictor.predict(tasks)),
        tmp_path / "out",
        names=Names(skeleton=predictor.skeleton),
        formats=[],
        overlay=True,
    )
    assert len(set(written)) == 4
    assert all(path.is_file() for path in written)


def test_drawn_pictures_have_names_of_their_own_whatever_the_files_are_called() -> None:
    ids = ["a.png", "a.png#2", "a#1.png", "a.jpg", "x#2/a b%20.png", "x#2/a b%20.png#3", "#4"]
    assert overlay_names(ids) == [
        "a.jpg", "a_2.jpg", "a#1.jpg", "a.jpg.jpg", "x#2/a b%20.jpg", "x#2/a b%20_3.jpg", "#4.jpg"
    ]  # fmt: skip
