"""Starting from another run's weights: what is taken is what that run would say, the rest is fresh and told."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from sightline import train as loop
from sightline.anchors.generate import RetinaAnchors
from sightline.checkpoint import RunFolder
from sightline.codecs.anchor_free import AnchorFreeCodecConfig
from sightline.codecs.anchors import AnchorsCodecConfig
from sightline.config import Experiment, SkeletonConfig, from_yaml, override
from sightline.donor import Donor, Rows, _rows, plan_takeover, read_donor, with_padding_of
from sightline.errors import UserError
from sightline.files import write_atomically
from sightline.model import Locator, build
from sightline.prepare import Prepared, load_data, prepare
from sightline.train import Event, train
from sightline.types import RawAxes, RawCoords, RawDense, RawHeatmaps, RawOneBox
from test_pieces_contract import POINTS, experiment, images, small

# Momentum, averages, normalisation: what a state can hold. 16 faces: 3 steps an epoch.
NORMED = [
    "train.ema=0.9", "train.save_minutes=0", "backbone.layers=[{channels: 8, stride: 4, padding: 1, norm: true}]"
]  # fmt: skip
STILL = 1e-30  # a learning rate that moves no 32-bit number


@pytest.fixture(autouse=True)
def one_thread_and_no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def donor_run(train_tiny: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with averages and normalisation, of which only the weights and the config are there. Read only."""
    out = tmp_path_factory.mktemp("donor") / "run"
    train_tiny(out, sets=NORMED)
    return out


def assert_alike(found: torch.Tensor, wanted: torch.Tensor) -> None:
    """But for the order of sums, which another number of rows may change."""
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def donor_of(one: Experiment, model: Locator) -> Donor:
    return Donor(run="runs/one", experiment=one, tensors=model.state_dict(), sha256="0" * 64)


def validated(out: Path) -> list[dict]:
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["kind"] == "val"]


def best_of(out: Path) -> dict:
    return min(validated(out), key=lambda row: row["nme_interocular"])


def named(one: Experiment, names: str, *, boxes: bool) -> Experiment:
    if boxes:
        return one.model_copy(update={"classes": tuple(names)})
    return one.model_copy(update={"skeleton": SkeletonConfig(names=tuple(names))})


# ---- the same task


def test_a_training_begins_where_the_donor_stood(train_tiny: Callable, donor_run: Path, tmp_path: Path) -> None:
    """Hardly a step later its validation is the donor's best one, averages and normalisation included."""
    frozen = ["backbone.frozen=all"]  # whose running statistics a step would move
    train_tiny(tmp_path, sets=[*NORMED, *frozen, f"train.start_from={donor_run}", f"train.lr={STILL}"])
    first, best = validated(tmp_path)[0], best_of(donor_run)
    told = ("loss", "nme_interocular")
    assert [first[key] for key in told] == pytest.approx([best[key] for key in told], rel=1e-6)
    given, taken = (load_file(run / "best.safetensors") for run in (donor_run, tmp_path))
    assert [key for key in given if not torch.equal(given[key], taken[key])] == []


def test_the_first_loss_is_that_of_the_donors_weights(train_tiny: Callable, donor_run: Path, tmp_path: Path) -> None:
    def first_loss(out: Path, *sets: str) -> float:
        losses: list[float] = []

        def note(event: Event) -> None:
            losses.append(event.values["loss"])

        train_tiny(out, sets=[*NORMED, "train.epochs=1", *sets], watchers=[note])
        return losses[0]

    prepared: Prepared = train_tiny.prepare(sets=[*NORMED, f"train.start_from={donor_run}"])
    model, codec = build(prepared.experiment)
    RunFolder(donor_run).load_best(model)
    seen = {}

    class Spied(loop._WithLoss):
        def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
            seen.setdefault("batch", [tensor.clone() for tensor in tensors])
            return super().forward(*tensors)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_WithLoss", Spied)
        found = first_loss(tmp_path / "started", f"train.start_from={donor_run}")
    wanted = loop._WithLoss(model.train(), codec)(*seen["batch"]).item()
    assert found == pytest.approx(wanted, rel=1e-5)
    assert first_loss(tmp_path / "fresh") != pytest.approx(wanted, rel=1e-3)


