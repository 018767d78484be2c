from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from sightline.errors import UserError
from sightline.readers import read_dataset
from sightline.scan import require_clean, scan

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "bccd"


def thing(name="cell", box=(10, 20, 40, 28), difficult="0"):
    edges = "".join(
        f"<{edge}>{value}</{edge}>" for edge, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<object>\n<name>{name}</name><difficult>{difficult}</difficult><bndbox>{edges}</bndbox>\n</object>"


def xml(*things, filename="a.png", size=(64, 48)):
    said = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    return f"<annotation>\n<filename>{filename}</filename>\n{said}\n{''.join(things)}</annotation>\n"


@pytest.fixture
def voc(tmp_path, picture):
    """Three pictures in the format's own layout; b has no objects."""
    for name, text in (("a", xml(thing())), ("b", xml(filename="b.png")), ("c", xml(thing("dot"), filename="c.png"))):
        picture(tmp_path / "JPEGImages" / f"{name}.png")
        write(tmp_path / "Annotations" / f"{name}.xml", text)
    lists = {"train": "a\nb\n", "val": "c  1\n", "trainval": "a\nb\nc\n", "cell_train": "a 1\nb -1\nc 1\n"}
    for name, text in lists.items():
        write(tmp_path / "ImageSets" / "Main" / f"{name}.txt", text)
    return tmp_path


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)
    return path


def found(dataset, severity="error"):
    return [(p.id, p.where) for p in dataset.problems if p.severity == severity]


def test_the_formats_own_layout_is_read_with_its_parts(voc):
    dataset = read_dataset(voc)
    assert (dataset.format, dataset.classes, dataset.class_ids) == ("voc", ("cell", "dot"), ())
    assert [(r.image_id, r.split, len(r.objects)) for r in dataset.records] == [
        ("JPEGImages/a.png", "train", 1),
        ("JPEGImages/b.png", "train", 0),
        ("JPEGImages/c.png", "val", 1),
    ]
    assert dataset.records[0].objects.boxes_xyxy.tolist() == [[10, 20, 40, 28]]
    assert dataset.records[0].source == "Annotations/a.xml"
    assert not dataset.errors


def test_the_folder_of_annotations_and_a_single_file_are_read_too(voc):
    assert [r.image_id for r in read_dataset(voc / "Annotations").records] == [f"JPEGImages/{n}.png" for n in "abc"]
    (record,) = read_dataset(voc / "Annotations" / "a.xml").records
    assert (record.image_id, record.split) == ("JPEGImages/a.png", "train")


def test_files_beside_the_pictures_are_read(tmp_path, picture):
    picture(tmp_path / "a.jpg")
    write(tmp_path / "a.xml", xml(thing(box=("10.5", "20.25", 40, 28)), filename="other-name.jpg"))
    (record,) = read_dataset(tmp_path).records
    assert (record.image_id, record.split) == ("a.jpg", None)
    assert record.objects.boxes_xyxy.tolist() == [[10.5, 20.25, 40, 28]]


def test_folders_of_parts_are_read(tmp_path, picture):
    for part in ("train", "valid"):
        picture(tmp_path / part / "a.jpg")
        write(tmp_path / part / "a.xml", xml(thing(), filename="a.jpg"))
    assert [(r.image_id, r.split) for r in read_dataset(tmp_path).records] == [
        ("train/a.jpg", "train"),
        ("valid/a.jpg", "val"),
    ]


def test_trainval_is_for_training_where_there_is_nothing_else(voc):
    for name in ("train", "val"):
        (voc / "ImageSets" / "Main" / f"{name}.txt").unlink()
    assert {record.split for record in read_dataset(voc).records} == {"train"}


def test_lists_that_contradict_or_lack_names_are_told(voc):
    write(voc / "ImageSets" / "Main" / "val.txt", "a\ngone\n")
    dataset = read_dataset(voc)
    assert {r.image_id[-5]: r.split for r in dataset.records} == {"a": "train", "b": "train", "c": None}
    assert [place for place in found(dataset, "warning") if place[0].startswith(("split", "label"))] == [
        ("split-twice", "ImageSets/Main/val.txt:1"),
        ("label-missing", "ImageSets/Main/val.txt"),
        ("split-unlisted", "ImageSets/Main"),
    ]


