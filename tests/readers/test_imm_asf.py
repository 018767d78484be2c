from __future__ import annotations

from sightline.readers import read_dataset

RULE = "#" * 70


def write(path, points, *, announced=None, host=None, newline="\r\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    head = [RULE, "#", "#    AAM Shape File  -  written: Monday May 08 - 2000 [15:22]", "#", RULE, ""]
    head += ["#", "# number of model points", "#", str(announced or len(points)), ""]
    head += [
        "#",
        "# model points",
        "#",
        "# format: <path#> <type> <x rel.> <y rel.> <point#> <connects from> <connects to>",
        "#",
    ]
    rows = [f"0 \t0 \t{x} \t{y} \t{i} \t{i} \t{i + 1}" for i, (x, y) in enumerate(points)]
    tail = ["", "#", "# host image", "#", host or path.with_suffix(".jpg").name]
    path.write_bytes((newline.join([*head, *rows, *tail]) + newline).encode())


def test_fractions_span_the_picture_from_edge_to_edge(tmp_path, picture):
    picture(tmp_path / "40-2m.jpg", width=640, height=480)
    write(tmp_path / "40-2m.asf", [(0.5, 0.25), (0.36367154, 0.52316707)])
    (record,) = read_dataset(tmp_path).records
    assert record.points_xy.tolist() == [[320, 120], [0.36367154 * 640, 0.52316707 * 480]]
    assert (record.group, record.image_id, record.source) == ("40", "40-2m.jpg", "40-2m.asf")


def test_58_points_are_imms(tmp_path, picture):
    picture(tmp_path / "data" / "01-1m.jpg")
    write(tmp_path / "data" / "01-1m.asf", [(0.5, 0.5)] * 58)
    dataset = read_dataset(tmp_path)
    assert dataset.skeleton.names[52] == "nose_tip"
    assert [problem.id for problem in dataset.problems] == ["skeleton-assumed"]


def test_the_host_image_is_taken_where_none_has_the_files_name(tmp_path, picture):
    picture(tmp_path / "face.bmp")
    write(tmp_path / "labels.asf", [(0.5, 0.5)], host="face.bmp", newline="\n")
    (record,) = read_dataset(tmp_path).records
    assert record.image_id == "face.bmp"
    assert record.group is None


def test_57_points_among_58s_are_an_error_that_names_both(tmp_path, picture):
    for name in ("01-1m", "02-1m", "03-1m"):
        picture(tmp_path / f"{name}.jpg")
        write(tmp_path / f"{name}.asf", [(0.5, 0.5)] * (57 if name == "02-1m" else 58))
    dataset = read_dataset(tmp_path)
    (problem,) = dataset.errors
    assert (problem.id, problem.where) == ("point-count", "02-1m.asf")
    assert "57 points" in problem.message
    assert "expected 58" in problem.message
    assert len(dataset) == 2


def test_bad_files_are_told_at_once_with_their_lines(tmp_path, picture):
    for name in "abcd":
        picture(tmp_path / f"{name}.jpg")
    write(tmp_path / "a.asf", [(0.1, 0.2), (0.3, 0.4)])
    write(tmp_path / "b.asf", [(0.1, 0.2), ("inf", 0.4)])
    write(tmp_path / "c.asf", [(0.1, 0.2), ("half", 0.4)])
    write(tmp_path / "d.asf", [(0.1, 0.2), (0.3, 0.4)], announced=3)
    (tmp_path / "e.asf").write_text("# nothing here\n")
    write(tmp_path / "f.asf", [(0.1, 0.2), (0.3, 0.4)])
    dataset = read_dataset(tmp_path)
    assert [record.image_id for record in dataset.records] == ["a.jpg"]
    assert sorted((p.id, p.where) for p in dataset.errors) == [
        ("image-missing", "f.asf"),
        ("point-count", "d.asf:10"),
        ("point-not-finite", "b.asf:18"),
        ("row-unreadable", "c.asf:18"),
        ("row-unreadable", "e.asf"),
    ]
