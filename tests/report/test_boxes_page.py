"""The report of many boxes and of one: the same page with sections of its own, and the evaluation's numbers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from box_runs import CLASSES, make_boxes_run

from sightline.report.box_states import judge
from sightline.report.page import write_report

BOXES = ("metrics", "training", "curves", "precision-recall", "classes", "mistakes", "confusion", "pictures", "scores",
         "labels", "anchors", "inside", "settings")  # fmt: skip
ONE_BOX = ("metrics", "training", "curves", "distribution", "classes", "confusion", "pictures", "scores", "labels")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return make_boxes_run(tmp_path_factory.mktemp("boxes"))


@pytest.fixture(scope="module")
def html(run) -> str:
    return write_report(run).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def one_box(tmp_path_factory) -> Path:
    return make_boxes_run(tmp_path_factory.mktemp("one"), task="one-box", seed=1)


def load(run: Path, name: str) -> dict | list:
    return json.loads((run / name).read_text())


def change(run: Path, name: str, **values: object) -> None:
    (run / name).write_text(json.dumps({**load(run, name), **values}))


def one_picture(run: Path, *, objects: list[tuple], found: list[tuple]) -> str:
    """The page of a run with one picture of 72 x 96 px: objects as (box, label), found as (box, label, score)."""
    entry = load(run, "evaluation/predictions.json")[0]
    entry["objects"] = [{"box_xyxy": box, "label": label, "crowd": False} for box, label in objects]
    entry["detections"] = [{"box_xyxy": box, "label": label, "score": score} for box, label, score in found]
    entry["error"] = 0.5
    (run / "evaluation" / "predictions.json").write_text(json.dumps([entry]))
    change(run, "evaluation/metrics.json", thresholds=dict.fromkeys(CLASSES, 0.5))
    return write_report(run).read_text()


def layer(page: str, name: str) -> str:
    """All that a tile draws in one layer."""
    return "".join(
        re.findall(rf'<g class="{name}">(?=<g|<text)(.*?)(?=<g class="[a-z ]{{5,}}">(?:<g|<text)|</svg>)', page)
    )


@pytest.mark.parametrize(("task", "anchors"), [("boxes", BOXES), ("one-box", ONE_BOX)])
def test_a_complete_run_gives_all_sections_of_its_task(tmp_path, task, anchors):
    page = write_report(make_boxes_run(tmp_path, task=task)).read_text()
    for anchor in anchors:
        assert f'<section id="{anchor}">' in page
    assert '<section id="points">' not in page
    assert "Left out" not in page


@pytest.mark.parametrize(("task", "name"), [("boxes", "ap"), ("one-box", "score")])
def test_the_headline_is_the_metric_that_the_run_was_chosen_by(tmp_path, task, name):
    run = make_boxes_run(tmp_path, task=task, pictures=6)
    page = write_report(run).read_text()
    measured = load(run, "evaluation/metrics.json")["metrics"][name]
    header = page[page.index("<header>") : page.index("</header>")]
    assert f"<strong>{measured['value']:.3f}</strong>" in header
    assert f"{measured['low']:.3f} to {measured['high']:.3f}" in header


def test_the_sentences_count_what_the_evaluation_counted(run, html):
    table = load(run, "evaluation/metrics.json")["per_class"]
    objects, right = sum(row["objects"] for row in table), sum(row["found"] for row in table)
    kept = right + sum(row["false_alarms"] for row in table)
    assert f"{right:,} of {objects:,} labelled objects are found" in html
    assert f"{right:,} of the {kept:,} boxes that it draws are right" in html
    assert f"{objects - right:,} are not, and {kept - right:,} of {kept:,} kept boxes are wrong" in html
    assert "on these very pictures, which flatters" in html


def test_thresholds_of_the_run_are_said_to_be_its_own(tmp_path):
    run = make_boxes_run(tmp_path, pictures=5)
    change(run, "evaluation/metrics.json", thresholds_from="the run")
    page = write_report(run).read_text()
    assert "go with the run" in page
    assert "flatters" not in page


def test_boxes_on_pictures_are_judged_as_the_evaluation_judged_them(run):
    entries = load(run, "evaluation/predictions.json")
    thresholds = load(run, "evaluation/metrics.json")["thresholds"]
    judged = judge(entries, classes=CLASSES, thresholds=thresholds)
    assert sum(one.wrong for one in judged) > 3
    for entry, one in zip(entries, judged, strict=True):
        total = one.right + one.wrong + one.objects
        assert (1 - 2 * one.right / total if total else 0.0) == pytest.approx(entry["error"])
    counts = load(run, "evaluation/metrics.json")["error_kinds"]["counts"]
    states = [box.state for one in judged for box in one.found]
    assert {kind: states.count(kind) for kind in counts if kind != "missed"} == {
        kind: count for kind, count in counts.items() if kind != "missed"
    }
    assert sum(box.is_unseen for one in judged for box in one.truth) == counts["missed"]


def test_every_state_has_a_line_and_words_of_its_own(tmp_path):
    run = make_boxes_run(tmp_path, pictures=4)
    page = one_picture(
        run,
        objects=[([5, 5, 25, 25], 0), ([40, 5, 60, 25], 1), ([70, 40, 90, 60], 2)],
        found=[
            ([5, 5, 25, 24], 0, 0.9), ([6, 5, 25, 25], 0, 0.8), ([40, 6, 60, 25], 2, 0.7), ([5, 50, 15, 60], 1, 0.6),
            ([70, 5, 80, 15], 0, 0.4),
        ],
    )  # fmt: skip
    assert "M5.0 5.0H25.0V24.0H5.0Z" in layer(page, "right")
    assert "M5.0 5.0H25.0V25.0H5.0Z" in layer(page, "truth")
    wrong = layer(page, "wrong")
    for drawn in ("M6.0 5.0H25.0", "M40.0 6.0H60.0", "M5.0 50.0H15.0"):
        assert drawn in wrong
    for words in ("0.80: found before", "0.70: is person", "0.60: nothing there"):
        assert words in wrong
    assert wrong.count("\u00d7") == 3
    missed = layer(page, "missed")
    assert "missed bicycle" in missed
    assert "missed person" not in missed, "the wrong box on it says so"
    assert "M40.0 5.0" not in layer(page, "truth"), "what is missed is not drawn as found"
    assert "M70.0 5.0" not in page, "a score below the threshold is not drawn"
    assert "<b>1 of 3 found, 3 wrong</b>" in page


def test_a_threshold_is_reached_by_an_equal_score(tmp_path):
    run = make_boxes_run(tmp_path, pictures=4)
    boxes = [([5, 5, 25, 25], 0, 0.5), ([40, 5, 60, 25], 1, 0.4999)]
    page = one_picture(run, objects=[([5, 5, 25, 25], 0), ([40, 5, 60, 25], 1)], found=boxes)
    assert "M5.0 5.0" in layer(page, "right")
    assert "<b>1 of 2 found</b>" in page


def test_a_crowd_is_neither_missed_nor_wrong(tmp_path):
    run = make_boxes_run(tmp_path, pictures=4)
    one_picture(run, objects=[([5, 5, 60, 60], 0)], found=[([5, 5, 60, 58], 0, 0.9), ([6, 5, 60, 60], 0, 0.8)])
    entries = load(run, "evaluation/predictions.json")
    entries[0]["objects"][0]["crowd"] = True
    (run / "evaluation" / "predictions.json").write_text(json.dumps(entries))
    page = write_report(run).read_text()
    assert "<b>nothing to find</b>" in page
    assert layer(page, "missed") == ""


def test_pictures_without_objects_and_without_boxes_are_shown(tmp_path):
    run = make_boxes_run(tmp_path, pictures=4)
    assert "nothing to find" in one_picture(run, objects=[], found=[])
    assert "nothing to find, 1 wrong" in one_picture(run, objects=[], found=[([5, 5, 25, 25], 0, 0.9)])
    assert "0 of 1 found" in one_picture(run, objects=[([5, 5, 25, 25], 0)], found=[])


def test_the_one_box_is_shown_with_its_iou_and_a_wrong_class(one_box):
    entries = load(one_box, "evaluation/predictions.json")
    truth, best = entries[0]["objects"][0], entries[0]["detections"][0]
    iou = 1 - entries[0]["error"] % 1
    best["label"], entries[0]["error"] = (truth["label"] + 1) % 3, 2 - iou
    (one_box / "evaluation" / "predictions.json").write_text(json.dumps(entries))
    page = write_report(one_box).read_text()
    assert f"<b>IoU {iou:.3f}, {CLASSES[truth['label']]} told as {CLASSES[best['label']]}</b>" in page
    entries[0]["detections"] = []
    (one_box / "evaluation" / "predictions.json").write_text(json.dumps(entries))
    assert "no box inside of the picture" in write_report(one_box).read_text()


def test_the_confusion_matrix_has_the_counts_with_background_last(run, html):
    matrix = load(run, "evaluation/metrics.json")["confusion"]
    part = html[html.index('<section id="confusion">') :]
    part = part[: part.index("</section>")]
    cells = [
        int(text.replace(",", ""))
        for text in re.findall(r'<td class="[a-z ]+" style="[^"]*" title="[^"]*">([\d,]+)<', part)
    ]
    assert cells == [count for row in matrix["counts"] for count in row][:-1]
    assert part.index("bicycle") < part.index("missed")


def test_of_many_classes_the_most_confused_pairs_are_told(tmp_path):
    names = [f"class {k}" for k in range(80)]
    run = make_boxes_run(tmp_path, pictures=30, classes=names)
    counts = np.zeros((81, 81), dtype=int)
    np.fill_diagonal(counts, 30)
    counts[80, 80] = 0
    counts[7, 12], counts[70, 3], counts[5, 80], counts[80, 9] = 41, 17, 23, 19
    change(run, "evaluation/metrics.json", confusion={"names": [*names, "background"], "counts": counts.tolist()})
    page = write_report(run).read_text()
    assert page.index("class 7 found as class 12") < page.index("class 70 found as class 3")
    assert "41 of 71" in page
    assert "23 of 53" in page
    assert "19 of 49" in page
    assert 'class="matrix' not in page
    assert "best and worst of" in page
    assert len(page) < 3_000_000


def test_mean_sizes_and_kinds_of_mistakes_are_the_evaluations(run, html):
    evaluation = load(run, "evaluation/metrics.json")
    labels = html[html.index('<section id="labels">') :]
    for row in evaluation["label_statistics"]:
        assert f"{row['width_px']:.1f} x {row['height_px']:.1f}" in labels
    mistakes = html[html.index('<section id="mistakes">') : html.index('<section id="confusion">')]
    bold = [int(text) for text in re.findall(r"<b>(\d+)</b>", mistakes)]
    assert bold == list(evaluation["error_kinds"]["counts"].values())
    assert "below 16 x 16 px" in mistakes


def test_the_anchor_table_says_recall_orphans_and_whether_others_would_help(run, html):
    report = load(run, "run.json")["anchors"]
    part = html[html.index('<section id="anchors">') : html.index('<section id="inside">')]
    assert f"{report['coverage']['recall'] * 100:.1f}\u202f%" in part
    for way in ("fixed IoU", "ATSS", "task-aligned"):
        assert way in part
    assert part.count("8 x 8") == 3
    assert f"Those by {report['better']} would help" in part


@pytest.mark.parametrize("task", ["boxes", "one-box"])
def test_user_strings_cannot_leave_their_place_and_nothing_is_loaded(tmp_path, task):
    page = write_report(make_boxes_run(tmp_path, task=task, hostile=True)).read_text()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert page.count("</script>") == page.count("<script>") + page.count('<script type="application/json">')
    markup = re.sub(r"data:[a-z]+/[a-z]+;base64,[A-Za-z0-9+/=]+", "data:", page)
    assert not re.search(r"https?://|@import|url\(", markup)


def test_pictures_that_are_gone_leave_their_boxes(tmp_path):
    run = make_boxes_run(tmp_path, pictures=8)
    shutil.rmtree(tmp_path / "shapes")
    page = write_report(run).read_text()
    assert page.count("no longer there") == 8
    assert layer(page, "right")


def test_the_report_of_boxes_is_written_without_torch(run):
    script = "import sys; from sightline.report.page import write_report; from pathlib import Path; "
    script += f"write_report(Path({str(run)!r})); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
