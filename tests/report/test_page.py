"""The report's page: complete, safe, self-contained, readable on a phone; honest about what is missing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from chromium import PROGRAM, Chromium
from run_folders import make_run_folder

from sightline.errors import UserError
from sightline.report.page import write_report

ANCHORS = ("metrics", "training", "curves", "distribution", "points", "pictures", "budget", "inside", "settings")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return make_run_folder(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def html(run) -> str:
    return write_report(run).read_text(encoding="utf-8")


def test_a_complete_run_gives_all_sections_and_the_headline_with_its_interval(run, html):
    for anchor in ANCHORS:
        assert f'<section id="{anchor}">' in html
    measured = json.loads((run / "evaluation" / "metrics.json").read_text())["metrics"]["nme_interocular"]
    header = html[html.index("<header>") : html.index("</header>")]
    assert f"{measured['value'] * 100:.2f}\u202f%" in header
    assert f"{measured['low'] * 100:.2f} to {measured['high'] * 100:.2f}\u202f%" in header
    assert "sightline train demo_faces --data" in html


def test_the_page_loads_nothing_and_stays_small(html):
    assert len(html) < 3_000_000
    markup = re.sub(r"data:[a-z]+/[a-z]+;base64,[A-Za-z0-9+/=]+", "data:", html)
    assert not re.search(r"https?://", markup)
    assert "@import" not in markup
    assert "url(" not in markup
    assert "default-src 'none'" in markup


def test_pictures_show_the_unit_that_the_evaluation_divided_by(tmp_path):
    run = make_run_folder(tmp_path, pictures=3)
    path = run / "evaluation" / "metrics.json"
    evaluation = json.loads(path.read_text())
    evaluation["normaliser"] = "none"
    path.write_text(json.dumps(evaluation))
    assert re.search(r"<figcaption><b>[\d.]+\u202fpx</b>", write_report(run).read_text())


def test_user_strings_cannot_leave_their_place(tmp_path):
    page = write_report(make_run_folder(tmp_path, hostile=True)).read_text()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert page.count("</script>") == page.count("<script>") + page.count('<script type="application/json">')


def test_a_missing_picture_is_said_on_its_tile(tmp_path):
    run = make_run_folder(tmp_path, pictures=8)
    assert "no longer there" in write_report(run).read_text()
    shutil.rmtree(tmp_path / "faces")
    page = write_report(run).read_text()
    assert page.count("no longer there") == 8
    assert '<g class="truth">' in page, "points are drawn without the picture"


def test_a_picture_that_is_cut_short_is_said_on_its_tile(tmp_path):
    run = make_run_folder(tmp_path, pictures=4)
    victim = tmp_path / "faces" / "000.jpg"
    victim.write_bytes(victim.read_bytes()[:300])
    assert "cannot be read" in write_report(run).read_text()


def test_a_run_without_an_evaluation_still_gives_a_report(tmp_path):
    run = make_run_folder(tmp_path, pictures=4)
    shutil.rmtree(run / "evaluation")
    page = write_report(run).read_text()
    assert "no evaluation" in page
    assert '<section id="curves">' in page
    assert '<section id="metrics">' not in page
    assert "3.12" in page, "the best validation value is the headline"


@pytest.mark.parametrize("left", ["run.json", "config.yaml", "metrics.jsonl", "evaluation"])
def test_each_part_alone_gives_a_report(tmp_path, left):
    run = make_run_folder(tmp_path, pictures=4)
    for path in run.iterdir():
        if path.name != left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "Left out:" in write_report(run).read_text()


@pytest.mark.parametrize("name", ["metrics.json", "predictions.json", "heatmaps.npz", "filters.npz"])
def test_each_part_of_the_evaluation_may_be_missing(tmp_path, name):
    run = make_run_folder(tmp_path, pictures=4)
    (run / "evaluation" / name).unlink()
    assert "</html>" in write_report(run).read_text()


def test_a_half_written_last_line_is_left_out_and_later_lines_win(tmp_path):
    run = make_run_folder(tmp_path, pictures=4)
    rows = [{"kind": "train", "step": s, "loss": float(s)} for s in (1, 2, 3)]
    again = [{"kind": "train", "step": s, "loss": 7.0} for s in (2, 3)]
    text = "".join(json.dumps(row) + "\n" for row in [*rows, *again])
    (run / "metrics.jsonl").write_text(text + '{"kind": "tra')
    page = write_report(run).read_text()
    assert '"y":[1.0,7.0,7.0]' in page
    assert "half written" in page


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("metrics.jsonl", '{"kind": "train"}\nnot json\n{}\n', "line 2"),
        ("metrics.jsonl", "[1]\n", "line 1"),
        ("run.json", "{", "line 1"),
        ("run.json", "[]", "list"),
        ("config.yaml", "a: [", "YAML"),
        ("config.yaml", "- 1", "list"),
        ("evaluation/metrics.json", "3", "int"),
        ("evaluation/predictions.json", "{}", "dict"),
        ("evaluation/predictions.json", '[{"points_xy": [[1, 2]], "predicted_xy": [], "visible": [true]}]', "entry 0"),
        ("evaluation/predictions.json", '[{"points_xy": [[NaN,1]], "predicted_xy": [[1,2]],"visible":[1]}]', "entry 0"),
        ("evaluation/heatmaps.npz", "no archive", "heatmaps.npz"),
        ("evaluation/filters.npz", "", "filters.npz"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_understood_is_named(tmp_path, name, text, words):
    run = make_run_folder(tmp_path, pictures=2)
    (run / name).write_text(text)
    with pytest.raises(UserError, match=words) as error:
        write_report(run)
    assert Path(name).name in str(error.value)
    assert not (run / "report.html").exists()


def test_folders_that_are_no_runs_are_refused(tmp_path):
    with pytest.raises(UserError, match="not a run folder"):
        write_report(tmp_path)
    with pytest.raises(UserError, match="not a folder"):
        write_report(tmp_path / "nothing")


def test_odd_values_do_not_break_the_page(tmp_path):
    run = make_run_folder(tmp_path, pictures=3)
    evaluation = json.loads((run / "evaluation" / "metrics.json").read_text())
    evaluation["metrics"] = {
        "nme_interocular": {"value": float("nan")},
        "mystery": {"value": 0},
        "rmse_px": {"value": 2},
    }
    evaluation["per_point"], evaluation["mean_shape"], evaluation["budget"] = [{"name": "a"}], [[0, 0]], {"x": None}
    (run / "evaluation" / "metrics.json").write_text(json.dumps(evaluation))
    predictions = json.loads((run / "evaluation" / "predictions.json").read_text())
    predictions[0]["visible"] = [False] * 68
    predictions[1]["predicted_xy"] = [[1e7, -1e7]] * 68
    (run / "evaluation" / "predictions.json").write_text(json.dumps(predictions))
    (run / "metrics.jsonl").write_text(
        '{"kind": "train", "step": 1, "loss": 0.5}\n{"kind": "val", "step": 1, "loss": NaN}\n'
    )
    page = write_report(run).read_text()
    assert "mystery" in page
    assert "nan" not in re.sub(r"base64,[^\"]+", "", page).lower()


def test_one_point_per_picture_gives_a_report_with_pictures_around_it(tmp_path):
    run = make_run_folder(tmp_path, pictures=3)
    entries = json.loads((run / "evaluation" / "predictions.json").read_text())
    for entry in entries:
        for key in ("points_xy", "predicted_xy", "visible", "score"):
            entry[key] = entry[key][:1]
    (run / "evaluation" / "predictions.json").write_text(json.dumps(entries))
    page = write_report(run).read_text()
    box = re.search(r'class="zoom"[^>]*><svg viewBox="\S+ \S+ (\S+) (\S+)"', page)
    assert box
    assert float(box[1]) == float(box[2]) > 20


def test_points_are_drawn_where_the_prediction_file_says(tmp_path):
    run = make_run_folder(tmp_path, pictures=1)
    entry = json.loads((run / "evaluation" / "predictions.json").read_text())[0]
    page = write_report(run).read_text()
    group = re.search(r'<g class="truth">(.*?)</g>', page)
    assert group
    drawn = np.array(re.findall(r'cx="(\S+)" cy="(\S+)"', group[1]), dtype=float)
    assert np.allclose(drawn, np.array(entry["points_xy"])[entry["visible"]], atol=0.006)


def test_the_report_is_written_without_torch(run):
    script = "import sys; from sightline.report.page import write_report; from pathlib import Path; "
    script += f"write_report(Path({str(run)!r})); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if PROGRAM is None:
        pytest.skip("no Chromium here")
    with Chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("hostile", [False, True])
def test_the_page_fits_its_width_and_asks_for_nothing(tmp_path, browser, width, hostile):
    page = write_report(make_run_folder(tmp_path, pictures=17, hostile=hostile))
    browser.requests.clear()
    browser.complaints.clear()
    browser.open(page.as_uri(), width=width)
    browser.evaluate(
        "document.querySelectorAll('details').forEach(d => d.open = true); new Promise(r => setTimeout(r, 400))"
    )
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    browser.evaluate("document.querySelector('.zoom').click()")
    assert browser.evaluate("document.querySelector('dialog').open && !!document.querySelector('dialog svg')")
    assert browser.evaluate("document.querySelector('dialog').getBoundingClientRect().right") <= width
    assert browser.complaints == []
    assert {url for url in browser.requests if not url.startswith("data:")} == {page.as_uri()}


def test_the_page_responds(run, html, browser):
    browser.open((run / "report.html").as_uri(), width=900)
    browser.evaluate("document.querySelector('[data-layer=truth]').click()")
    assert browser.evaluate("getComputedStyle(document.querySelector('.tile .truth')).display") == "none"
    assert browser.evaluate("getComputedStyle(document.querySelector('.tile .guess')).display") != "none"
    browser.evaluate(
        "(() => { const s = document.querySelector('.chart svg'), b = s.getBoundingClientRect();"
        "s.dispatchEvent(new PointerEvent('pointermove', {clientX: b.left + b.width / 2, clientY: b.top + 9})); })()"
    )
    assert "validation" in str(browser.evaluate("document.querySelector('.chart .readout').textContent"))
    browser.evaluate("document.querySelector('.bars li').click()")
    assert "px" in str(browser.evaluate("document.querySelector('.points .readout').textContent"))
    assert browser.evaluate("document.querySelectorAll('#inside img[src]').length") == 0, "folded parts are not decoded"
    browser.evaluate("document.querySelector('#inside details').open = true; new Promise(r => setTimeout(r, 500))")
    lit = browser.evaluate(
        "(() => { const c = document.querySelector('.heat canvas');"
        "const all = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "return all.filter((v, i) => i % 4 === 3 && v > 200).length })()"
    )
    assert isinstance(lit, int)
    assert lit > 60
