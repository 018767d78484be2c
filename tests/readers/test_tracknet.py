from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from sightline.errors import UserError
from sightline.readers import FORMATS, read_dataset
from sightline.splits import split_dataset

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "video"))
from videos import write_video

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def problems(dataset, severity):
    return [(problem.id, problem.where) for problem in dataset.problems if problem.severity == severity]


def rally(folder: Path, text: str, *, name: str = "rally.csv", frames: int = 40) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_video(folder / "rally.mp4", frames=frames)
    (folder / name).write_text(text)
    return folder


def test_places_become_continuous_and_what_came_before_goes_by_frame_numbers(tmp_path):
    rows = "".join(f"{number},{int(number != 7)},{number + 10},{number + 2}\n" for number in range(36) if number != 33)
    dataset = read_dataset(rally(tmp_path, "Frame,Visibility,X,Y\n" + rows))
    assert (dataset.format, len(dataset), dataset.has_clips, dataset.skeleton.names) == (
        "tracknet",
        35,
        True,
        ("point",),
    )
    assert not [problem for problem in dataset.problems if problem.severity != "note"]
    last = dataset.records[-1]
    assert (last.image_id, last.group, last.frame, last.video_frame) == ("rally/000035", "rally", 35, 35)
    assert (last.path.name, last.size_hw, last.points_xy.tolist()) == ("rally.mp4", (48, 64), [[45.5, 37.5]])
    assert last.before is not None
    # Frame 33 has no label, but its pixels are there all the same.
    assert [at and at.index for at in last.before.frames] == [32, 33, 34]
    hidden = [place for place, is_visible in enumerate(last.before.visible) if not is_visible]
    assert hidden == [7 - 5, 33 - 5]
    assert last.before.points_xy[-1].tolist() == [44.5, 36.5]
    assert last.before.points_xy[0].tolist() == [15.5, 7.5]
    first = dataset.records[0]
    assert first.before is not None
    assert first.before.frames == (None, None, None)
    assert not first.before.visible.any()
    assert dataset.records[7].visible.tolist() == [False]
    assert dataset.records[7].points_xy.tolist() == [[0, 0]]


def test_fractions_are_of_the_frame_from_edge_to_edge(tmp_path):
    dataset = read_dataset(rally(tmp_path, "frame_num,x,y,visible\n0,0.25,0.5,1\n1,0.75,0.75,1\n"))
    assert [record.points_xy.tolist() for record in dataset.records] == [[[16, 24]], [[48, 36]]]
    assert "fractions-assumed" in [id for id, _ in problems(dataset, "note")]


def test_a_place_just_beyond_the_frame_among_fractions_is_told_with_its_row(tmp_path):
    rows = [(0.25, 0.5), (0.5, 0.5), (1.0125, 0.5), (0, 0), (0.75, -0.01)]
    text = "Frame,X,Y\n" + "".join(f"{number},{x},{y}\n" for number, (x, y) in enumerate(rows))
    dataset = read_dataset(rally(tmp_path, text))
    assert dataset.records[0].points_xy.tolist() == [[0.75, 1.0]]  # pixels all the same
    assert ("columns-assumed", "rally.csv:4") not in problems(dataset, "note")  # as many as there are fractions
    dataset = read_dataset(rally(tmp_path, text + "5,0.5,0.75\n"))
    assert ("columns-assumed", "rally.csv:4") in problems(dataset, "note")
    (told,) = [problem.message for problem in dataset.problems if problem.id == "columns-assumed"]
    assert "(1.0125, 0.5)" in told and "3 of 5" in told and "mend the 2" in told
    for pixels in ("0,1.5,3.25\n1,20.25,8\n", "0,0,1\n1,1,1\n2,1,2\n"):
        assert "columns-assumed" not in [p.id for p in read_dataset(rally(tmp_path, "Frame,X,Y\n" + pixels)).problems]
    rally(tmp_path / "other", "Frame,X,Y\n0,0.5,0.5\n")
    rally(tmp_path, text + "5,0.5,0.75\n")
    with pytest.raises(UserError, match=r"mixes positions in pixels \(rally\.csv:4\) with fractions.*other/rally\.csv"):
        read_dataset(tmp_path)


