"""The `pixelwise` page: nose tip and 58 points with small nets, 68 points by regression and by heatmaps.

Its own settings are kept where the page and its parts 1 to 3 give them; what they leave open is marked
"inferred". Its mistakes are recipes too, each next to the fix: `pixelwise-p4-collapse` and
`pixelwise-p4-single-pixel` beside `pixelwise-p4-mse` and `pixelwise-p4-log`.

`size` makes siblings of parts 3 and 4 for a CPU: the same net on smaller crops.
"""

from __future__ import annotations

from sightline.backbones.convnet import ConvLayer, ConvnetBackboneConfig
from sightline.backbones.timm_net import TimmBackboneConfig
from sightline.codecs.coords import CoordsCodecConfig
from sightline.codecs.heatmap import HeatmapCodecConfig
from sightline.config import AugmentConfig, DataConfig, Experiment, TrainConfig
from sightline.heads.heatmap import HeatmapHeadConfig
from sightline.heads.mlp import MlpHeadConfig
from sightline.necks.deconv import DeconvNeckConfig
from sightline.necks.gap import GapNeckConfig
from sightline.necks.none import NoNeckConfig
from sightline.recipes.faces import IBUG68, IMM58, NOSE_TIP

# torch's Adam at a constant rate, which decays every parameter when told to decay.
TRAIN = TrainConfig(
    epochs=25, batch=4, optimizer="adam", lr=1e-3, weight_decay=0.0, decay_norm_and_bias=True, schedule="constant"
)
RESNET_TRAIN = TRAIN.model_copy(update={"epochs": 10, "batch": 64, "lr": 5e-3, "weight_decay": 1e-5})
RESNET18 = TimmBackboneConfig(name="resnet18", weights="none", levels=(4,), mean_std="half")
# ColorJitter's amounts are inferred.
AUGMENT = AugmentConfig(rotate_deg=15, shift=0.0625, brightness=0.3, contrast=0.3)


def pixelwise_p1_58() -> Experiment:
    """58 points of IMM faces at 60 x 80 with three convolutions: 520,948 parameters.

    Idea: convolutions of 7, 5 and 3, each with ReLU and pooling, then 1792 -> 256 -> 116.
    Source: `pixelwise`, part 1; layers as printed there.
    Data: IMM faces, whole grey pictures, /255 - 0.5.
    Expected: the page's last MSE is 0.000245 on training and 0.001123 on validation data, in squared fractions
        of the picture. Here not yet measured.
    Hardware: one CPU core, minutes.
    Command: sightline train pixelwise-p1-58 --data IMM_FOLDER
    """
    layers = (
        ConvLayer(channels=16, kernel=7, pool=True),
        ConvLayer(channels=32, kernel=5, pool=True),
        ConvLayer(channels=64, kernel=3, pool=True),
    )
    return Experiment(
        recipe="pixelwise-p1-58",
        skeleton=IMM58,
        data=DataConfig(input_hw=(60, 80), channels=1, crop="image", val_fraction=0.2, split_by="random"),
        backbone=ConvnetBackboneConfig(layers=layers),
        neck=NoNeckConfig(),
        head=MlpHeadConfig(hidden=(256,), start_at="default"),
        codec=CoordsCodecConfig(loss_kind="mse"),
        train=TRAIN,
    )


def pixelwise_p1_nose() -> Experiment:
    """The tip of the nose with the net of `pixelwise-p1-58`: 491,650 parameters.

    Idea: as `pixelwise-p1-58`, with 2 outputs.
    Source: `pixelwise`, part 1.
    Data: IMM faces, or any data with a point named `nose_tip`.
    Expected: not yet measured.
    Hardware: one CPU core, minutes.
    Command: sightline train pixelwise-p1-nose --data IMM_FOLDER
    """
    base = pixelwise_p1_58()
    data = base.data.model_copy(update={"points": ("nose_tip",)})
    return base.model_copy(update={"recipe": "pixelwise-p1-nose", "skeleton": NOSE_TIP, "data": data})


def pixelwise_p2() -> Experiment:
    """58 points of IMM faces at 120 x 160 with four convolutions: 70,444,660 parameters.

    Idea: no pooling behind the first convolution, so 68,096 features go into the first linear layer, which
        holds 99 % of the parameters; the last bias starts at the mean shape.
    Source: `pixelwise`, part 2. Inferred: where the dropout of 0.3 stands (here before the second and third
        linear layer), the amounts of colour jitter, the start ("initialised normally toward the face").
    Data: IMM faces, whole grey pictures; rotation 15 degrees, shift of 10 px along x (and the same share, 7.5 px,
        along y), colour jitter.
    Expected: not yet measured.
    Hardware: one CPU core, about an hour (estimate).
    Command: sightline train pixelwise-p2 --data IMM_FOLDER
    """
    layers = (
        ConvLayer(channels=32, kernel=5, padding=1),
        ConvLayer(channels=64, kernel=5, padding=1, pool=True),
        ConvLayer(channels=128, kernel=3, padding=1, pool=True),
        ConvLayer(channels=256, kernel=3, padding=1, pool=True),
    )
    return Experiment(
        recipe="pixelwise-p2",
        skeleton=IMM58,
        data=DataConfig(input_hw=(120, 160), channels=1, crop="image", val_fraction=0.2, split_by="random"),
        augment=AUGMENT,
        backbone=ConvnetBackboneConfig(layers=layers),
        neck=NoNeckConfig(),
        head=MlpHeadConfig(hidden=(1024, 256), dropout=(0.0, 0.3, 0.3), start_at="mean-shape"),
        codec=CoordsCodecConfig(loss_kind="mse"),
        train=TRAIN.model_copy(update={"batch": 16}),
    )


