"""The `aircraft` write-up: one object in a picture, its class and its box, on frozen ImageNet networks.

First eight networks are compared under one fully connected head, then heads are tried on SqueezeNet 1.0, first
fully connected (`aircraft-mlp` is the best of them), then convolutional: for the box (`aircraft-convbox-*`), then for
the class too (`aircraft-conv-*`, of which `aircraft-conv-1` is the page's final model). Everything here has the
page's own settings; recipes/aircraft_ladders.py has the steps between them and the experiments for two cores.

The page's data are not public: six classes, 189 pictures of 1280 x 720, of which a quarter validates. Pixels are
normalised by the means and deviations of its training pictures, on other data too. Its "augmentation factor" k makes
epochs of k draws of each picture: here k times as many epochs, and a validation every k.

Inferred: amounts of brightness and contrast (the library's default, 0.2) and of blur; the page makes each of the four
augmentations with probability 0.5 where ours draws all of them each time, mirrors and blur excepted; the split is
stratified there and not here. Every loss is the page's but for the corners, which are sorted first, and for 1e-7 px
instead of 1e-6 in the denominator. Patience counts the page's validation loss there and IoU + accuracy here.
"""

from __future__ import annotations

from sightline.backbones.torchvision_net import TorchvisionBackboneConfig
from sightline.codecs.one_box import OneBoxCodecConfig
from sightline.config import AugmentConfig, DataConfig, EvaluateConfig, Experiment, TrainConfig
from sightline.heads.one_box import BranchConfig, OneBoxHeadConfig
from sightline.necks.adaptive_pool import AdaptivePoolNeckConfig

CLASSES = ("f16", "cougar", "chinook", "ah64", "f15", "seahawk")
# Of the page's training pictures: red, green and blue of 0..255.
MEAN_STD = ((136.014 / 255, 148.278 / 255, 157.097 / 255), (48.723 / 255, 48.961 / 255, 52.188 / 255))
DATA = DataConfig(
    input_hw=(255, 400), crop="image", keep_aspect=False, val_fraction=0.25, split_by="random", split_seed=42
)
AUGMENT = AugmentConfig(flip=0.5, shift=0.0625, scale_min=0.9, scale_max=1.1, brightness=0.2, contrast=0.2, blur=0.5)
FACTOR = 2  # draws of each picture an epoch, in all experiments but those on that number
TRAIN = TrainConfig(
    epochs=200 * FACTOR,
    validate_every=FACTOR,
    patience=10,
    batch=32,
    optimizer="adam",
    lr=1e-4,
    weight_decay=1e-6,
    decay_norm_and_bias=True,
    schedule="constant",
    clip_norm=1.0,
    seed=32,
)
# As the page prints them; `-2` of the box heads is the sum of its own parts.
AIRCRAFT_COUNTS = {
    "aircraft-mlp": 27_319_626,
    "aircraft-convbox-1": 8_341_706,
    "aircraft-convbox-2": 8_932_298,
    "aircraft-convbox-3": 9_522_890,
    "aircraft-convbox-4": 10_113_482,
    "aircraft-convbox-5": 10_704_074,
    "aircraft-conv-1": 4_870_602,
    "aircraft-conv-2": 5_461_194,
    "aircraft-conv-3": 6_051_786,
    "aircraft-conv-768": 7_234_506,
}
FIRST_CLASS = BranchConfig(widths=(768, 256))
FIRST_BOX = BranchConfig(widths=(768, 256, 128))
BEST_CLASS = BranchConfig(widths=(256,))
BEST_BOX = BranchConfig(widths=(768, 768, 256, 256, 128))


def mlp_heads(class_branch: BranchConfig, box_branch: BranchConfig) -> OneBoxHeadConfig:
    """The page's fully connected heads: one dropout of the flattened map before both."""
    return OneBoxHeadConfig(class_branch=class_branch, box_branch=box_branch, dropout=0.5, start_at="default")


def conv_branch(blocks: int, *, filters: int = 256) -> BranchConfig:
    """The page's convolutional branch: so many 3 x 3 blocks, 1 x 1, the largest value of the map."""
    return BranchConfig(kind="conv", widths=(filters,) * blocks)


def aircraft(recipe: str, head: OneBoxHeadConfig, *, name: str = "squeezenet1_0", cells: int = 7) -> Experiment:
    """A frozen torchvision network, its last map averaged to cells x cells, and a head."""
    return Experiment(
        recipe=recipe,
        classes=CLASSES,
        data=DATA,
        augment=AUGMENT,
        backbone=TorchvisionBackboneConfig(name=name, frozen="all", mean_std=MEAN_STD),
        neck=AdaptivePoolNeckConfig(size=(cells, cells)),
        head=head,
        codec=OneBoxCodecConfig(alpha=0.7),
        train=TRAIN,
        evaluate=EvaluateConfig(batch=32),
    )


