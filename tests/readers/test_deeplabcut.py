from __future__ import annotations

import pytest

from sightline.errors import UserError
from sightline.readers import read_dataset

HEAD = ["scorer,anna,anna,anna,anna", "bodyparts,leftear,leftear,rightear,rightear", "coords,x,y,x,y"]
CONFIG = "scorer: anna\nbodyparts:\n- leftear\n- rightear\nskeleton:\n- - leftear\n  - rightear\n"


def write(path, rows, *, head=HEAD):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*head, *rows]) + "\n")


@pytest.fixture
def project(tmp_path, picture):
    (tmp_path / "config.yaml").write_text(CONFIG)
    picture(tmp_path / "labeled-data" / "mouse1" / "img1.png")
    picture(tmp_path / "labeled-data" / "mouse1" / "img2.png")
    rows = ["labeled-data/mouse1/img1.png,1.25,2,3,4", "labeled-data\\mouse1\\img2.png,,,5,6"]
    write(tmp_path / "labeled-data" / "mouse1" / "CollectedData_anna.csv", rows)
    return tmp_path


def test_a_project_is_read_with_its_videos_as_groups(project):
    dataset = read_dataset(project)
    first, second = dataset.records
    assert first.points_xy.tolist() == [[1.75, 2.5], [3.5, 4.5]]
    assert second.visible.tolist() == [False, True]
    assert [record.group for record in dataset.records] == ["mouse1", "mouse1"]
    assert second.image_id == "labeled-data/mouse1/img2.png"
    assert second.source == "labeled-data/mouse1/CollectedData_anna.csv:5"
    assert dataset.skeleton.flip_pairs == ((0, 1),)
    assert dataset.skeleton.edges == ((0, 1),)
    assert not dataset.problems


def test_the_csv_of_a_project_reads_as_the_project(project):
    path = project / "labeled-data" / "mouse1" / "CollectedData_anna.csv"
    assert read_dataset(path).fingerprint() == read_dataset(project).fingerprint()


def test_three_cells_may_name_the_picture(tmp_path, picture):
    picture(tmp_path / "labeled-data" / "v" / "i.png")
    head = ["scorer,,,a,a", "bodyparts,,,nose,nose", "coords,,,x,y"]
    write(tmp_path / "labeled-data" / "v" / "CollectedData_a.csv", ["labeled-data,v,i.png,1,2"], head=head)
    (record,) = read_dataset(tmp_path).records
    assert record.points_xy.tolist() == [[1.5, 2.5]]
    assert record.group == "v"


def test_a_bare_csv_at_the_root_is_read(tmp_path, picture):
    picture(tmp_path / "labeled-data" / "a.png")
    write(tmp_path / "CollectedData.csv", ["labeled-data/a.png,1,2,nan,NaN"])
    dataset = read_dataset(tmp_path)
    assert dataset.format == "deeplabcut"
    assert dataset.records[0].visible.tolist() == [True, False]
    assert dataset.records[0].group is None


def test_videos_may_list_body_parts_in_another_order(project, picture):
    picture(project / "labeled-data" / "mouse2" / "img1.png")
    head = ["scorer,anna,anna,anna,anna", "bodyparts,rightear,rightear,leftear,leftear", "coords,x,y,x,y"]
    path = project / "labeled-data" / "mouse2" / "CollectedData_anna.csv"
    write(path, ["labeled-data/mouse2/img1.png,3,4,1,2"], head=head)
    last = read_dataset(project).records[-1]
    assert last.points_xy.tolist() == [[1.5, 2.5], [3.5, 4.5]]


def test_of_two_scorers_the_one_in_the_config_is_read(project):
    path = project / "labeled-data" / "mouse1" / "CollectedData_bert.csv"
    write(path, ["labeled-data/mouse1/img1.png,9,9,9,9"])
    assert len(read_dataset(project)) == 2
    (project / "config.yaml").write_text("scorer: carl\n")
    with pytest.raises(UserError, match="several scorers"):
        read_dataset(project)


def test_of_several_animals_each_is_an_object_with_the_box_of_its_points(project):
    head = ["scorer,,,a,a,a,a,a,a,a,a,a,a", "individuals,,,m1,m1,m1,m1,m2,m2,m2,m2,single,single"]
    head += ["bodyparts,,,leftear,leftear,rightear,rightear,leftear,leftear,rightear,rightear,door,door"]
    head += ["coords,,," + ",".join(["x,y"] * 5)]
    rows = ["labeled-data,mouse1,img1.png,1,2,3,4,11,12,13,14,50,40", "labeled-data,mouse1,img2.png,,,,,11,12,,,50,40"]
    (project / "config.yaml").write_text(
        "scorer: anna\nmultianimalproject: true\nmultianimalbodyparts: [rightear, leftear]\nbodyparts: MULTI!\n"
    )
    write(project / "labeled-data" / "mouse1" / "CollectedData_anna.csv", rows, head=head)
    dataset = read_dataset(project)
    assert dataset.skeleton.names == ("rightear", "leftear")
    assert [(r.image_id.rsplit("/", 1)[1], r.box_xyxy) for r in dataset.records] == [
        ("img1.png", (1.5, 2.5, 3.5, 4.5)),
        ("img1.png#2", (11.5, 12.5, 13.5, 14.5)),
        ("img2.png", None),
    ]
    assert dataset.records[1].points_xy.tolist() == [[13.5, 14.5], [11.5, 12.5]]
    assert dataset.records[2].visible.tolist() == [False, True]
    assert [(p.id, p.severity) for p in dataset.problems] == [("columns-ignored", "note")]
    with pytest.raises(UserError, match="several animals"):
        read_dataset(project, format="deeplabcut_video")


def test_predictions_for_a_video_are_no_labels(tmp_path):
    head = ["scorer,DLC,DLC,DLC", "bodyparts,nose,nose,nose", "coords,x,y,likelihood"]
    write(tmp_path / "videoDLC.csv", ["0,1.5,2.5,0.9"], head=head)
    with pytest.raises(UserError, match="predictions of DeepLabCut for the frames of a video"):
        read_dataset(tmp_path)


def test_a_project_with_h5_files_alone_is_told_what_is_lacking(project):
    csv = project / "labeled-data" / "mouse1" / "CollectedData_anna.csv"
    csv.rename(csv.with_suffix(".h5"))
    with pytest.raises(UserError, match=r"CollectedData_anna\.h5 holds labels of DeepLabCut.*to_csv"):
        read_dataset(project)


def test_bad_rows_are_told_at_once_with_their_lines(project):
    path = project / "labeled-data" / "mouse1" / "CollectedData_anna.csv"
    write(
        path,
        [
            "labeled-data/mouse1/img1.png,1,2,inf,4",
            "labeled-data/mouse1/img2.png,1,,3,4",
            "labeled-data/mouse1/img3.png,1,2,3,4",
            "labeled-data/mouse1/img4.png,1,2",
            "labeled-data/mouse1/img5.png,a,b,3,4",
        ],
    )
    found = [(p.id, p.where.rsplit(":", 1)[1]) for p in read_dataset(project).problems]
    assert sorted(found) == [
        ("image-missing", "6"),
        ("point-incomplete", "5"),
        ("point-not-finite", "4"),
        ("row-length", "7"),
        ("row-unreadable", "8"),
    ]
