"""The `faces` write-up: nose tip, 58 points of IMM faces, 68 points of iBUG 300-W, three kinds of network.

Its own settings are kept where the text or its figures give them; what they leave open is marked
"inferred". Its mistakes are recipes too, each next to the fix: `facenet58-naive-flip` and
`facenet58-flip`; `unet-68-summed`, `unet-68` and `unet-68-fixed`.
"""

from __future__ import annotations

from sightline.backbones.convnet import ConvLayer, ConvnetBackboneConfig
from sightline.backbones.timm_net import TimmBackboneConfig
from sightline.backbones.unet_encoder import UnetEncoderConfig
from sightline.codecs.coords import CoordsCodecConfig
from sightline.codecs.heatmap import HeatmapCodecConfig
from sightline.codecs.summed_heatmap import SummedHeatmapCodecConfig
from sightline.config import AugmentConfig, DataConfig, Experiment, SkeletonConfig, TrainConfig
from sightline.heads.heatmap import HeatmapHeadConfig
from sightline.heads.mlp import MlpHeadConfig
from sightline.necks.gap import GapNeckConfig
from sightline.necks.none import NoNeckConfig
from sightline.necks.unet_decoder import UnetDecoderConfig
from sightline.skeletons import skeleton

IMM58 = SkeletonConfig.of(skeleton("imm58"))
IBUG68 = SkeletonConfig.of(skeleton("ibug68"))
NOSE_TIP = SkeletonConfig(names=("nose_tip",))

# "x-shearing +-8 %, shifting +-10 %, zooming out 0-20 %, then rotating +-22 degrees"
AUGMENT = AugmentConfig(shear=0.08, shift=0.1, scale_min=0.8, rotate_deg=22)

# Everything up to the U-Net was trained with a batch of one, at a constant rate, with torch's AdamW as it
# comes: it decays every parameter by 0.01.
TRAIN = TrainConfig(epochs=75, batch=1, lr=1e-3, weight_decay=0.01, decay_norm_and_bias=True, schedule="constant")


def nose_net() -> Experiment:
    """The tip of the nose in whole grey pictures with four convolutions.

    Idea: the smallest thing that learns a place: convolutions of 7, 5, 5 and 3, two layers behind them, MSE.
    Source: `faces`, "Nose Tip Detection". Kernels from its figure; channels, pooling, input size, the hidden
        layer and the optimiser inferred. 137,058 parameters.
    Data: IMM faces (240 pictures, 192 to train on), or any data with a point named `nose_tip`.
    Expected: not yet measured; the write-up prints no number.
    Hardware: one CPU core, minutes.
    Command: sightline train nose-net --data IMM_FOLDER
    """
    layers = (
        ConvLayer(channels=12, kernel=7, pool=True),
        ConvLayer(channels=16, kernel=5, pool=True),
        ConvLayer(channels=24, kernel=5, pool=True),
        ConvLayer(channels=32, kernel=3, pool=True),
    )
    return Experiment(
        recipe="nose-net",
        skeleton=NOSE_TIP,
        data=DataConfig(
            input_hw=(120, 160), channels=1, crop="image", points=("nose_tip",), val_fraction=0.2, split_by="random"
        ),
        backbone=ConvnetBackboneConfig(layers=layers),
        neck=NoNeckConfig(),
        head=MlpHeadConfig(hidden=(128,), start_at="default"),
        codec=CoordsCodecConfig(loss_kind="mse"),
        train=TRAIN.model_copy(update={"epochs": 15}),
    )


def facenet58() -> Experiment:
    """All 58 points of IMM faces with the write-up's own small VGG: exactly 649,828 parameters.

    Idea: two strided 3 x 3 convolutions, two plain ones, pooling behind every second, dropout of one half.
    Source: `faces`, "Full Facial Keypoints Detection"; every layer is printed there.
    Data: IMM faces, whole pictures at 120 x 160, grey, 20 % held out at random.
    Expected: not yet measured; the write-up prints no number.
    Hardware: one CPU core, about an hour for 75 epochs of 192 pictures (estimate).
    Command: sightline train facenet58 --data IMM_FOLDER
    """
    layers = (
        ConvLayer(channels=16, stride=2),
        ConvLayer(channels=16, stride=2, pool=True),
        ConvLayer(channels=32),
        ConvLayer(channels=32, pool=True),
    )
    return Experiment(
        recipe="facenet58",
        skeleton=IMM58,
        data=DataConfig(input_hw=(120, 160), channels=1, crop="image", val_fraction=0.2, split_by="random"),
        augment=AUGMENT,
        backbone=ConvnetBackboneConfig(layers=layers),
        neck=NoNeckConfig(),
        head=MlpHeadConfig(hidden=(512,), dropout=(0.5, 0.0), start_at="default"),
        codec=CoordsCodecConfig(loss_kind="mse"),
        train=TRAIN,
    )


def facenet58_naive_flip() -> Experiment:
    """A published mistake: `facenet58` with mirror images whose left and right points keep their names.

    Idea: half of the time the left eye's label lies on the right eye, so the error is least where both are
        equal: all points meet on the middle line of the face. The fix is `facenet58-flip`.
    Source: `faces`, footnote 1.
    Data, hardware: as `facenet58`.
    Expected: not yet measured; worse than `facenet58`, points on one vertical line.
    Command: sightline train facenet58-naive-flip --data IMM_FOLDER
    """
    augment = AUGMENT.model_copy(update={"flip": 0.5, "flip_swaps_twins": False})
    return facenet58().model_copy(update={"recipe": "facenet58-naive-flip", "augment": augment})