def test_an_unused_column_of_visibility_is_told_and_places_are_taken_for_visible(tmp_path):
    dataset = read_dataset(rally(tmp_path, "frame_num,x,y,visible\n0,0.25,0.5,0\n1,0,0,0\n2,0.5,0.5,0\n"))
    assert [bool(record.visible[0]) for record in dataset.records] == [True, False, True]
    assert problems(dataset, "warning") == [("visibility-unused", "rally.csv")]


def test_a_ball_that_is_never_visible_is_no_unused_column(tmp_path):
    dataset = read_dataset(rally(tmp_path, "Frame,Visibility,X,Y\n0,0,0,0\n1,0,0,0\n"))
    assert [bool(record.visible[0]) for record in dataset.records] == [False, False]
    assert problems(dataset, "warning") == []


def test_the_layout_of_tracknet_v2_with_folders_of_videos_and_parts(tmp_path):
    for part, match in (("Train", "match1"), ("Test", "match2")):
        folder = tmp_path / part / match
        write_video(folder / "video" / "1_01_00.mp4", frames=5)
        (folder / "csv").mkdir()
        (folder / "csv" / "1_01_00_ball.csv").write_text("Frame,Visibility,X,Y\n0,1,3,4\n1,0,0,0\n")
    dataset = read_dataset(tmp_path)
    assert [(r.group, r.split, r.video_frame) for r in dataset.records] == [
        ("Test/match2/csv/1_01_00_ball", "test", 0),
        ("Test/match2/csv/1_01_00_ball", "test", 1),
        ("Train/match1/csv/1_01_00_ball", "train", 0),
        ("Train/match1/csv/1_01_00_ball", "train", 1),
    ]
    assert split_dataset(dataset, val_fraction=0.5, seed=0).by == "given"


def test_the_first_tracknets_folders_of_numbered_pictures(tmp_path, picture):
    rows = [
        ("0000.jpg", "1", "10", "20"),
        ("0001.jpg", "0", "", ""),
        ("0002.jpg", "2", "12", "22"),
        ("0003.jpg", "3", "1", "2"),
    ]
    for clip in ("Clip1", "Clip2"):
        for name, *_ in (*rows, ("0004.jpg",)):
            picture(tmp_path / "game1" / clip / name)
        text = "file name,visibility,x-coordinate,y-coordinate,status\n" + "".join(
            f"{','.join(row)},0\n" for row in rows
        )
        (tmp_path / "game1" / clip / "Label.csv").write_text(text)
    dataset = read_dataset(tmp_path)
    assert dataset.format == "tracknet"
    assert {record.group for record in dataset.records} == {"game1/Clip1", "game1/Clip2"}
    clip = dataset.records[:4]
    assert [bool(record.visible[0]) for record in clip] == [True, False, True, False]
    assert clip[2].points_xy.tolist() == [[12.5, 22.5]]
    assert clip[2].path.name == "0002.jpg"
    assert clip[2].video_frame is None
    assert clip[3].before is not None
    assert [at and (at.path.name, at.index) for at in clip[3].before.frames] == [
        (f"000{n}.jpg", None) for n in range(3)
    ]
    assert ("occluded-hidden", "game1/Clip1/Label.csv") in problems(dataset, "note")
    assert len(read_dataset(tmp_path / "game1" / "Clip2" / "Label.csv")) == 4


def test_what_is_wrong_with_labels_is_told_with_its_place(tmp_path):
    rows = (
        "0,1,10,10", "0,1,10,10", "1,1,10,10", "1,1,20,20", "2,1,nan,10", "3,1,500,10", "4,1,,", "5,x,1,1",
        "6,7,1,1", "-1,1,1,1", "39,1,5,5", "40,1,5,5", "41,1,5,5", "8,1,1", "9,0,nan,nan",
    )  # fmt: skip
    dataset = read_dataset(rally(tmp_path, "Frame,Visibility,X,Y\n" + "\n".join(rows) + "\n"))
    assert problems(dataset, "error") == [
        ("row-unreadable", "rally.csv:9"),
        ("visibility-invalid", "rally.csv:10"),
        ("row-unreadable", "rally.csv:11"),
        ("row-length", "rally.csv:15"),
        ("point-incomplete", "rally.csv:8"),
        ("frame-duplicated", "rally.csv:5"),
        ("point-not-finite", "rally.csv:6"),
        ("label-beyond-clip", "rally.csv:13"),
    ]
    assert problems(dataset, "warning") == [("label-duplicated", "rally.csv:3"), ("point-off-image", "rally.csv:7")]
    assert [(record.frame, bool(record.visible[0])) for record in dataset.records] == [
        (0, True), (1, True), (3, False), (9, False), (39, True),
    ]  # fmt: skip
    (beyond,) = [problem for problem in dataset.errors if problem.id == "label-beyond-clip"]
    assert "2 labels" in beyond.message
    assert "frames 0 to 39" in beyond.message


