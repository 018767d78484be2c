"""Settings: typed, whole, told wrong all at once with the nearest right name."""

from __future__ import annotations

import pytest
import yaml

from sightline.config import (
    PIECES,
    AugmentConfig,
    DataConfig,
    Experiment,
    SkeletonConfig,
    TrainConfig,
    from_yaml,
    override,
)
from sightline.errors import UserError
from sightline.recipes import RECIPES, recipe
from sightline.settings import load_yaml, scalar


def told(*, use: tuple[str, ...] = (), sets: tuple[str, ...] = (), name: str = "landmarks") -> str:
    """What a wrong change is answered with."""
    with pytest.raises(UserError) as caught:
        override(recipe(name), use=use, sets=sets)
    return str(caught.value)


@pytest.mark.parametrize("name", RECIPES)
def test_an_experiment_returns_equal_from_its_yaml(name: str) -> None:
    experiment = recipe(name)
    assert from_yaml(experiment.to_yaml(), where="x") == experiment


def test_an_alias_of_what_stands_before_it_is_that_value() -> None:
    assert load_yaml("a: &a [1, {b: 2}]\nc: *a\nd: [*a, 2020-01-02]\n<<: {e: 1}") == yaml.safe_load(
        "a: [1, {b: 2}]\nc: [1, {b: 2}]\nd: [[1, {b: 2}], 2020-01-02]\ne: 1"
    )
    assert scalar("&a [*a]") == "&a [*a]"  # its field judges it


@pytest.mark.parametrize("slot", PIECES)
def test_tables_and_unions_agree(slot: str) -> None:
    for key, piece in PIECES[slot].items():
        assert piece.model_fields["kind"].default == key
        assert piece.summary
    annotation = Experiment.model_fields[slot].annotation
    assert set(getattr(annotation, "__args__", ())) == set(PIECES[slot].values())


@pytest.mark.parametrize("section", [AugmentConfig, DataConfig, TrainConfig])
def test_settings_are_frozen(section: type) -> None:
    made = section()
    with pytest.raises(ValueError, match="frozen"):
        setattr(made, next(iter(section.model_fields)), 3)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train.lr=1e-3", 1e-3),
        ("train.lr=0.5", 0.5),
        ("train.epochs=7", 7),
        ("train.clip_norm=null", None),
        ("train.schedule=step", "step"),
        ("train.precision=16", "16"),
        ("train.precision=32", "32"),
        ("data.input_hw=[64, 96]", (64, 96)),
        ("data.points=[nose, '3']", ("nose", "3")),
        ("data.points=[30]", ("30",)),
        ("augment.flip_swaps_twins=false", False),
        ("evaluate.pck=[0.02]", (0.02,)),
        ("data.workers=auto", "auto"),
        ("data.workers=2", 2),
    ],
)
def test_values_are_read_as_yaml_and_typed(text: str, expected: object) -> None:
    changed = override(recipe("landmarks"), sets=[text])
    section, key = text.split("=")[0].split(".")
    assert getattr(getattr(changed, section), key) == expected


def test_later_settings_win_and_the_recipe_stays_as_it_was() -> None:
    before = recipe("landmarks")
    changed = override(before, sets=["train.lr=1", "train.lr=2"])
    assert changed.train.lr == 2
    assert before == recipe("landmarks")


def test_a_swapped_piece_starts_from_its_defaults_and_can_be_set() -> None:
    changed = override(recipe("landmarks"), use=["codec=heatmap", "neck=bifpn"], sets=["neck.channels=32"])
    assert (changed.codec.kind, changed.neck.kind) == ("heatmap", "bifpn")
    assert changed.neck.channels == 32  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"use": ("codek=simcc",)}, ["piece slot 'codek'", "Did you mean 'codec'"]),
        ({"use": ("codec=simc",)}, ["codec 'simc'", "Did you mean 'simcc'"]),
        ({"use": ("codec",)}, ["--use codec", "KEY=VALUE"]),
        ({"sets": ("train.lr",)}, ["--set train.lr", "KEY=VALUE"]),
        ({"sets": ("=3",)}, ["KEY=VALUE"]),
        ({"sets": ("train.learning=1",)}, ["train.learning"]),
        ({"sets": ("train.epoch=1",)}, ["train.epoch", "Did you mean 'train.epochs'"]),
        ({"sets": ("trian.epochs=1",)}, ["trian.epochs", "Did you mean 'train.epochs'"]),
        ({"sets": ("codec.sigmma=1",)}, ["codec.sigmma"]),
        ({"sets": ("backbone.layers.foo=1",), "name": "nose-net"}, ["backbone.layers.foo"]),
        ({"sets": ("recipe.x=1",)}, ["recipe.x"]),
        ({"sets": ("recipes=1",)}, ["recipes", "Did you mean 'recipe'"]),
    ],
)
def test_wrong_names_are_told_with_the_nearest(change: dict, words: list[str]) -> None:
    text = told(**change)
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    "setting",
    [
        "train.lr=fast",
        "train.lr=-1",
        "train.lr=nan",
        "train.lr=inf",
        "train.lr=",
        "train.lr={",
        "train.lr=[1",
        "train.epochs=0",
        "train.epochs=1.5",
        "train.batch=0",
        "train=5",
        "train.schedule=cosin",
        "train.precision=fp8",
        "data.input_hw=[0, 10]",
        "data.input_hw=[10]",
        "data.input_hw=10",
        "data.channels=2",
        "data.workers=-1",
        "data.margin=.inf",
        "data.val_fraction=1",
        "data.points=nose",
        "data.crop=middle",
        "backbone=5",
        "backbone.kind=timn",
        "codec=null",
        "skeleton.names=5",
        "evaluate.jitter=-0.1",
        "augment.rotate_deg=200",
    ],
)
def test_wrong_values_are_told_with_their_key_and_without_pydantics_links(setting: str) -> None:
    text = told(sets=(setting,))
    key = setting.partition("=")[0]
    assert key.removesuffix(".kind") in text
    assert "pydantic.dev" not in text
    assert len(text) < 1500


