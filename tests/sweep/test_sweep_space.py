"""What is searched, as text and YAML: what it means, what is refused, and what is drawn from it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.config import from_yaml
from sightline.errors import UserError
from sightline.prepare import load_data
from sightline.sweep.fit import Space, fit_data, fit_space
from sightline.sweep.space import Choice, Dimension, Range, read_space

BOXES = """
recipe: small
skeleton: {names: [a, b]}
data: {input_hw: [64, 64], channels: 1, crop: points, split_by: random, workers: 0}
backbone: {kind: convnet, layers: [{channels: 8, stride: 2, padding: 1}, {channels: 8, stride: 2, padding: 1}]}
neck: {kind: none}
head: {kind: mlp}
codec: {kind: coords}
train: {epochs: 4, lr: 0.01, min_steps: 0}
"""


def space(*texts: str, recipe: str = BOXES) -> Space:
    return fit_space(from_yaml(recipe, where="test"), *read_space(texts))


def refused(*texts: str) -> str:
    with pytest.raises(UserError) as raised:
        space(*texts)
    return str(raised.value)


# ---- text


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("train.lr=1e-5..1e-2:log", Range(low=1e-5, high=1e-2, is_log=True)),
        ("train.batch=8,16,32", Choice(options=("8", "16", "32"))),
        ("augment.rotate_deg=0..30", Range(low=0, high=30, is_int=True)),
        ("train.epochs=4..16:4", Range(low=4, high=16, step=4, is_int=True)),
        ("augment.shift=0..0.3:0.1", Range(low=0, high=0.3, step=0.1)),
        ("augment.rotate_deg=-5..-1", Range(low=-5, high=-1, is_int=True)),
        ("neck=none,gap", Choice(options=("none", "gap"))),
        ("data.input_hw=[32, 32],[64, 64]", Choice(options=("[32, 32]", "[64, 64]"))),
        ("train.decay_norm_and_bias=true,false", Choice(options=("true", "false"))),
        ("train.clip_norm=null,1", Choice(options=("null", "1"))),
    ],
)
def test_text_says_what_it_says(text: str, values: Range | Choice) -> None:
    found, mistakes = read_space([text])
    assert not mistakes
    assert found == [Dimension(name=text.partition("=")[0], values=values)]
    assert read_space([str(found[0])])[0] == found, "what is written reads back"


def test_yaml_says_the_same_as_text(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("""
space:
  train.lr: 1e-5..1e-2:log
  train.batch: [8, 16, 32]
  train.epochs: {low: 4, high: 16, step: 4}
  augment.shift: {low: 0.01, high: 0.3, log: true}
  train.decay_norm_and_bias: [true, false]
  data.input_hw: [[32, 32], [64, 64]]
  neck: none,gap
