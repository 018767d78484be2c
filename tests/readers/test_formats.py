from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sightline.drawn.faces import write_drawn_faces
from sightline.errors import UserError
from sightline.readers import FORMATS, read_dataset

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def test_every_format_names_itself_and_what_it_looks_for():
    for name, (detect, read) in FORMATS.items():
        module = sys.modules[detect.__module__]
        assert module is sys.modules[read.__module__]
        assert name == module.FORMAT == module.__name__.rsplit(".", 1)[1]
        assert module.LOOKED_FOR


def test_a_folder_that_fits_nothing_says_what_is_there_and_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UserError, match=r"(?s)notes\.txt.*Looked for.*kpt_shape"):
        read_dataset(tmp_path)


def test_an_archive_is_to_be_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("annotations.xml", "<annotations/>")
    with pytest.raises(UserError, match=r"export\.zip is an archive\. Unpack it"):
        read_dataset(tmp_path / "export.zip")


def test_an_empty_folder_says_so(tmp_path):
    with pytest.raises(UserError, match="an empty folder"):
        read_dataset(tmp_path)


def test_a_path_that_is_not_there_says_so(tmp_path):
    with pytest.raises(UserError, match=r"There is no .*gone"):
        read_dataset(tmp_path / "gone")


def test_an_unknown_format_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(UserError, match="Did you mean 'dlib_xml'"):
        read_dataset(tmp_path, format="dlib")


def test_a_format_may_be_written_with_a_hyphen(tmp_path, picture):
    picture(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text("file,x0,y0\na.png,1,2\n")
    assert read_dataset(str(tmp_path), format="landmark-csv").format == "landmark_csv"


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_refuses_a_folder_that_is_not_its_own(tmp_path, name):
    with pytest.raises(UserError, match=r"reads|Expected"):
        read_dataset(tmp_path, format=name)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"\x00\x01\x02\xff", b"<", b"{", b"[", b"names"])
def test_no_format_stumbles_over_files_that_hold_nonsense(tmp_path, name, content):
    for suffix in ("csv", "json", "xml", "yaml", "txt", "pts", "asf"):
        (tmp_path / f"a.{suffix}").write_bytes(content)
    for path in (tmp_path, *sorted(tmp_path.iterdir())):
        assert FORMATS[name][0](path) in (True, False)
        with contextlib.suppress(UserError):
            dataset = read_dataset(path, format=name)
            assert dataset.records == ()
            assert dataset.errors


def test_a_folder_that_fits_two_formats_asks_which(tmp_path, picture):
    picture(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text("file,x0,y0\na.png,1,2\n")
    (tmp_path / "labels.json").write_text(json.dumps({"annotations": [], "categories": [{"keypoints": ["nose"]}]}))
    with pytest.raises(UserError, match=r"landmark_csv, coco_keypoints.*--format"):
        read_dataset(tmp_path)
    assert read_dataset(tmp_path, format="landmark_csv").format == "landmark_csv"
    assert read_dataset(tmp_path / "labels.csv").format == "landmark_csv"


def test_pts_files_beside_the_pictures_of_an_xml_are_left_to_it(tmp_path, picture):
    picture(tmp_path / "a.jpg")
    (tmp_path / "a.pts").write_text("version: 1\nn_points: 1\n{\n1 2\n}\n")
    part = "<box top='0' left='0' width='9' height='9'><part name='00' x='1' y='2'/></box>"
    (tmp_path / "labels.xml").write_text(f"<dataset><images><image file='a.jpg'>{part}</image></images></dataset>")
    assert read_dataset(tmp_path).format == "dlib_xml"


def test_reading_does_not_start_torch():
    code = "import sys, sightline.readers, sightline.splits; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_formats_of_boxes_and_points_beside_each_other_are_told_apart(tmp_path, picture):
    """Folders as our own writers leave them, and as exports of labelling tools look."""
    picture(tmp_path / "a.png")
    part = "<box top='0' left='0' width='9' height='9'><part name='00' x='1' y='2'/></box>"
    boxed = "<image id='0' name='a.png' width='64' height='48'><box label='x' xtl='1' ytl='1' xbr='2' ybr='2'/></image>"
    whole = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [], "categories": [{"id": 1, "name": "x"}]}
    region = {"type": "rectanglelabels", "value": {"x": 1, "y": 1, "width": 2, "height": 2, "rectanglelabels": ["x"]}}
    for format, file, text in (
        ("dlib_xml", "l.xml", f"<dataset><images><image file='a.png'>{part}</image></images></dataset>"),
        ("cvat", "l.xml", f"<annotations><version>1.1</version>{boxed}</annotations>"),
        ("voc", "l.xml", "<annotation><filename>a.png</filename></annotation>"),
        ("coco", "l.json", json.dumps(whole)),
        ("coco_keypoints", "l.json", json.dumps(whole | {"categories": [{"id": 1, "name": "x", "keypoints": ["n"]}]})),
        ("label_studio", "l.json", json.dumps([{"data": {"image": "a.png"}, "annotations": [{"result": [region]}]}])),
        ("landmark_csv", "l.csv", "file,class,x0,y0\na.png,x,1,2\n"),
        ("boxes_csv", "l.csv", "file,class,xmin,ymin,xmax,ymax\na.png,x,1,2,3,4\n"),
        ("yolo", "l.yaml", "train: .\nnames: [x]\n"),
        ("yolo_pose", "l.yaml", "train: .\nnames: [x]\nkpt_shape: [1, 2]\n"),
    ):
        (tmp_path / file).write_text(text)
        assert [name for name, (detect, _) in FORMATS.items() if detect(tmp_path)] == [format]
        assert [name for name, (detect, _) in FORMATS.items() if detect(tmp_path / file)] == [format]
        (tmp_path / file).unlink()


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real data sets are not beside the checkout")
@pytest.mark.parametrize(
    ("folder", "format", "records", "points"),
    [
        ("faces68", "landmark_csv", 1207, 68),
        ("mouse_openfield", "deeplabcut", 90, 4),
        ("mirror_mouse", "deeplabcut", 72, 17),
    ],
)
def test_real_data_reads_whole_and_without_complaint(folder, format, records, points):
    dataset = read_dataset(REAL / folder)
    assert (dataset.format, len(dataset), len(dataset.skeleton)) == (format, records, points)
    assert not [problem for problem in dataset.problems if problem.severity != "note"]


def test_a_picture_has_the_same_name_however_the_path_to_the_data_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    (data / "sub").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    write_drawn_faces(data / "sub", count=2, seed=0, size=32)
    monkeypatch.chdir(tmp_path / "work")
    ways = ["../data/sub", str(data / "sub"), "../work/../data/sub", "../data/sub/../sub"]
    names = [[record.image_id for record in read_dataset(way).records] for way in ways]
    assert all(name == names[0] for name in names)
    assert not Path(names[0][0]).is_absolute()


def test_a_folder_above_the_data_names_the_folders_that_hold_labels(tmp_path, picture):
    for name in ("set", "other"):
        picture(tmp_path / name / "a.png")
    (tmp_path / "set" / "labels.csv").write_text("file,x0,y0\na.png,1,2\n")
    with pytest.raises(UserError, match=r"folders in it do: set \(landmark_csv\)\. Give the path"):
        read_dataset(tmp_path)