def test_a_clip_without_its_video_or_with_a_broken_one_is_told_and_the_others_are_read(tmp_path):
    rally(tmp_path / "good", "Frame,Visibility,X,Y\n0,1,3,4\n")
    for name in ("gone", "broken"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.csv").write_text("Frame,Visibility,X,Y\n0,1,3,4\n")
    (tmp_path / "broken" / "a.mp4").write_bytes(b"not a video")
    dataset = read_dataset(tmp_path)
    assert problems(dataset, "error") == [("video-unreadable", "broken/a.csv"), ("video-missing", "gone/a.csv")]
    assert [record.group for record in dataset.records] == ["good/rally"]


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_video_that_ends_too_early_is_told(tmp_path, suffix):
    options = {"movflags": "faststart"} if suffix == "mp4" else {}
    whole = write_video(tmp_path / f"whole.{suffix}", frames=40, size_hw=(96, 128), container_options=options)
    data = tmp_path / "data"
    data.mkdir()
    (data / f"a.{suffix}").write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.7)])
    (data / "a.csv").write_text("Frame,Visibility,X,Y\n0,1,3,4\n")
    dataset = read_dataset(data)
    assert problems(dataset, "warning") == [("video-truncated", "a.csv")]
    assert len(dataset.records) == 1


def test_short_clips_and_unknown_columns_are_noted(tmp_path):
    dataset = read_dataset(rally(tmp_path, "Frame,Visibility,X,Y,Player\n0,1,3,4,Lin\n", frames=5))
    assert [id for id, _ in problems(dataset, "note")] == ["columns-ignored", "clip-short"]


def test_fractions_and_pixels_in_one_data_set_are_refused(tmp_path):
    rally(tmp_path / "a", "Frame,Visibility,X,Y\n0,1,3,4\n")
    rally(tmp_path / "b", "Frame,Visibility,X,Y\n0,1,0.3,0.4\n")
    with pytest.raises(UserError, match=r"mixes positions in pixels.*a/rally.*b/rally"):
        read_dataset(tmp_path)


def test_no_other_format_takes_its_files_nor_it_theirs(tmp_path):
    folder = rally(tmp_path, "Frame,Visibility,X,Y\n0,1,3,4\n")
    for path in (folder, folder / "rally.csv"):
        assert [name for name, (detect, _) in FORMATS.items() if detect(path)] == ["tracknet"]
    for header in ("file,visibility,x,y", "file,x0,y0", "scorer,a,a", "Id,Predicted", "file,xmin,ymin,xmax,ymax"):
        (folder / "rally.csv").write_text(f"{header}\n")
        assert not FORMATS["tracknet"][0](folder)


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real data sets are not beside the checkout")
def test_the_volleyball_clip_reads_with_its_unused_visibility():
    dataset = read_dataset(REAL / "volleyball_clip")
    assert (dataset.format, len(dataset)) == ("tracknet", 21)
    assert problems(dataset, "warning") == [("visibility-unused", "VolleyballShortClip.csv")]
    assert np.concatenate([record.visible for record in dataset.records]).all()


@pytest.mark.parametrize(
    ("folder", "ids"), [("corrected_csv", ["annotations-several"]), ("more", ["image-duplicated"])]
)
def test_a_video_that_is_labelled_twice_counts_once_and_corrected_labels_win(tmp_path, picture, folder, ids):
    for number in range(2):
        picture(tmp_path / "match1" / "frame" / "1_01" / f"{number}.png")
    for name, x in (("csv", 10), (folder, 20)):
        (tmp_path / "match1" / name).mkdir()
        (tmp_path / "match1" / name / "1_01_ball.csv").write_text(f"Frame,Visibility,X,Y\n0,1,{x},5\n1,0,0,0\n")
    dataset = read_dataset(tmp_path)
    assert [p.id for p in dataset.problems if p.id != "clip-short"] == ids
    assert len(dataset) == 2
    assert dataset.records[0].points_xy.tolist() == [[20.5 if folder == "corrected_csv" else 10.5, 5.5]]