""")
    texts = [
        "train.lr=1e-5..1e-2:log", "train.batch=8,16,32", "train.epochs=4..16:4", "augment.shift=0.01..0.3:log",
        "train.decay_norm_and_bias=true,false", "data.input_hw=[32, 32],[64, 64]", "neck=none,gap",
    ]  # fmt: skip
    assert read_space([str(path)]) == read_space(texts)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("train.lr", "expected KEY=VALUES"),
        ("=1,2", "expected KEY=VALUES"),
        ("train.lr=", "expected KEY=VALUES"),
        ("train.lr=1e-2..1e-5", "the low end is not below the high end"),
        ("train.lr=0..1:log", "begins above 0"),
        ("train.lr=1..9:log:2", "logarithmic or has steps"),
        ("train.lr=a..b", "is no range"),
        ("train.lr=1..9:x", "is no range"),
        ("train.lr=0..inf", "is no range"),
        ("train.epochs=1..10:4", "do not end at 10"),
        ("train.epochs=1..10:-1", "the step is above 0"),
        ("train.batch=8", "leaves nothing to choose"),
        ("train.batch=8,8", "8 stands there twice"),
        ("train.batch=8,,16", "missing between two commas"),
    ],
)
def test_wrong_text_is_told(text: str, words: str) -> None:
    found, mistakes = read_space([text])
    assert not found and len(mistakes) == 1 and words in mistakes[0]


@pytest.mark.parametrize("text", ["", "space: 3", "- a", "space: {}", "{", "other: {train.lr: 1..2}"])
def test_a_file_without_a_space_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=str(path)):
        read_space([str(path)])


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match=r"There is no nowhere\.yaml"):
        read_space(["nowhere.yaml"])


numbers = st.floats(-1e3, 1e3, allow_nan=False).map(lambda value: round(value, 4))


@settings(deadline=None)
@given(low=numbers, width=st.floats(0.001, 100), share=st.floats(0, 1), steps=st.integers(0, 12))
def test_what_is_drawn_lies_in_the_range_and_on_its_steps(low: float, width: float, share: float, steps: int) -> None:
    step = width / steps if steps else None
    values = Range(low=low, high=low + width, step=step)
    drawn = values.at(share)
    assert values.low <= drawn <= values.high
    assert values.holds(values.at(0)) and values.holds(values.at(1))
    assert steps == 0 or min(abs(drawn - (low + place * width / steps)) for place in range(steps + 1)) < 1e-6


@settings(deadline=None)
@given(low=st.integers(-50, 50), count=st.integers(1, 20), step=st.integers(1, 5), share=st.floats(0, 1))
def test_whole_numbers_stay_whole(low: int, count: int, step: int, share: float) -> None:
    values = Range(low=low, high=low + count * step, step=step, is_int=True)
    drawn = values.at(share)
    assert isinstance(drawn, int) and values.holds(drawn) and (drawn - low) % step == 0
    assert read_space([f"train.epochs={values}"])[0][0].values == values


@settings(deadline=None)
@given(low=st.floats(1e-8, 1), factor=st.floats(1.01, 1e6), share=st.floats(0, 1))
def test_a_logarithmic_range_is_even_in_the_logarithm(low: float, factor: float, share: float) -> None:
    values = Range(low=low, high=low * factor, is_log=True)
    assert values.at(share) == pytest.approx(low * factor**share, rel=1e-9)
    distribution = values.distribution()
    assert (distribution.low, distribution.high, distribution.log) == (values.low, values.high, True)


# ---- against the recipe


def test_all_mistakes_are_told_at_once_with_what_was_meant() -> None:
    told = refused(
        "train.lrr=1e-4..1e-2", "train.batch=0,8", "neck=nonne,gap", "train.seed=1,2", "train.lr=3..1", "foo=1,2",
        "head.hiden=[8],[16]", "data.val_fraction=0.1,0.2", "evaluate.jitter=0..0.1", "head.kind=mlp,heatmap",
    )  # fmt: skip
    for words in (
        "'train.lr'?", "train.batch = 0", "Did you mean 'none'?", "train.seed cannot be searched", "low end",
        "There is no piece slot or setting 'foo'", "Did you mean 'head.hidden'?", "data.val_fraction cannot",
        "evaluate.jitter cannot", "choose pieces by their slot",
    ):  # fmt: skip
        assert words in told, words


def test_nothing_and_the_same_twice_are_refused() -> None:
    assert "Nothing is searched" in refused()
    assert "train.lr is searched twice" in refused("train.lr=1e-4..1e-2", "train.lr=0.1,0.2")
    assert "neck is searched twice" in refused("neck=none,gap", "neck+head=none+mlp,gap+mlp")


def test_values_that_do_not_go_together_are_refused() -> None:
    told = refused("augment.scale_min=0.5..1.5", "augment.scale_max=1.0..2.0")
    assert "scale_min" in told and "above scale_max" in told


def test_whole_ends_of_a_setting_that_takes_fractions_are_ends_of_a_range_of_fractions() -> None:
    found = space("augment.rotate_deg=0..30", "train.epochs=2..9", "augment.noise_std=0..0.5:0.25")
    kinds = {dimension.name: dimension.values.is_int for dimension in found.dimensions}  # type: ignore[union-attr]
    assert kinds == {"augment.rotate_deg": False, "train.epochs": True, "augment.noise_std": False}


def test_a_key_is_drawn_only_where_its_piece_was_chosen() -> None:
    found = space("codec=coords,heatmap", "codec.sigma=1..3", "codec.loss_kind@coords=mse,wing")
    with_coords, with_heatmap = found.active({"codec": "coords"}), found.active({"codec": "heatmap"})
    assert [dimension.name for dimension in with_coords] == ["codec.loss_kind@coords"]
    assert [dimension.name for dimension in with_heatmap] == ["codec.sigma"]
    made = found.experiment({"codec": "coords", "codec.loss_kind@coords": "wing"})
    assert made.codec.kind == "coords" and made.codec.loss_kind == "wing"
    assert "There is no setting 'codec.sigma'" in refused("codec.sigma=1..3")  # without the choice
    assert "no choice of pieces has heatmap" in refused("codec.loss_kind@heatmap=mse,wing")


def test_a_piece_that_the_recipe_has_keeps_the_recipes_settings() -> None:
    recipe = BOXES.replace("head: {kind: mlp}", "head: {kind: mlp, hidden: [7]}")
    found = space("head=mlp,heatmap", recipe=recipe)
    assert found.experiment({"head": "mlp"}).head.hidden == (7,)
    assert found.own_values() == ({"head": "mlp"}, [])


def test_pieces_that_go_together_are_chosen_together() -> None:
    found = space("head+codec=mlp+coords,heatmap+heatmap")
    made = found.experiment({"head+codec": "heatmap+heatmap"})
    assert (made.head.kind, made.codec.kind) == ("heatmap", "heatmap")
    assert "names 1 pieces for 2 slots" in refused("head+codec=mlp,heatmap+heatmap")


def test_a_drawn_value_arrives_to_the_last_bit() -> None:
    found = space("train.lr=1e-5..1e-2:log", "train.batch=8,16")
    value = 0.1 + 0.2 - 0.2999
    assert found.experiment({"train.lr": value, "train.batch": "16"}).train.lr == value


def test_the_recipes_own_values_are_a_trial_where_the_space_holds_them() -> None:
    assert space("train.lr=1e-3..1:log", "neck=none,gap").own_values() == ({"neck": "none", "train.lr": 0.01}, [])
    assert space("train.lr=0.1..1", "train.batch=8,32").own_values() == (
        {"train.lr": 0.01, "train.batch": "32"}, ["train.lr"],
    )  # fmt: skip


# ---- against the data


def test_pieces_that_do_not_fit_are_told_before_any_training(faces: Path) -> None:
    dataset = load_data(faces, skip_broken=False)
    with pytest.raises(UserError, match=r"codec=heatmap: .*Pieces that only go together"):
        fit_data(space("codec=coords,heatmap"), dataset)


def test_a_setting_that_the_data_decide_is_refused(faces: Path) -> None:
    dataset = load_data(faces, skip_broken=False)
    recipe = yaml.safe_load(BOXES)
    recipe["train"]["min_steps"] = 1000
    searched = space("train.epochs=1..4", recipe=yaml.safe_dump(recipe))
    with pytest.raises(UserError, match=r"train.epochs=1..4: whatever is drawn, it becomes \d+ on these data"):
        fit_data(searched, dataset)
    assert fit_data(space("train.epochs=1..4"), dataset).experiment.skeleton.names