def test_everything_of_the_same_recipe_is_taken(train_tiny: Callable, donor_run: Path) -> None:
    prepared = train_tiny.prepare(sets=[*NORMED, f"train.start_from={donor_run}"])
    plan = prepared.takeover
    assert plan.fresh == ()
    assert plan.named == {}
    assert plan.tensors == (9, 9)  # convolution with bias 2, normalisation 5, last layer 2
    # 8 filters of 3 x 3 on grey with biases, twice 8 of normalisation, 8 x 8 x 8 numbers to 136, with biases.
    assert plan.parameters == (8 * 9 + 8 + 16 + 512 * 136 + 136,) * 2
    assert prepared.experiment.train.start_sha256 == plan.sha256
    line = next(text for text in prepared.decisions if "nothing starts fresh" in text)
    assert line.startswith("9 of 9 tensors (69,864 of 69,864 parameters) are those of ")


# ---- other points, other classes


@pytest.mark.parametrize("names", ["abc", "cab", "dxbe"])
@pytest.mark.parametrize(("head", "codec"), [("mlp", "coords"), ("heatmap", "heatmap"), ("axes", "simcc")])
def test_points_that_both_know_are_found_as_the_donor_finds_them(head: str, codec: str, names: str) -> None:
    one = experiment(head=small("head", head), codec=small("codec", codec))
    assert one.skeleton == POINTS
    other = named(one, names, boxes=False)
    torch.manual_seed(1)
    theirs = Locator(one)
    mine = Locator(other)
    taken = plan_takeover(other, donor_of(one, theirs))
    taken.copy_to(mine, donor_of(one, theirs))
    assert taken.fresh == ()
    shared = [name for name in names if name in "abc"]
    here, there = [names.index(name) for name in shared], ["abc".index(name) for name in shared]
    with torch.no_grad():
        found, wanted = mine.eval()(images()), theirs.eval()(images())
    pick = {RawCoords: ("xy",), RawHeatmaps: ("logits",), RawAxes: ("x", "y")}[type(found)]
    for field in pick:
        assert_alike(getattr(found, field)[:, here], getattr(wanted, field)[:, there])


@pytest.mark.parametrize("names", ["cab", "dxbe"])
@pytest.mark.parametrize("kind", ["one-box", "decoupled", "ssd", "retina", "retina-softmax", "faster-rcnn"])
def test_classes_that_both_know_are_told_as_the_donor_tells_them(kind: str, names: str) -> None:
    head, codec = kind.removesuffix("-softmax"), AnchorFreeCodecConfig()
    if kind in ("ssd", "retina-softmax"):
        codec = AnchorsCodecConfig(anchors=RetinaAnchors(scales=1))
    if kind in ("one-box", "faster-rcnn"):
        codec = small("codec", kind)
    chosen = small("head", head)
    if kind == "faster-rcnn":
        chosen = chosen.model_copy(update={"hidden": 8, "proposals": 4})
    one = named(experiment(head=chosen, codec=codec), "abc", boxes=True)
    other = named(one, names, boxes=True)
    torch.manual_seed(1)
    theirs, mine = Locator(one), Locator(other)
    state = dict(theirs.state_dict())
    taken = plan_takeover(other, donor_of(one, theirs))
    taken.copy_to(mine, donor_of(one, theirs))
    assert taken.fresh == ()
    behind = codec.num_logits(3) - 3
    shared = [name for name in names if name in "abc"]
    here = [*range(behind), *(names.index(name) + behind for name in shared)]
    there = [*range(behind), *("abc".index(name) + behind for name in shared)]
    with torch.no_grad():
        found, wanted = mine.eval()(images(batch=1)), theirs.eval()(images(batch=1))
    assert_alike(found.logits[..., here], wanted.logits[..., there])
    if kind == "faster-rcnn":
        assert_alike(found.boxes[..., here, :], wanted.boxes[..., there, :])
    elif isinstance(found, RawOneBox):
        assert_alike(found.box, wanted.box)
    else:
        assert isinstance(found, RawDense)
        assert_alike(found.boxes, wanted.boxes)
    assert all(torch.equal(state[key], value) for key, value in theirs.state_dict().items())  # and the donor is whole