def aircraft_mlp() -> Experiment:
    """Class and box by fully connected layers on frozen SqueezeNet: 27,319,626 parameters.

    Idea: one hidden layer for the class, five for the box, on the 7 x 7 map flattened to 25,088 numbers.
    Source: `aircraft`, "Final Model" before the convolutional heads.
    Data: one object a picture, as the page's; see the module.
    Expected: there validation IoU 0.642, accuracy 0.922.
    Hardware: a T4 there, under 2 GB; on a CPU with `augment.views` and `train.cache_features`.
    Command: sightline train aircraft-mlp --data DATA
    """
    return aircraft("aircraft-mlp", mlp_heads(BEST_CLASS, BEST_BOX))


def aircraft_convbox_1() -> Experiment:
    """The box by one block of convolution, the class as in aircraft-mlp: 8,341,706 parameters.

    Idea: one block of 3 x 3 x 256, then 1 x 1 and the largest value of each of four maps.
    Source: `aircraft`, "Use CNNs for heads", box.
    Data: one object a picture, as the page's; see the module.
    Expected: there validation IoU 0.482, accuracy 0.922.
    Hardware: a T4 there, under 2 GB; on a CPU with `augment.views` and `train.cache_features`.
    Command: sightline train aircraft-convbox-1 --data DATA
    """
    return _convbox(1)


def aircraft_convbox_2() -> Experiment:
    """The box by two blocks of convolution, the class as in aircraft-mlp: 8,932,298 parameters.

    Idea: two blocks of 3 x 3 x 256, then 1 x 1 and the largest value of each of four maps.
    Source: `aircraft`, "Use CNNs for heads", box.
    Data: one object a picture, as the page's; see the module.
    Expected: there validation IoU 0.598, accuracy 0.922.
    Hardware: a T4 there, under 2 GB; on a CPU with `augment.views` and `train.cache_features`.
    Command: sightline train aircraft-convbox-2 --data DATA
    """
    return _convbox(2)


def aircraft_convbox_3() -> Experiment:
    """The box by three blocks of convolution, the class as in aircraft-mlp: 9,522,890 parameters.

    Idea: three blocks of 3 x 3 x 256, then 1 x 1 and the largest value of each of four maps.
    Source: `aircraft`, "Use CNNs for heads", box.
    Data: one object a picture, as the page's; see the module.
    Expected: there validation IoU 0.724, accuracy 0.922.
    Hardware: a T4 there, under 2 GB; on a CPU with `augment.views` and `train.cache_features`.
    Command: sightline train aircraft-convbox-3 --data DATA
    """
    return _convbox(3)


def aircraft_convbox_4() -> Experiment:
    """The box by four blocks of convolution, the class as in aircraft-mlp: 10,113,482 parameters.

    Idea: four blocks of 3 x 3 x 256, then 1 x 1 and the largest value of each of four maps.
        The page goes on with this one.
    Source: `aircraft`, "Use CNNs for heads", box.
    Data: one object a picture, as the page's; see the module.
    Expected: there validation IoU 0.701, accuracy 0.922.
    Hardware: a T4 there, under 2 GB; on a CPU with `augment.views` and `train.cache_features`.
    Command: sightline train aircraft-convbox-4 --data DATA
    """
    return _convbox(4)


def aircraft_convbox_5() -> Experiment:
    """The box by five blocks of convolution, the class as in aircraft-mlp: 10,704,074 parameters.

    Idea: five blocks of 3 x 3 x 256, then 1 x 1 and the largest value of each of four maps.
    Source: `aircraft`, "Use CNNs for heads", box.
    Data: one object a picture, as the page's; see the module.
    Expected: there validation IoU 0.704, accuracy 0.922.
    Hardware: a T4 there, under 2 GB; on a CPU with `augment.views` and `train.cache_features`.
    Command: sightline train aircraft-convbox-5 --data DATA
    """
    return _convbox(5)