def pixelwise_p3(*, size: int = 224) -> Experiment:
    """68 points by regression: ResNet18 on grey crops, one linear layer; 11,240,008 parameters.

    Idea: as `resnet50-68`, smaller, with a high learning rate and large batches.
    Source: `pixelwise`, part 3. Inferred: Adam, random first weights, the box's margin.
    Data: iBUG 300-W large; faces68 here.
    Expected: the page's loss falls from about 1170 to about 40 px^2 of the crop. Here not yet measured.
    Hardware: a GPU, or two CPU cores with `size` 128 (the ladder `p3-trials`).
    Command: sightline train pixelwise-p3 --data IBUG_FOLDER/labels_ibug_300W_train.xml

    Args:
        size: side of the square input, px.
    """
    return Experiment(
        recipe="pixelwise-p3",
        skeleton=IBUG68,
        data=DataConfig(
            input_hw=(size, size), channels=1, margin=0.2, keep_aspect=False, val_fraction=0.2, split_by="random"
        ),
        augment=AUGMENT,
        backbone=RESNET18,
        neck=GapNeckConfig(),
        head=MlpHeadConfig(start_at="default"),
        codec=CoordsCodecConfig(loss_kind="mse"),
        train=RESNET_TRAIN,
    )


def pixelwise_p4_mse(*, size: int = 224) -> Experiment:
    """68 heatmaps of 56 x 56 with squared error: ResNet18 and three deconvolutions; 15,383,556 parameters.

    Idea: the fix of `pixelwise-p4-collapse`: batch normalisation and initialised weights keep gradients alive.
    Source: `pixelwise`, part 4. Inferred: the way from 7 x 7 to 56 x 56, sigma (1.5 to 2 cells in the figures),
        Adam. The figures' predictions lie on the grid of cells: argmax; `--set codec.decoder=dark` costs
        nothing and removes that error.
    Data: iBUG 300-W large; faces68 here.
    Expected: the page's loss is about 0.002. Here not yet measured.
    Hardware: a GPU; the ladder `mse-vs-log` asks the same question on two CPU cores.
    Command: sightline train pixelwise-p4-mse --data IBUG_FOLDER/labels_ibug_300W_train.xml

    Args:
        size: side of the square input, px; the maps are a quarter of it.
    """
    base = pixelwise_p3(size=size)
    return base.model_copy(
        update={
            "recipe": "pixelwise-p4-mse",
            "neck": DeconvNeckConfig(channels=(256, 256, 256)),
            "head": HeatmapHeadConfig(),
            "codec": HeatmapCodecConfig(loss_kind="mse", sigma=1.75, decoder="argmax"),
            "train": RESNET_TRAIN.model_copy(update={"epochs": 20}),
        }
    )


def pixelwise_p4_log(*, size: int = 224) -> Experiment:
    """The net of `pixelwise-p4-mse` with the log loss of each cell, which the page found better.

    Idea: each cell is a question of yes or no; a wrong "no" costs far more than it does squared.
    Source: `pixelwise`, part 4.
    Data, hardware: as `pixelwise-p4-mse`.
    Expected: not yet measured; "significantly improves performance", without a number.
    Command: sightline train pixelwise-p4-log --data IBUG_FOLDER/labels_ibug_300W_train.xml

    Args:
        size: side of the square input, px.
    """
    codec = HeatmapCodecConfig(loss_kind="bce", sigma=1.75, decoder="argmax")
    return pixelwise_p4_mse(size=size).model_copy(update={"recipe": "pixelwise-p4-log", "codec": codec})


def pixelwise_p4_single_pixel(*, size: int = 224) -> Experiment:
    """A published failure: `pixelwise-p4-log` with targets of a single pixel ("zero-one" heatmaps).

    Idea: being one cell off is punished like being anywhere, and 3,135 of 3,136 cells say no. The fix is
        `pixelwise-p4-log`: a Gaussian gives the neighbours their share.
    Source: `pixelwise`, bells and whistles.
    Data, hardware: as `pixelwise-p4-log`.
    Expected: not yet measured; predictions cluster, worse than Gaussians.
    Command: sightline train pixelwise-p4-single-pixel --data IBUG_FOLDER/labels_ibug_300W_train.xml

    Args:
        size: side of the square input, px.
    """
    codec = HeatmapCodecConfig(loss_kind="bce", target="single-pixel", decoder="argmax")
    return pixelwise_p4_log(size=size).model_copy(update={"recipe": "pixelwise-p4-single-pixel", "codec": codec})


def pixelwise_p4_collapse(*, size: int = 224) -> Experiment:
    """A published failure: `pixelwise-p4-mse` without normalisation, every layer with torch's first weights.

    Idea: torch's default weights shrink a signal in every layer; without normalisation little of the picture
        arrives at the maps and little gradient at the first layers, and a map of zeros is already nearly
        right. The fix is `pixelwise-p4-mse`.
    Source: `pixelwise`, part 4: "the model frequently predicted zero values due to gradient disappearance".
    Data, hardware: as `pixelwise-p4-mse`.
    Expected: not yet measured; maps near zero everywhere.
    Command: sightline train pixelwise-p4-collapse --data IBUG_FOLDER/labels_ibug_300W_train.xml

    Args:
        size: side of the square input, px.
    """
    base = pixelwise_p4_mse(size=size)
    return base.model_copy(
        update={
            "recipe": "pixelwise-p4-collapse",
            "backbone": RESNET18.model_copy(update={"norm": "none", "init": "torch"}),
            "neck": DeconvNeckConfig(channels=(256, 256, 256), norm=False),
        }
    )