def test_label_csv_with_blanks_and_a_mark_is_of_this_format_beside_its_pictures(tmp_path, picture):
    for number in range(3):
        picture(tmp_path / f"{number:04d}.jpg")
    rows = "file name, visibility, x-coordinate, y-coordinate, status\n0000.jpg, 1, 10, 20, 0\n0001.jpg, 0, , , \n"
    (tmp_path / "Label.csv").write_text("\ufeff" + rows + "0002.jpg,2,11,12,0\n", encoding="utf-8", newline="\r\n")
    dataset = read_dataset(tmp_path)
    assert (dataset.format, [r.visible[0] for r in dataset.records]) == ("tracknet", [True, False, True])


@pytest.mark.parametrize(
    "text",
    [
        "Y,X,frame,VISIBILITY\n5,4,3,1\n0,0,4,0\n",
        "frame_num,x,y,visible\n3,4,5,1\n4,0,0,0\n",
        "Frame;Visibility;X;Y\n3;1;4;5\n4;0;0;0\n",
        "\ufeffFrame,Visibility,X,Y,Inpaint_Mask\n3,1,4,5,0\n4,0,0,0,0\n",
        "Frame,Visibility,X,Y\n3,2,4,5\n4,0,0,0\n",
        ",Frame,Visibility,X,Y\n0,3,1,4,5\n1,4,0,-1,-1\n",
        "Frame\tVisibility\tX\tY\n3.0\t1.0\t4.0\t5.0\n4.0\t0.0\t0.0\t0.0\n",
        "Frame,Visibility,X,Y\n3,True,4,5\n4,False,0,0\n",
        "Visibility,Frame,X,Y\n1,3,4,5\n,4,,\n",
        "Frame,Ball,X,Y\n3,1,4,5\n4,0,0,0\n",
        "Frame,Visibility,Ball X,Ball Y\n3,1,4,5\n4,0,0,0\n",
        "frame,shuttle_visibility,shuttle_x,shuttle_y\n3,1,4,5\n4,0,0,0\n",
        "track,frame_idx,instance.score,ball.x,ball.y,ball.score\nt,3,0.9,4,5,0.8\nt,4,0.9,,,\n",
        "frame,x,y\n3,4,5\n4,,\n",
        "frame,x,y\n3,4,5\n4,-1,-1\n",
        "frame,x_pixel,y_pixel\n3,4,5\n4,0,0\n",
    ],
)
def test_columns_come_in_any_order_letter_case_and_spelling_and_as_other_tools_write_them(tmp_path, text):
    dataset = read_dataset(rally(tmp_path, text))
    assert [(r.frame, r.points_xy.tolist(), r.visible.tolist()) for r in dataset.records] == [
        (3, [[4.5, 5.5]], [True]),
        (4, [[0, 0]], [False]),
    ]
    assert not problems(dataset, "error")


def test_what_sightline_track_wrote_is_in_continuous_pixels_and_counts_from_the_first_frame(tmp_path, picture):
    for number in (7, 8, 9):
        picture(tmp_path / "rally" / f"{number:04d}.png")
    rows = "0,0.0,4.25,5.75,1,0.9,1.5,fast\n1,0.1,,,0,0.1,,fast\n2,0.2,8,9,1,0.9,1.5,filled\n"
    (tmp_path / "rally.csv").write_text("frame,time_s,x,y,visible,score,radius_px,step\n" + rows)
    dataset = read_dataset(tmp_path)
    assert [(r.path.name, r.points_xy.tolist()) for r in dataset.records] == [
        ("0007.png", [[4.25, 5.75]]),
        ("0008.png", [[0, 0]]),
        ("0009.png", [[8, 9]]),
    ]
    assert not problems(dataset, "warning")