def test_difficult_objects_are_crowds(voc):
    write(voc / "Annotations" / "a.xml", xml(thing(difficult="1"), thing(box=(1, 2, 3, 4))))
    assert read_dataset(voc).records[0].objects.crowd.tolist() == [True, False]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "dot\ncell\nrare\n"),
        ("labelmap.txt", "# a:b:c:d\nbackground:0,0,0::\ndot:1,2,3::\ncell:::\nrare:::\n"),
    ],
)
def test_a_class_list_gives_the_order_and_the_unused(voc, name, text):
    write(voc / name, text)
    dataset = read_dataset(voc)
    assert dataset.classes == ("dot", "cell", "rare")
    assert "1 of 3 classes have no object: rare" in " ".join(str(p) for p in dataset.problems)


def test_what_is_wrong_is_told_at_once_with_file_and_line(voc, picture):
    bad = [
        thing(),
        thing(box=(5, 5, 5, 9)),
        thing(box=(30, 5, 8, 9)),
        thing(box=("nan", 5, 8, 9)),
        thing(box=("x", 5, 8, 9)),
        thing(box=(70, 5, 80, 9)),
        thing(name=" "),
        "<object>\n<name>cell</name>\n</object>",
        thing(),
        thing(box=(50, 40, 70, 48)),
    ]
    write(voc / "Annotations" / "a.xml", xml(*(text + "\n" for text in bad)))
    write(voc / "Annotations" / "d.xml", xml(thing(), filename="d.png"))
    picture(voc / "JPEGImages" / "e.png")
    dataset = read_dataset(voc)
    lines = [4 + 3 * index for index in range(len(bad))]
    errors = {1: "box-empty", 2: "box-inverted", 3: "box-not-finite", 4: "row-unreadable", 5: "box-off-image",
              6: "box-class-missing", 7: "row-unreadable"}  # fmt: skip
    expected = {(name, f"Annotations/a.xml:{lines[index]}") for index, name in errors.items()}
    assert {place for place in found(dataset) if "a.xml" in place[1]} == expected
    assert ("image-missing", "Annotations/d.xml") in found(dataset)
    warned = found(dataset, "warning")
    assert ("box-duplicated", f"Annotations/a.xml:{lines[8]}") in warned
    assert ("box-cut", f"Annotations/a.xml:{lines[9]}") in warned
    assert ("label-missing", "JPEGImages/e.png") in warned
    assert len(dataset.records[0].objects) == 2


BOMB = '<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;">]>\n'
EXTERNAL = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n'
ELSEWHERE = '<!DOCTYPE annotation SYSTEM "http://example.com/a.dtd">\n'


@pytest.mark.parametrize("head", [BOMB, EXTERNAL, ELSEWHERE], ids=["bomb", "external", "dtd"])
def test_document_types_are_refused_for_that_file_alone(voc, head):
    write(voc / "Annotations" / "a.xml", head + xml(thing(name="&x;" if "ENTITY" in head else "cell")))
    dataset = read_dataset(voc)
    assert found(dataset) == [("label-unreadable", "Annotations/a.xml")]
    assert "document type" in dataset.errors[0].message
    assert dataset.errors[0].image_id == "JPEGImages/a.png"
    assert len(dataset) == 2


@pytest.mark.parametrize("text", [xml(thing())[:-30], "", "not xml", "<annotations/>", xml() + xml()])
def test_files_that_are_no_annotation_are_errors_of_their_pictures(voc, text):
    write(voc / "Annotations" / "a.xml", text)
    dataset = read_dataset(voc)
    assert found(dataset) == [("label-unreadable", "Annotations/a.xml")]
    assert not [p for p in dataset.problems if p.id == "label-missing" and "a.png" in p.where]


def test_encodings_are_what_the_file_says(voc):
    name = "Zelle-\u00e9"
    for encoding in ("utf-8", "utf-16", "iso-8859-1"):
        head = f'<?xml version="1.0" encoding="{encoding}"?>\n'
        write(voc / "Annotations" / "a.xml", head + xml(thing(name)), encoding=encoding)
        assert name in read_dataset(voc).classes
    for said in ("gb2312", "no-such-thing"):
        write(voc / "Annotations" / "a.xml", f'<?xml version="1.0" encoding="{said}"?>\n' + xml(thing()))
        dataset = read_dataset(voc)
        assert found(dataset) == [("label-unreadable", "Annotations/a.xml")]
        assert "UTF-8" in dataset.errors[0].message


