"""Scoring of tracks: of what a model found, and of a CSV that a tracker wrote."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
from scored_tracks import clip_records, flight, settings

from sightline.cli import app
from sightline.errors import UserError
from sightline.evaluate import SCORINGS
from sightline.evaluate.track import VISIBLE, TrackScoring
from sightline.evaluate.track_csv import read_track, score_csv
from sightline.metrics.picture_table import PictureTable
from sightline.readers import read_dataset
from sightline.records import Dataset, FoundPoints, Skeleton

SIZE = (90, 160)
HEADER = "frame,time_s,x,y,visible,score,radius_px,step"


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("clips")
    return [
        record
        for name in "ab"
        for record in clip_records(folder, name, flight(rng, frames=40, size_hw=SIZE), size_hw=SIZE)
    ]


def found_at(records, *, off: float = 0.0, hidden_score: float = 0.2) -> list[FoundPoints]:
    return [
        FoundPoints(
            points_xy=r.points_xy + np.array([[off, 0.0]]), scores=np.array([0.9 if r.visible[0] else hidden_score])
        )
        for r in records
    ]


def test_flawless_predictions_have_flawless_numbers_and_beat_guessing(records):
    evaluation = TrackScoring(settings(), {}).score(found_at(records), records)
    values = {name: found.value for name, found in evaluation.metrics.items()}
    for name in ("f1", "precision", "recall", "accuracy", "hit_rate"):
        assert values[name] == 1.0, name
    assert values["mean_error_px"] == values["rmse_px"] == 0.0
    assert evaluation.thresholds == {VISIBLE: pytest.approx(0.55)}
    assert evaluation.details["outcomes"] == {"TP": 68, "FP1": 0, "FP2": 0, "TN": 12, "FN": 0}
    assert evaluation.details["thresholds_from"] == "the data scored"
    assert evaluation.details["gaps"]["count"] == 0 and evaluation.details["switches"]["switches"] == 0
    assert all(guess["f1"] < 1 for guess in evaluation.details["baselines"].values())
    json.dumps(evaluation.to_json(), allow_nan=False)
    table = PictureTable.from_arrays(evaluation.arrays["pictures"])
    assert table.values("f1", np.ones((1, len(records))))[0] == 1.0


def test_the_distance_is_the_setting_and_errors_are_in_pixels_of_the_frames(records):
    found = found_at(records, off=6.0)
    near = TrackScoring(settings(threshold_px=5.0), {}).score(found, records)
    far = TrackScoring(settings(threshold_px=6.5), {}).score(found, records)
    assert near.metrics["f1"].value == 0.0 and far.metrics["f1"].value == 1.0
    assert near.metrics["mean_error_px"].value == pytest.approx(6.0)
    assert near.details["threshold_px"] == 5.0
    row = near.predictions[0]
    assert row["outcome"] == near.per_image[0]["outcome"] and row["error"] == pytest.approx(6.0, abs=1e-3)


def test_the_runs_own_threshold_holds(records):
    evaluation = TrackScoring(settings(), {VISIBLE: 0.95}).score(found_at(records), records)
    assert evaluation.thresholds == {VISIBLE: 0.95} and evaluation.details["thresholds_from"] == "the run"
    assert evaluation.details["outcomes"]["FN"] == 68


def test_checkpoints_are_told_apart_before_a_single_point_is_near_enough(records):
    scoring = TrackScoring(settings(), {})
    bad, worse = (scoring.quick(found_at(records, off=off), records) for off in (30.0, 100.0))
    assert bad["f1"] == worse["f1"] == 0.0
    assert scoring.choose(bad) == "f1_wide" and bad["f1_wide"] > worse["f1_wide"] > 0
    assert SCORINGS["track"] is TrackScoring and not scoring.less_is_better
    hidden = [record for record in records if not record.visible[0]]
    values = scoring.quick(found_at(hidden), hidden)
    assert scoring.choose(values) == "accuracy" and values["accuracy"] >= 0


def test_settings_that_mean_nothing_for_tracks_are_refused():
    with pytest.raises(UserError, match="flip_average"):
        TrackScoring(settings(flip_average=True), {})
    with pytest.raises(UserError, match=r"names car, expected 'visible' alone"):
        TrackScoring(settings(), {"car": 0.3})


def data_set(records, *, clips="ab") -> Dataset:
    chosen = tuple(record for record in records if record.group in clips)
    return Dataset(
        root=chosen[0].path.parents[1], format="tracknet", records=chosen, skeleton=Skeleton(names=("point",))
    )


def write_csv(path, records, *, off=0.0, keep=slice(None), header=HEADER):
    lines = [header]
    for record in records[keep]:
        x, y = record.points_xy[0]
        shown = bool(record.visible[0])
        cells = f"{x + off:.3f},{y:.3f},1,0.9,2.0,fast" if shown else "0,0,0,0.1,,calibrate"
        lines.append(f"{record.frame},{record.frame / 60:.4f},{cells}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_csv_is_scored_against_the_clip_of_its_name(tmp_path, records):
    path = write_csv(tmp_path / "b.csv", [r for r in records if r.group == "b"], off=1.0)
    scored = score_csv(path, data_set(records), threshold_px=5.0)
    assert scored.clip == "b" and scored.without_row == scored.unlabelled == 0
    told = scored.to_json()
    assert told["metrics"]["f1"]["value"] == 1.0 and told["threshold_px"] == 5.0
    assert told["metrics"]["mean_error_px"]["value"] == pytest.approx(1.0, abs=1e-3)
    assert [(row["step"], row["frames"]) for row in told["steps"]] == [("fast", 34), ("calibrate", 6)]
    assert told["radius"] == {"share_inside": 1.0, "median_radius_px": 2.0, "frames": 34}
    assert "visible_threshold" not in told, "the file has decided"


def test_frames_without_a_row_count_as_not_found_and_are_told(tmp_path, records):
    clip = [r for r in records if r.group == "a"]
    path = write_csv(tmp_path / "a.csv", clip, keep=slice(0, 10))
    path.write_text(path.read_text() + "99,1.65,5,5,1,0.9,2,fast\n")
    scored = score_csv(path, data_set(records), threshold_px=5.0)
    assert (scored.without_row, scored.unlabelled) == (30, 1)
    assert scored.details["outcomes"] == {"TP": 10, "FP1": 0, "FP2": 0, "TN": 6, "FN": 24}


def test_optional_columns_may_be_missing(tmp_path, records):
    clip = [r for r in records if r.group == "a"]
    lines = ["visible,y,x,frame"]
    lines += [f"{int(r.visible[0])},{r.points_xy[0, 1]},{r.points_xy[0, 0]},{r.frame}" for r in clip]
    (tmp_path / "any.csv").write_text("\n".join(lines))
    scored = score_csv(tmp_path / "any.csv", data_set(records, clips="a"), threshold_px=5.0)
    assert scored.summary.metrics["f1"].value == 1.0 and scored.summary.metrics["brier"].value == 0.0
    assert "steps" not in scored.details and "radius" not in scored.details


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("frame,x,y\n0,1,2\n", "visible is missing"),
        ("frame,x,y,visible\n", "a header and no rows"),
        ("frame,x,y,visible\n0,1\n", r":2 has 2 cells, the header names 4.*cut short"),
        ("frame,x,y,visible\n0,1,nan,1\n", r":2: y is 'nan', expected a number"),
        ("frame,x,y,visible\n0,one,2,1\n", r":2: x is 'one'"),
        ("frame,x,y,visible\n0,,,1\n", r":2: x is ''"),
        ("frame,x,y,visible\n0.5,1,2,1\n", r"frame is '0.5', expected a whole number"),
        ("frame,x,y,visible\n0,1,2,0.7\n", r"visible is '0.7', expected 0 or 1"),
        ("frame,x,y,visible,score\n0,1,2,1,80\n", r"score is '80', expected 0 to 1"),
        ("frame,x,y,visible\n3,1,2,1\n3,1,2,1\n", r":3: frame 3 is there twice"),
    ],
)
def test_a_csv_that_cannot_be_understood_is_refused_with_its_line(tmp_path, text, said):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        read_track(tmp_path / "t.csv")


def test_the_clip_must_be_known(tmp_path, records):
    path = write_csv(tmp_path / "other.csv", records[:5])
    with pytest.raises(UserError, match=r"has 2 clips \(a, b\), and 'other' is the name of none.*--clip NAME"):
        score_csv(path, data_set(records), threshold_px=5.0)
    with pytest.raises(UserError, match=r"There is no clip 'aa'. Did you mean 'a'\?"):
        score_csv(path, data_set(records), threshold_px=5.0, clip="aa")
    assert score_csv(path, data_set(records), threshold_px=5.0, clip="a").clip == "a"
    for wrong in (0.0, math.nan, math.inf):
        with pytest.raises(UserError, match="above 0"):
            score_csv(path, data_set(records), threshold_px=wrong, clip="a")


def test_the_command_reads_labels_and_prints_numbers(tmp_path, records, capsys):
    clip = [r for r in records if r.group == "a"]
    folder = clip[0].path.parent
    labels = tmp_path / "a_ball.csv"
    with labels.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["Frame", "Visibility", "X", "Y"])
        writer.writerows(
            [r.frame, int(r.visible[0]), *(r.points_xy[0] - 0.5).round(4)] for r in clip
        )  # indices of pixels
    (tmp_path / "a").symlink_to(folder)
    assert read_dataset(labels).has_clips
    path = write_csv(tmp_path / "track.csv", clip)

    def command(*extra: str) -> str:
        code = app(["score-track", str(path), str(labels), *extra], exit_on_error=False, result_action="return_value")
        assert code == 0
        return capsys.readouterr().out

    told = json.loads(command("--json", "--threshold-px", "4"))
    assert told["threshold_px"] == 4.0 and told["metrics"]["f1"]["value"] == 1.0
    assert told["metrics"]["mean_error_px"]["value"] < 0.001, "labels are indices of pixels, tracks are continuous"
    text = command()
    assert "outcomes" in text and "repeat the last point: F1" in text and "radius" in text


def test_labels_without_their_frames_are_told_to_be_so(tmp_path, records):
    path = write_csv(tmp_path / "a.csv", [r for r in records if r.group == "a"])
    with pytest.raises(UserError, match=r"no labelled frame that can be used: .*video-missing"):
        score_csv(path, read_dataset(path), threshold_px=5)


def test_tracknets_own_columns_are_scored_in_continuous_pixels(tmp_path, records):
    clip = [r for r in records if r.group == "a"]
    path = tmp_path / "a.csv"
    rows = (
        f"{r.frame},1,{r.points_xy[0, 0] - 0.5:.4f},{r.points_xy[0, 1] - 0.5:.4f},0"
        if r.visible[0]
        else f"{r.frame},0,0,0,0"
        for r in clip
    )
    path.write_text("Frame,Visibility,X,Y,Inpaint_Mask\n" + "\n".join(rows) + "\n")
    scored = score_csv(path, data_set(records), threshold_px=1, clip="a").to_json()
    assert scored["metrics"]["f1"]["value"] == 1
    assert scored["metrics"]["mean_error_px"]["value"] < 0.001