def test_the_line_tells_rows_that_start_fresh_inside_a_layer() -> None:
    one = experiment()
    plan = plan_takeover(named(one, "dabce", boxes=False), donor_of(one, Locator(one)))
    assert str(plan).endswith("; by name: head.last (3 of 5); fresh: the rest of head.last")
    assert plan.parameters[0] == plan.parameters[1] - 2 * (Locator(one).head.last.in_channels + 1)


def test_names_that_only_the_new_task_has_start_fresh() -> None:
    """No row of another name is taken, though the shapes would fit."""
    one = experiment()
    other = named(one, "xyz", boxes=False)
    theirs, mine = Locator(one), Locator(other)
    before = mine.head.last.weight.detach().clone()
    taken = plan_takeover(other, donor_of(one, theirs))
    taken.copy_to(mine, donor_of(one, theirs))
    assert taken.fresh == ("head.last",)
    assert torch.equal(mine.head.last.weight, before)
    assert "; fresh: head" in str(taken)


@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(st.sampled_from("abcdef"), min_size=1, unique=True),
    theirs=st.lists(st.sampled_from("abcdef"), min_size=1, unique=True),
    groups=st.integers(1, 3),
    per=st.integers(1, 4),
)
def test_rows_go_to_the_same_anchor_name_and_number(names: list[str], theirs: list[str], groups: int, per: int) -> None:
    def layer(order: list[str]) -> list[str]:
        return [f"{group}{name}{number}" for group in range(groups) for name in order for number in range(per)]

    own, given = (torch.zeros(len(layer(order)), 2) for order in (names, theirs))
    rows = _rows(own, given, names, theirs, per=per)
    if not set(names) & set(theirs):
        assert rows is None
        return
    assert isinstance(rows, Rows)
    pairs = {(layer(names)[to], layer(theirs)[of]) for to, of in zip(rows.to.tolist(), rows.of.tolist(), strict=True)}
    assert all(to == of for to, of in pairs)
    assert len(pairs) == groups * per * len(set(names) & set(theirs))


# ---- parts that do not fit


def test_another_head_starts_fresh_behind_the_donors_backbone(train_tiny: Callable, donor_run: Path) -> None:
    sets = [*NORMED, f"train.start_from={donor_run}"]
    prepared = train_tiny.prepare(sets=sets, use=["head=heatmap", "codec=heatmap"])
    plan = prepared.takeover
    assert plan.has_whole("backbone")
    assert not plan.has_whole("head")
    assert set(plan.fresh) == {"head.last"}
    assert str(plan).endswith("; fresh: head")


def test_a_layer_is_taken_as_a_whole_or_not_at_all() -> None:
    """A bias that fits beside a weight that does not would be the bias of another layer."""
    one = experiment(head=small("head", "mlp"), codec=small("codec", "coords"))
    larger = one.model_copy(update={"data": one.data.model_copy(update={"input_hw": (96, 96)})})
    taken = plan_takeover(larger, donor_of(one, Locator(one)))
    assert "head.last" in taken.fresh
    assert not any(key.startswith("head") for key in taken.whole)


def test_nothing_that_fits_is_refused(train_tiny: Callable, donor_run: Path) -> None:
    with pytest.raises(
        UserError, match=r"Nothing of .*run \(tiny: backbone convnet, head mlp\) fits into tiny: ba.*light"
    ):
        train_tiny.prepare(sets=[f"train.start_from={donor_run}"], use=["backbone=light"])