@pytest.mark.parametrize(
    ("numbers", "names", "first", "told"),
    [
        (range(4), range(4), "0000.png", []),
        (range(1, 5), range(1, 5), "0001.png", []),
        (range(1, 5), range(4), "0000.png", ["frames-renumbered"]),
        (range(4), range(1, 5), "0001.png", ["frames-renumbered"]),
        (range(4), range(100, 104), "0100.png", ["frames-renumbered"]),
        (range(1, 4), range(4), "0001.png", []),
    ],
)
def test_frames_counted_from_another_number_than_the_pictures_are_told(tmp_path, picture, numbers, names, first, told):
    for number in names:
        picture(tmp_path / "rally" / f"{number:04d}.png")
    (tmp_path / "rally.csv").write_text("Frame,Visibility,X,Y\n" + "".join(f"{n},1,{n},3\n" for n in numbers))
    dataset = read_dataset(tmp_path)
    assert len(dataset) == len(numbers)
    assert dataset.records[0].path.name == first
    assert dataset.records[0].points_xy.tolist() == [[numbers[0] + 0.5, 3.5]]
    assert [id for id, _ in problems(dataset, "warning")] == told


def test_one_table_may_be_of_many_videos(tmp_path):
    for name in "ab":
        write_video(tmp_path / "videos" / f"{name}.mp4", frames=3)
    (tmp_path / "labels.csv").write_text("video,frame,x,y,visible\na.mp4,0,4,5,1\nb.mp4,0,6,7,1\nc.mp4,0,1,1,1\n")
    dataset = read_dataset(tmp_path)
    assert [(r.group, r.path.name, r.points_xy.tolist()) for r in dataset.records] == [
        ("labels/a", "a.mp4", [[4.5, 5.5]]),
        ("labels/b", "b.mp4", [[6.5, 7.5]]),
    ]
    assert problems(dataset, "error") == [("video-missing", "labels.csv")]


def test_frames_may_be_named_by_their_pictures(tmp_path, picture):
    for number in (1, 2):
        picture(tmp_path / "frames" / f"img{number:05d}.png")
    (tmp_path / "labels.csv").write_text("frame,x,y\nimg00002.png,4,5\nimg00001.png,,\n")
    dataset = read_dataset(tmp_path)
    assert [(r.path.name, r.visible.tolist()) for r in dataset.records] == [
        ("img00001.png", [False]),
        ("img00002.png", [True]),
    ]


@pytest.mark.parametrize("folders", [("rally_video", "ball_trajectory"), (".", "pred_result"), ("clips", "labels")])
def test_videos_are_found_in_the_neighbours_of_the_labels_folder(tmp_path, folders):
    video, labels = folders
    write_video(tmp_path / "match1" / video / "1_01_00.mp4", frames=2)
    (tmp_path / "match1" / labels).mkdir()
    (tmp_path / "match1" / labels / "1_01_00_ball.csv").write_text("Frame,Visibility,X,Y\n1,1,3,4\n")
    assert [r.path.name for r in read_dataset(tmp_path).records] == ["1_01_00.mp4"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"PK\x03\x04" + bytes(range(256)), "a spreadsheet"),
        ("a.xlsx", b"PK\x03\x04", "a spreadsheet"),
        ("a.csv", b"0,1,10,20\n1,1,11,21\n", "without a header"),
        ("a.csv", b"frame,nose_x,nose_y,tail_x,tail_y\n0,1,2,3,4\n", r"2 points \(nose, tail\)"),
        ("a.csv", b"frame,x,y,w,h\n0,1,2,3,4\n", "the columns frame, x, y, w, h"),
        ("a.csv", b"Time;Ball/0/X;Ball/0/Y\n0,1;10,0;20,0\n", "goes by time"),
        ("a.txt", b"\tmass_A\t\nt\tx\ty\n0.1\t1\t2\n", "goes by time"),
        ("a.txt", b"Frame,X,Y\n0,1,2\n", "call it .csv"),
        ("a.csv", b"LABEL,TRACK_ID,POSITION_X,POSITION_Y,POSITION_T,FRAME\n", "TrackMate"),
        ("a.json", b'{"description": "", "figures": [{"objectKey": "1"}]}', "Supervisely"),
        ("a.json", b'{"version": "5", "shapes": [], "imagePath": "a.jpg"}', "LabelMe"),
        ("a.slp", b"\x89HDF", "SLEAP"),
    ],
)
def test_tables_and_projects_that_are_not_read_are_known_by_name(tmp_path, name, content, said):
    write_video(tmp_path / "b.mp4", frames=1)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{said}.*Clips are read as"):
        read_dataset(tmp_path)


def test_a_video_that_is_given_for_its_labels_is_told(tmp_path):
    folder = rally(tmp_path, "Frame,X,Y\n0,1,2\n")
    with pytest.raises(UserError, match=r"is a video\. Give its label file"):
        read_dataset(folder / "rally.mp4")