def facenet58_flip() -> Experiment:
    """The fix of `facenet58-naive-flip`: mirror images whose twin points change places.

    Idea: one setting away from the mistake (augment.flip_swaps_twins).
    Source: ours.
    Data, hardware: as `facenet58`.
    Expected: not yet measured; no worse than `facenet58`.
    Command: sightline train facenet58-flip --data IMM_FOLDER
    """
    augment = AUGMENT.model_copy(update={"flip": 0.5})
    return facenet58().model_copy(update={"recipe": "facenet58-flip", "augment": augment})


def resnet50_68() -> Experiment:
    """68 points with a pretrained ResNet-50 on grey crops: exactly 23,780,424 parameters.

    Idea: average pooling and one linear layer to 136 numbers behind a network that knows ImageNet.
    Source: `faces`, "Train With Larger Dataset". The learning rate stands in a plot's title only; how the
        colour filters became grey ones is not said (here: summed over colours), nor the pixel scaling.
    Data: iBUG 300-W large (6,666 pictures, already with mirrored copies), boxes enlarged by 20 %, stretched to
        224 x 224, samples redrawn up to 5 times while a point leaves.
    Expected: the write-up's Kaggle score is 13.33 (mean absolute coordinate error in original pixels, on
        1,008 pictures without public labels). Here not yet measured: needs weights that are not here
        (resnet50), from the hub or as resnet50.safetensors in --weights-dir.
    Hardware: a GPU, hours at the published batch of one.
    Command: sightline train resnet50-68 --data IBUG_FOLDER/labels_ibug_300W_train.xml
    """
    return Experiment(
        recipe="resnet50-68",
        skeleton=IBUG68,
        data=DataConfig(
            input_hw=(224, 224), channels=1, margin=0.2, keep_aspect=False, val_fraction=0.2, split_by="random"
        ),
        augment=AUGMENT.model_copy(update={"leaving": "retry"}),
        backbone=TimmBackboneConfig(name="resnet50", levels=(4,)),
        neck=GapNeckConfig(),
        head=MlpHeadConfig(start_at="default"),
        codec=CoordsCodecConfig(loss_kind="mse"),
        train=TRAIN.model_copy(update={"epochs": 15, "lr": 1e-4}),
    )


def unet_68() -> Experiment:
    """A published failure: a U-Net with one L1-trained map for each of 68 points; 7,764,676 parameters.

    Idea: 224 x 224 maps with a Gaussian of 5 cells about each point. Over most of a map the target is near
        zero, the median of what L1 asks for, so empty maps are a comfortable place to stay. The fix is
        `unet-68-fixed`.
    Source: `faces`, "Pixelwise Classification", second run (3,000 pictures, MAE). Epochs, decoder and the
        height of the Gaussian inferred; it was cut to 16 x 16 cells (1.6 sigma), which is not rebuilt.
    Data: iBUG 300-W large, boxes enlarged by 20 %, no augmentation.
    Expected: not yet measured; "I wasn't able to get the network to converge".
    Hardware: a GPU.
    Command: sightline train unet-68 --data IBUG_FOLDER/labels_ibug_300W_train.xml
    """
    return Experiment(
        recipe="unet-68",
        skeleton=IBUG68,
        data=DataConfig(
            input_hw=(224, 224), channels=1, margin=0.2, keep_aspect=False, val_fraction=0.2, split_by="random"
        ),
        backbone=UnetEncoderConfig(width=32, levels=5, mean_std="half"),
        neck=UnetDecoderConfig(),
        head=HeatmapHeadConfig(),
        codec=HeatmapCodecConfig(loss_kind="l1", sigma=5.0, decoder="argmax"),
        train=TRAIN.model_copy(update={"epochs": 15, "batch": 4}),
    )


def unet_68_summed() -> Experiment:
    """A published failure: the U-Net's 68 maps added up and compared with one summed target.

    Idea: saves memory, and nothing tells the maps apart any more: no map learns which point is its own.
        The fix is `unet-68-fixed`, whose loss never stores the dense targets that were too expensive.
    Source: `faces`, "Pixelwise Classification", first run (cross-entropy).
    Data, hardware: as `unet-68`.
    Expected: not yet measured; "the network does not have the fidelity to associate heatmaps with keypoints".
    Command: sightline train unet-68-summed --data IBUG_FOLDER/labels_ibug_300W_train.xml
    """
    codec = SummedHeatmapCodecConfig(sigma=5.0)
    return unet_68().model_copy(update={"recipe": "unet-68-summed", "codec": codec})


def unet_68_fixed() -> Experiment:
    """The fix of `unet-68` and `unet-68-summed`: the same net, maps judged as probabilities over all cells.

    Idea: cross-entropy of each map's softmax against its own Gaussian: cells compete, so an empty map is no
        resting place; a decoder without rounding reads the maps. Net, width of the Gaussian, data and
        training are those of `unet-68`.
    Source: ours.
    Data, hardware: as `unet-68`.
    Expected: not yet measured.
    Command: sightline train unet-68-fixed --data IBUG_FOLDER/labels_ibug_300W_train.xml
    """
    codec = HeatmapCodecConfig(loss_kind="ce", sigma=5.0, decoder="dark")
    return unet_68().model_copy(update={"recipe": "unet-68-fixed", "codec": codec})