def aircraft_conv_1() -> Experiment:
    """The class by one block of convolution, the box by four: 4,870,602 parameters.

    Idea: one block of 3 x 3 x 256 for the class. The page's final model, 82 % smaller than aircraft-mlp.
    Source: `aircraft`, "Use CNNs for heads", class.
    Data: one object a picture, as the page's; see the module.
    Expected: there validation IoU 0.657 (0.701 in the summary), accuracy 0.938.
    Hardware: a T4 there, under 2 GB; on a CPU with `augment.views` and `train.cache_features`.
    Command: sightline train aircraft-conv-1 --data DATA
    """
    return _conv("aircraft-conv-1", conv_branch(1))


def aircraft_conv_2() -> Experiment:
    """The class by two blocks of convolution, the box by four: 5,461,194 parameters.

    Idea: two blocks of 3 x 3 x 256 for the class.
    Source: `aircraft`, "Use CNNs for heads", class.
    Data: one object a picture, as the page's; see the module.
    Expected: there validation IoU 0.712, accuracy 0.875.
    Hardware: a T4 there, under 2 GB; on a CPU with `augment.views` and `train.cache_features`.
    Command: sightline train aircraft-conv-2 --data DATA
    """
    return _conv("aircraft-conv-2", conv_branch(2))


def aircraft_conv_3() -> Experiment:
    """The class by three blocks of convolution, the box by four: 6,051,786 parameters.

    Idea: three blocks of 3 x 3 x 256 for the class.
    Source: `aircraft`, "Use CNNs for heads", class.
    Data: one object a picture, as the page's; see the module.
    Expected: there validation IoU 0.587, accuracy 0.875.
    Hardware: a T4 there, under 2 GB; on a CPU with `augment.views` and `train.cache_features`.
    Command: sightline train aircraft-conv-3 --data DATA
    """
    return _conv("aircraft-conv-3", conv_branch(3))


def aircraft_conv_128() -> Experiment:
    """The class by one block of 128 filters, the box by four of 256.

    Idea: half as many filters for the class.
    Source: `aircraft`, "Use CNNs for heads", class.
    Data: one object a picture, as the page's; see the module.
    Expected: there validation IoU 0.722, accuracy 0.844.
    Hardware: a T4 there, under 2 GB; on a CPU with `augment.views` and `train.cache_features`.
    Command: sightline train aircraft-conv-128 --data DATA
    """
    return _conv("aircraft-conv-128", conv_branch(1, filters=128))


def aircraft_conv_128x2() -> Experiment:
    """The class by two blocks of 128 filters, the box by four of 256.

    Idea: two narrow blocks for the class.
    Source: `aircraft`, "Use CNNs for heads", class.
    Data: one object a picture, as the page's; see the module.
    Expected: there validation IoU 0.703, accuracy 0.781.
    Hardware: a T4 there, under 2 GB; on a CPU with `augment.views` and `train.cache_features`.
    Command: sightline train aircraft-conv-128x2 --data DATA
    """
    return _conv("aircraft-conv-128x2", conv_branch(2, filters=128))


def aircraft_conv_direct() -> Experiment:
    """The class from the frozen map itself, the box by four blocks.

    Idea: 1 x 1 and the largest value, without a block before.
    Source: `aircraft`, "Use CNNs for heads", class, "predict directly".
    Data: one object a picture, as the page's; see the module.
    Expected: there validation IoU 0.734, accuracy 0.734.
    Hardware: a T4 there, under 2 GB; on a CPU with `augment.views` and `train.cache_features`.
    Command: sightline train aircraft-conv-direct --data DATA
    """
    return _conv("aircraft-conv-direct", conv_branch(0))


def aircraft_conv_768() -> Experiment:
    """The class by one block of 768 filters, the box by four of 256: 7,234,506 parameters.

    Idea: three times as many filters for the class.
    Source: `aircraft`, "Use CNNs for heads", class.
    Data: one object a picture, as the page's; see the module.
    Expected: there validation IoU 0.708, accuracy 0.922.
    Hardware: a T4 there, under 2 GB; on a CPU with `augment.views` and `train.cache_features`.
    Command: sightline train aircraft-conv-768 --data DATA
    """
    return _conv("aircraft-conv-768", conv_branch(1, filters=768))


def _convbox(blocks: int) -> Experiment:
    """By the page's memory table the dropout stands before the class alone."""
    class_branch = BEST_CLASS.model_copy(update={"dropout": 0.5})
    head = OneBoxHeadConfig(class_branch=class_branch, box_branch=conv_branch(blocks), start_at="default")
    return aircraft(f"aircraft-convbox-{blocks}", head)


def _conv(recipe: str, class_branch: BranchConfig) -> Experiment:
    return aircraft(recipe, OneBoxHeadConfig(class_branch=class_branch, box_branch=conv_branch(4), start_at="default"))