def test_a_file_name_inside_that_is_another_picture_is_warned_of(voc):
    write(voc / "Annotations" / "a.xml", xml(thing(), filename="b.png"))
    dataset = read_dataset(voc)
    assert ("filename-differs", "Annotations/a.xml") in found(dataset, "warning")
    assert dataset.records[0].image_id == "JPEGImages/a.png"


def test_sizes_of_zero_are_no_claim_and_nonsense_is_warned_of(voc):
    write(voc / "Annotations" / "a.xml", xml(thing(), size=(0, 0)))
    write(voc / "Annotations" / "b.xml", xml(filename="b.png", size=("wide", 3)))
    write(voc / "Annotations" / "c.xml", xml(thing("dot"), filename="c.png", size=(48, 64)))
    warned = found(read_dataset(voc), "warning")
    assert [place for place in warned if place[1].startswith("Annotations")] == [
        ("row-unreadable", "Annotations/b.xml:3"),
        ("image-size-mismatch", "Annotations/c.xml"),
    ]


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real data sets are not beside the checkout")
def test_bccd_reads_whole_and_its_two_empty_boxes_are_told():
    dataset = read_dataset(REAL)
    assert (dataset.format, len(dataset), dataset.classes) == ("voc", 292, ("Platelets", "RBC", "WBC"))
    assert Counter(record.split for record in dataset.records) == {"train": 205, "val": 87}
    assert [(p.severity, p.id, p.image_id) for p in dataset.problems] == [
        ("error", "box-empty", "JPEGImages/BloodImage_00338.jpg"),
        ("error", "box-empty", "JPEGImages/BloodImage_00343.jpg"),
    ]
    scanned = scan(dataset, decode=False)
    assert len(require_clean(scanned, skip_broken=True)) == 292
    with pytest.raises(UserError, match="go on without the boxes named with the 292 usable samples"):
        require_clean(scanned, skip_broken=False)


@pytest.mark.parametrize(
    ("labels", "pictures"),
    [("annots", "images"), ("labels", "images"), ("annotations/xmls", "images"), ("xml", "img")],
)
def test_folders_may_have_other_names(tmp_path, picture, labels, pictures):
    picture(tmp_path / pictures / "a.jpg")
    write(tmp_path / labels / "a.xml", xml(thing(), filename="elsewhere.jpg"))
    (record,) = read_dataset(tmp_path).records
    assert (record.image_id, record.objects.boxes_xyxy.tolist()) == (f"{pictures}/a.jpg", [[10, 20, 40, 28]])


def test_parts_may_hold_folders_of_labels_and_pictures_of_equal_names(tmp_path, picture):
    for part, name in (("train", "cell"), ("test", "dot")):
        picture(tmp_path / part / "images" / "a.jpg")
        write(tmp_path / part / "annotations" / "a.xml", xml(thing(name), filename="a.jpg"))
    dataset = read_dataset(tmp_path)
    assert [(r.image_id, r.split, r.objects.labels.tolist()) for r in dataset.records] == [
        ("test/images/a.jpg", "test", [1]),
        ("train/images/a.jpg", "train", [0]),
    ]


def test_the_folder_above_one_year_of_voc_is_enough(tmp_path, picture):
    picture(tmp_path / "VOC2007" / "JPEGImages" / "a.jpg")
    write(tmp_path / "VOC2007" / "Annotations" / "a.xml", xml(thing()))
    assert len(read_dataset(tmp_path)) == 1


def test_a_filename_without_an_ending_and_boxes_of_parts_are_read_as_they_are_meant(tmp_path, picture):
    picture(tmp_path / "JPEGImages" / "2008_01.jpg")
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></part>"
    text = xml(thing(box=(10.25, 20, 40, 28)).replace("<name>", part + "<name>", 1), filename="2008_01")
    write(tmp_path / "Annotations" / "other.xml", re.sub("<size>.*</size>", "", text))
    (record,) = read_dataset(tmp_path).records
    assert (record.path.name, record.objects.boxes_xyxy.tolist()) == ("2008_01.jpg", [[10.25, 20, 40, 28]])