def test_scales_in_the_wrong_order_are_refused() -> None:
    assert "scale_min" in told(sets=("augment.scale_min=1.4", "augment.scale_max=1.1"))


def test_all_mistakes_are_told_at_once() -> None:
    text = told(sets=("train.epochs=0", "data.margin=-1", "train.epoch=3", "augment.blur=2"))
    for word in ("train.epochs", "data.margin", "Did you mean 'train.epochs'", "augment.blur"):
        assert word in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "is not YAML"),
        ("", "holds no settings"),
        ("- 1", "holds no settings"),
        ("recipe: x", "backbone"),
        ("recipe: x\nfoo: 1", "foo"),
        ("recipe: x\nbackbone: {weird: 1}", "backbone"),
        ("recipe: x\nbackbone: 3", "backbone"),
        ("recipe: x\nbackbone: {kind: convnet, layers: [{chanels: 3}]}", "chanels"),
        ("recipe: x\ntrain: [1]", "train"),
        ("1: 2", "1"),
        ("a: &a [*a]", "is not YAML: an alias (*name) stands within the very value that it names"),
        ("recipe: x\ntrain: &a {lr: *a}", "line 2, column 8"),
        ("&a\n? *a\n: 1", "is not YAML: an alias"),
        ("a: " + "[" * 500, "is not YAML: it is nested too deeply"),
    ],
    ids=lambda text: text[:40],
)
def test_a_wrong_file_is_told_with_its_name(text: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        from_yaml(text, where="my.yaml")
    assert "my.yaml" in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("skeleton", "words"),
    [
        ("{names: [eye, nose, eye]}", ["skeleton.names", "eye stands there twice"]),
        ("{names: [a, b], flip_pairs: [[0, 2]]}", ["skeleton.flip_pairs", "(0, 2)", "2 points"]),
        ("{names: [a, b], flip_pairs: [[-1, 0]]}", ["skeleton.flip_pairs", "(-1, 0)"]),
        ("{names: [a, b, c], flip_pairs: [[0, 1], [1, 2]]}", ["skeleton.flip_pairs", "point 1 stands there twice"]),
        ("{names: [a, b], flip_pairs: [[1, 1]]}", ["skeleton.flip_pairs", "point 1 stands there twice"]),
        ("{names: [a, b], flip_pairs: [[0, 1, 1]]}", ["skeleton.flip_pairs"]),
        ("{names: [a, b], edges: [[0, 1], [1, 5]]}", ["skeleton.edges", "(1, 5)"]),
        ("{names: [a, a], edges: [[0, 7]]}", ["skeleton.names"]),
        ("{names: [], edges: [[0, 0]]}", ["skeleton.edges", "0 points"]),
    ],
)
def test_a_skeleton_that_is_none_is_told_with_its_field(skeleton: str, words: list[str]) -> None:
    values = yaml.safe_load(recipe("landmarks").to_yaml()) | {"skeleton": yaml.safe_load(skeleton)}
    with pytest.raises(UserError) as caught:
        from_yaml(yaml.safe_dump(values), where="config.yaml")
    for word in ["config.yaml", *words]:
        assert word in str(caught.value)


def test_edges_may_meet_in_a_point_and_one_twin_pair_is_enough() -> None:
    made = SkeletonConfig(names=("a", "b", "c"), flip_pairs=((0, 2),), edges=((0, 1), (1, 2)))
    assert made.skeleton().flip_index == (2, 1, 0)
