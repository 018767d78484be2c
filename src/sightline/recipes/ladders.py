"""Ladders: lists of experiments in which each rung is one change from the rung before.

They answer "what did that change bring?" on faces68 with two CPU cores, with networks that fit there: MobileNetV2
with supplied ImageNet weights, or ResNet18 from random weights, at 128 px. Every rung has a name of its own and
trains like a recipe: `sightline train p3-trials-2-norm --data DATA`. A change is written as a user writes it,
with --use and --set.

Where a rung changes loss or head, one learning rate does not suit all; `at_rates` spreads a ladder over
`RATES`, and each rung is then judged at its best one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sightline.backbones.timm_net import TimmBackboneConfig
from sightline.codecs.coords import CoordsCodecConfig
from sightline.config import AugmentConfig, DataConfig, Experiment, TrainConfig, override
from sightline.heads.mlp import MlpHeadConfig
from sightline.necks.gap import GapNeckConfig
from sightline.recipes.faces import IBUG68, facenet58
from sightline.recipes.pixelwise import pixelwise_p3, pixelwise_p4_collapse

RATES = (5e-4, 1e-3, 2e-3, 4e-3)
SIZE = 128  # side of the input, px
AUGMENT = AugmentConfig(
    rotate_deg=20, shift=0.06, scale_min=0.85, scale_max=1.15, flip=0.5, brightness=0.3, contrast=0.3
)
TRAIN = TrainConfig(epochs=20, batch=32, lr=1e-3, weight_decay=0.05, schedule="one-cycle")


def at_rates(rungs: Sequence[Experiment], *, rates: Sequence[float] = RATES) -> list[Experiment]:
    """Every rung at every learning rate, named RUNG-lr0.001."""
    return [
        changed(rung, name=f"{rung.recipe}-lr{rate:g}", sets=[f"train.lr={rate:g}"]) for rung in rungs for rate in rates
    ]


def changed(experiment: Experiment, *, name: str, use: Sequence[str] = (), sets: Sequence[str] = ()) -> Experiment:
    """A copy under another name, with pieces swapped and values set."""
    return override(experiment.model_copy(update={"recipe": name}), use=use, sets=sets)


def lr_trial() -> list[Experiment]:
    """The learning-rate trial of `faces`: FaceNet at 1e-2, 1e-3 and 1e-4."""
    base = facenet58()
    return [changed(base, name=f"lr-trial-{rate}", sets=[f"train.lr={rate}"]) for rate in ("1e-2", "1e-3", "1e-4")]


def p3_trials() -> list[Experiment]:
    """The trials of `pixelwise`: batch normalisation, initialisation, dropout, gradient clipping, one after another.

    ResNet18 from random weights at 128 px. The amounts of dropout and clipping are inferred.
    """
    base = pixelwise_p3(size=SIZE)
    plain = changed(base, name="p3-trials-1-plain", sets=["backbone.norm=none", "backbone.init=torch"])
    norm = changed(plain, name="p3-trials-2-norm", sets=["backbone.norm=batch"])
    init = changed(norm, name="p3-trials-3-init", sets=["backbone.init=library"])
    dropout = changed(init, name="p3-trials-4-dropout", sets=["neck.dropout=0.3"])
    clipping = changed(dropout, name="p3-trials-5-clipping", sets=["train.clip_norm=1.0"])
    return [plain, norm, init, dropout, clipping]


def p4_collapse() -> list[Experiment]:
    """Squared error on heatmaps: collapsing to zero, then initialisation, then batch normalisation, at 128 px."""
    collapse = changed(pixelwise_p4_collapse(size=SIZE), name="p4-collapse-1-plain")
    init = changed(collapse, name="p4-collapse-2-init", sets=["backbone.init=library", "train.init=kaiming"])
    norm = changed(init, name="p4-collapse-3-norm", sets=["backbone.norm=batch", "neck.norm=true"])
    return [collapse, init, norm]


def regression_vs_heatmap() -> list[Experiment]:
    """Coordinates from a pooled vector (MSE, then L1), then one heatmap a point.

    Same backbone, crops, augmentation and images seen.
    """
    mse = Experiment(
        recipe="regression-vs-heatmap-1-mse",
        skeleton=IBUG68,
        data=DataConfig(input_hw=(SIZE, SIZE)),
        augment=AUGMENT,
        backbone=TimmBackboneConfig(name="mobilenetv2_100", padding="same"),
        neck=GapNeckConfig(),
        head=MlpHeadConfig(start_at="mean-shape"),
        codec=CoordsCodecConfig(loss_kind="mse"),
        train=TRAIN,
    )
    l1 = changed(mse, name="regression-vs-heatmap-2-l1", sets=["codec.loss_kind=l1"])
    heatmap = changed(
        l1,
        name="regression-vs-heatmap-3-heatmap",
        use=["neck=fpn", "head=heatmap", "codec=heatmap"],
        sets=["neck.channels=64", "neck.levels=1", "codec.loss_kind=ce", "codec.sigma=1.5"],
    )
    return [mse, l1, heatmap]


def mse_vs_log() -> list[Experiment]:
    """Squared error, then the log loss of each cell: the same net with 32 x 32 maps; only the loss differs."""
    mse = changed(regression_vs_heatmap()[-1], name="mse-vs-log-1-mse", sets=["codec.loss_kind=mse"])
    return [mse, changed(mse, name="mse-vs-log-2-log", sets=["codec.loss_kind=bce"])]


def summed_vs_separate() -> list[Experiment]:
    """All maps against one summed target (a published failure), each against its own, and a better decoder."""
    heatmap = regression_vs_heatmap()[-1]
    summed = changed(
        heatmap, name="summed-vs-separate-1-summed", use=["codec=summed-heatmap"], sets=["codec.sigma=1.5"]
    )
    separate = changed(
        summed,
        name="summed-vs-separate-2-separate",
        use=["codec=heatmap"],
        sets=["codec.loss_kind=ce", "codec.sigma=1.5", "codec.decoder=argmax"],
    )
    return [summed, separate, changed(separate, name="summed-vs-separate-3-decoder", sets=["codec.decoder=dark"])]


def single_pixel() -> list[Experiment]:
    """Targets of a single pixel (a published failure), then Gaussians; log loss in both."""
    pixel = changed(mse_vs_log()[-1], name="single-pixel-1-pixel", sets=["codec.target=single-pixel"])
    return [pixel, changed(pixel, name="single-pixel-2-gaussian", sets=["codec.target=gaussian"])]


def flip_swap() -> list[Experiment]:
    """No mirror images, mirror images whose left and right points keep their names (a published failure), the fix."""
    base = regression_vs_heatmap()[1]
    sets = ["augment.flip=0", "augment.flip_swaps_twins=false"]
    none = changed(base, name="flip-swap-1-none", sets=sets)
    naive = changed(none, name="flip-swap-2-naive", sets=["augment.flip=0.5"])
    return [none, naive, changed(naive, name="flip-swap-3-swapped", sets=["augment.flip_swaps_twins=true"])]


def fpn_vs_bifpn() -> list[Experiment]:
    """Maps of all levels put together once, from coarse to fine, or back and forth with learnt weights."""
    fpn = changed(regression_vs_heatmap()[-1], name="fpn-vs-bifpn-1-fpn")
    return [fpn, changed(fpn, name="fpn-vs-bifpn-2-bifpn", use=["neck=bifpn"], sets=["neck.channels=64"])]


def constant_vs_random_noise() -> list[Experiment]:
    """Noise of one strength in every training picture (a published failure), then a strength drawn for each."""
    sets = ["augment.noise_std=0.1", "augment.noise_draw=constant"]
    constant = changed(regression_vs_heatmap()[-1], name="constant-vs-random-noise-1-constant", sets=sets)
    random = changed(constant, name="constant-vs-random-noise-2-random", sets=["augment.noise_draw=each-image"])
    return [constant, random]


LADDERS: dict[str, Callable[[], list[Experiment]]] = {
    "lr-trial": lr_trial,
    "p3-trials": p3_trials,
    "p4-collapse": p4_collapse,
    "regression-vs-heatmap": regression_vs_heatmap,
    "mse-vs-log": mse_vs_log,
    "summed-vs-separate": summed_vs_separate,
    "single-pixel": single_pixel,
    "flip-swap": flip_swap,
    "fpn-vs-bifpn": fpn_vs_bifpn,
    "constant-vs-random-noise": constant_vs_random_noise,
}
