from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
    with pytest.raises(UserError, match=r"notes\.txt.*Looked for.*kpt_shape"):
        read_dataset(tmp_path)


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


def test_a_folder_that_fits_two_formats_asks_which(tmp_path, picture):
    picture(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text("file,x0,y0\na.png,1,2\n")
    (tmp_path / "labels.json").write_text(json.dumps({"annotations": [], "categories": [{"keypoints": []}]}))
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