def test_other_settings_of_the_backbone_are_told(train_tiny: Callable, donor_run: Path) -> None:
    sets = [*NORMED, f"train.start_from={donor_run}", "backbone.mean_std=none"]
    told = [line for line in train_tiny.prepare(sets=sets).decisions if "learned with" in line]
    assert len(told) == 1
    assert "mean_std=" in told[0]


def test_a_head_on_another_backbone_is_doubted() -> None:
    one = experiment(neck=small("neck", "gap"), head=small("head", "mlp"), codec=small("codec", "coords"))
    from sightline.donor import doubts

    other = one.model_copy(update={"backbone": small("backbone", "light")})
    donor = donor_of(one, Locator(one))
    widened = {**donor.tensors, "head.last.weight": torch.zeros(Locator(other).head.last.weight.shape)}
    donor = replace(donor, tensors=widened)
    told = doubts(other, donor, plan_takeover(other, donor), known=set(), validating=["a"])
    assert told == ["warning: the backbone of runs/one does not fit: what is taken stands behind other features"]


def test_padding_follows_the_weights() -> None:
    born = small("backbone", "timm").model_copy(update={"padding": "same", "linear_stem_block": True})
    fresh = small("backbone", "timm")
    assert with_padding_of(fresh, born).padding == "same"
    assert with_padding_of(fresh, born).linear_stem_block
    other = born.model_copy(update={"name": "resnet18"})
    assert with_padding_of(fresh, other) == fresh
    assert with_padding_of(small("backbone", "convnet"), born) == small("backbone", "convnet")


# ---- what the run says, and what it must not ask for


@pytest.mark.slow  # builds a network of timm's
def test_pretrained_weights_that_would_be_replaced_need_not_be_there(train_tiny: Callable, tmp_path: Path) -> None:
    backbone = "backbone={kind: timm, name: mobilenetv3_small_050, levels: [1], weights: %s}"
    train_tiny(tmp_path / "one", sets=["train.epochs=1", backbone % "none"])
    sets = ["train.epochs=1", f"train.lr={STILL}", backbone % "nowhere.safetensors"]
    with pytest.raises(UserError, match="which is no file"):
        train_tiny(tmp_path / "fresh", sets=sets)
    outcome = train_tiny(tmp_path / "two", sets=[*sets, f"train.start_from={tmp_path / 'one'}"])
    assert outcome.progress.done
    assert train_tiny(tmp_path / "two", sets=[*sets, f"train.start_from={tmp_path / 'one'}"], resume=True).progress.done


def test_records_that_the_donor_was_trained_on_are_told(trained: Path, faces: Path) -> None:
    one = RunFolder(trained).experiment()
    sets = [f"train.start_from={trained}", "data.split_seed=5"]
    again = prepare(override(one, sets=sets[:1]), load_data(faces, skip_broken=False))
    assert not any("too good" in line for line in again.decisions)
    moved = prepare(override(one, sets=sets), load_data(faces, skip_broken=False))
    learned = set(json.loads((trained / "split.json").read_text())["train"])
    seen = sum(record.image_id in learned for record in moved.split.val)
    assert seen > 0
    assert any(f"trained on {seen} of the 4 records that validate now" in line for line in moved.decisions)


def test_a_started_run_goes_on_bit_for_bit_without_its_donor(
    train_tiny: Callable, donor_run: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(donor_run, tmp_path / "donor")
    sets = [*NORMED, f"train.start_from={moved}", "backbone.frozen=norm", "train.seed=3"]
    train_tiny(tmp_path / "whole", sets=sets)

    class Killed(Exception):
        pass

    def kill(event: Event) -> None:
        if event.values["step"] == 4:
            raise Killed

    with pytest.raises(Killed):
        train_tiny(tmp_path / "cut", sets=sets, watchers=[kill])
    shutil.rmtree(moved)
    begun = RunFolder(tmp_path / "cut").experiment()
    asked = override(from_yaml(train_tiny.recipe.read_text(), where="tiny"), sets=sets)
    dataset = load_data(train_tiny.data, skip_broken=False)
    prepared = prepare(asked, dataset, begun=begun)
    assert prepared.experiment == begun
    train(prepared.experiment, prepared.split, tmp_path / "cut", resume=True)
    for name in ("last", "best"):
        first, second = (load_file(tmp_path / run / f"{name}.safetensors") for run in ("whole", "cut"))
        assert [key for key in first if not torch.equal(first[key], second[key])] == []
    with pytest.raises(UserError, match="there is no such folder"):
        prepare(asked, dataset)


def test_cached_features_are_those_of_the_donors_backbone(
    train_tiny: Callable, donor_run: Path, tmp_path: Path
) -> None:
    frozen = [*NORMED, f"train.start_from={donor_run}", "backbone.frozen=all", "augment.views=2"]
    train_tiny(tmp_path / "plain" / "run", sets=frozen)
    train_tiny(tmp_path / "cached" / "run", sets=[*frozen, "train.cache_features=true"])
    first, second = (load_file(tmp_path / each / "run" / "last.safetensors") for each in ("plain", "cached"))
    given = load_file(donor_run / "best.safetensors")
    for key in given:
        assert torch.equal(first[f"model.{key}"], second[f"model.{key}"]), key
        if key.startswith("backbone"):
            assert torch.equal(first[f"model.{key}"], given[key]), key


def test_a_resumed_run_finds_the_features_of_its_own_backbone(
    train_tiny: Callable, donor_run: Path, tmp_path: Path
) -> None:
    sets = [*NORMED, f"train.start_from={donor_run}", "backbone.frozen=all", "augment.views=2"]
    out = tmp_path / "run"
    train_tiny(out, sets=[*sets, "train.cache_features=true"])
    entries = {path.name for path in (tmp_path / ".features").iterdir()}
    progress = load_file(out / "last.safetensors")
    train_tiny(out, sets=[*sets, "train.cache_features=true"], resume=True)
    assert {path.name for path in (tmp_path / ".features").iterdir()} == entries
    assert all(torch.equal(value, progress[key]) for key, value in load_file(out / "last.safetensors").items())


# ---- refused


def test_what_is_no_run_is_refused(train_tiny: Callable, donor_run: Path, tmp_path: Path) -> None:
    def refused(start: Path, *more: str) -> str:
        with pytest.raises(UserError) as told:
            train_tiny.prepare(sets=[*NORMED, f"train.start_from={start}", *more])
        return str(told.value)

    assert "there is no such folder" in refused(tmp_path / "nowhere")
    assert f"Give the folder of a run, such as {donor_run}" in refused(donor_run / "best.safetensors")
    (tmp_path / "empty").mkdir()
    assert "is no run folder" in refused(tmp_path / "empty")
    (tmp_path / "tracker").mkdir()
    for stage in ("fine", "coarse"):
        shutil.copytree(donor_run, tmp_path / "tracker" / stage)
    assert "holds several runs. Name one: coarse, fine." in refused(tmp_path / "tracker")
    begun = tmp_path / "begun"
    write_atomically(begun / "config.yaml", (donor_run / "config.yaml").read_text())
    assert "has not finished a validation yet" in refused(begun)
    (begun / "best.safetensors").write_bytes((donor_run / "best.safetensors").read_bytes()[:-50])
    assert "is damaged" in refused(begun)
    assert "other weights than train.start_sha256 says" in refused(donor_run, "train.start_sha256=ab12")


def test_a_checksum_without_a_run_is_refused(recipe_file: Path) -> None:
    with pytest.raises(UserError, match=r"start_sha256 is the checksum of start_from's weights"):
        override(from_yaml(recipe_file.read_text(), where="tiny"), sets=["train.start_sha256=ab12"])


def test_weights_that_changed_since_are_refused(donor_run: Path, tmp_path: Path, train_tiny: Callable) -> None:
    run = shutil.copytree(donor_run, tmp_path / "run")
    prepared = train_tiny.prepare(sets=[*NORMED, f"train.start_from={run}"])
    state = load_file(run / "best.safetensors")
    save_file({key: value + 1 for key, value in state.items()}, run / "best.safetensors")
    with pytest.raises(UserError, match="holds other weights"):
        read_donor(prepared.experiment.train)


# ---- the command


def test_train_from_a_run(cli: Callable, trained: Path, recipe_file: Path, faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = ["train", recipe_file, "--data", faces, "--from", trained, "--out", out, "--set", "train.epochs=1",
               "data.points=[3,1,60]"]  # fmt: skip
    ran = cli(*command)
    assert ran.code == 0, ran.err
    assert "by name: head.last (3 of 3); nothing starts fresh" in ran.out
    held = RunFolder(out).experiment()
    info = json.loads((out / "run.json").read_text())["started_from"]
    assert held.train.start_from == info["run"] == trained.as_posix()
    assert held.train.start_sha256 == info["sha256"]
    assert f"file sha256 {info['sha256']}" in (out / "report.html").read_text()
    again = cli(*command, "--resume")
    assert again.code == 0, again.err
    assert "are those of" not in again.out
    assert json.loads((out / "run.json").read_text())["started_from"] == info


def test_folds_start_from_a_run_too(
    cli: Callable, trained: Path, recipe_file: Path, faces: Path, tmp_path: Path
) -> None:
    ran = cli("train", recipe_file, "--data", faces, "--folds", 2, "--from", trained, "--out", tmp_path / "folds",
              "--set", "train.epochs=1")  # fmt: skip
    assert ran.code == 0, ran.err
    assert "trained on" in ran.out
    assert RunFolder(tmp_path / "folds" / "r0-f1").experiment().train.start_from == trained.as_posix()


def test_a_tracker_starts_from_a_tracker(cli: Callable, trained: Path, faces: Path) -> None:
    ran = cli("train", "track-ball", "--data", faces, "--from", trained)
    assert ran.code == 2
    assert "holds no coarse" in ran.err.replace("\n", " ")


# ---- once more, on what was hard


def test_only_the_records_that_a_file_names_are_trained_on(train_tiny: Callable, trained: Path, tmp_path: Path) -> None:
    """The rows of an evaluation with a large error; those that validate are told and stay there."""
    whole = train_tiny.prepare().split
    hard, in_val = [record.image_id for record in whole.train[:5]], whole.val[0].image_id
    header = (trained / "evaluation" / "per_image.csv").read_text().splitlines()[0]
    table, lines = tmp_path / "hard.csv", tmp_path / "hard.txt"
    table.write_text("\n".join([header, *(f"{name},0.3,1,2,68,chin" for name in (*hard, in_val))]) + "\n")
    lines.write_text("\n".join(hard) + "\n\n")
    for path, told in (
        (table, "leaves 5 of 12 records to train on; 1 of those it names validate"),
        (lines, "leaves 5"),
    ):
        prepared = train_tiny.prepare(sets=[f"data.train_only={path}", f"train.start_from={trained}"])
        assert [record.image_id for record in prepared.split.train] == hard
        assert [r.image_id for r in prepared.split.val] == [r.image_id for r in whole.val]
        assert any(told in line for line in prepared.decisions)
        assert "5 records train, 4 validate (split by random)" in prepared.decisions
        assert not any("too good" in line for line in prepared.decisions)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("hard.csv", "file,error\na,1\n", "has no column image_id"),
        (
            "hard.csv",
            "image_id,error\nnowhere.png,1\n",
            "names 1 records that the data set does not have, first nowhere",
        ),
        ("hard.txt", "", "none of the 0 records"),
        (None, "", "cannot be read"),
    ],
)
def test_a_list_of_other_records_is_refused(
    train_tiny: Callable, tmp_path: Path, name: str | None, text: str, told: str
) -> None:
    path = tmp_path / (name or "nowhere.txt")
    if name is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=told):
        train_tiny.prepare(sets=[f"data.train_only={path}"])
