"""The shuttle tracker's recipes by name, their counts, variants for two cores, and the ladder between two versions.

`light` puts a version on MobileNetV2, narrows what is behind it and gives all versions one short schedule, so that
they can be compared where the published backbones and weeks of a GPU are not at hand. The ladder says which of the
six changes that version 6 of the fine stage made at once mattered.
"""

from __future__ import annotations

from collections.abc import Callable

from sightline.backbones.timm_net import TimmBackboneConfig
from sightline.config import Experiment, TrainConfig
from sightline.context.film_pyramid import FilmPyramidContextConfig
from sightline.errors import UserError
from sightline.heads.track_map import TrackMapHeadConfig
from sightline.necks.plain_bifpn import PlainBifpnNeckConfig
from sightline.recipes import shuttle, shuttle_fine
from sightline.recipes.ladders import changed

Make = Callable[[], Experiment]

VERSIONS: dict[str, Make] = {
    "shuttle-s1-v1": shuttle.shuttle_s1_v1,
    "shuttle-s1-v2": shuttle.shuttle_s1_v2,
    "shuttle-s1-v3": shuttle.shuttle_s1_v3,
    "shuttle-s1-v4": shuttle.shuttle_s1_v4,
    "shuttle-s2-v1": shuttle_fine.shuttle_s2_v1,
    "shuttle-s2-v2": shuttle_fine.shuttle_s2_v2,
    "shuttle-s2-v3": shuttle_fine.shuttle_s2_v3,
    "shuttle-s2-v4": shuttle_fine.shuttle_s2_v4,
    "shuttle-s2-v5": shuttle_fine.shuttle_s2_v5,
    "shuttle-s2-v6": shuttle_fine.shuttle_s2_v6,
    "shuttle-s2-v7": shuttle_fine.shuttle_s2_v7,
}

# Totals that the published code gives. Those of s1-v4, s2-v6 and s2-v7 are sums of its parts, which a test derives.
SHUTTLE_COUNTS: dict[str, int] = {
    "shuttle-s1-v1": 14_571_948,
    "shuttle-s1-v2": 14_899_499,
    "shuttle-s1-v3": 14_900_015,
    "shuttle-s2-v1": 7_621_120,
    "shuttle-s2-v2": 7_288_768,
    "shuttle-s2-v3": 7_682_112,
    "shuttle-s2-v4": 15_693_361,
    "shuttle-s2-v5": 15_693_361,
}

LIGHT_SCHEDULE = {
    "epochs": 10,
    "batch": 16,
    "accumulate": 1,
    "optimizer": "adamw",
    "lr": 1e-3,
    "backbone_lr": 0.2,
    "schedule": "one-cycle",
    "step_factor": TrainConfig().step_factor,  # without effect here, and so the same in all
}
LIGHT_WIDTH = 64  # widest layer of a heatmap head
COARSE_LEVEL = 4  # stride 32; -1 is not a level of timm's networks


def light(experiment: Experiment) -> Experiment:
    """A version on MobileNetV2 with supplied ImageNet weights, narrower behind it, trained for ten short epochs.

    Kept are pieces, losses, augmentation, normalisation of pixels, what is frozen, and clipping; the MLPs keep their
    widths. Pyramids have half their channels, the fused one of s2-v4 a quarter, heatmap heads at most 64.

    Raises:
        UserError: the experiment's backbone does not say which levels it gives.
    """
    backbone, neck, context, head = experiment.backbone, experiment.neck, experiment.context, experiment.head
    if not hasattr(backbone, "levels") or not hasattr(backbone, "frozen"):
        raise UserError(f"{experiment.recipe}: a light variant needs a backbone with levels, not '{backbone.kind}'.")
    levels = tuple(COARSE_LEVEL if level == -1 else level for level in backbone.levels)  # type: ignore[union-attr]
    light_backbone = TimmBackboneConfig(
        name="mobilenetv2_100",
        padding="same",
        levels=levels,
        frozen=backbone.frozen,
        mean_std=backbone.mean_std,  # type: ignore[union-attr]
    )
    if isinstance(neck, PlainBifpnNeckConfig):
        neck = neck.model_copy(update={"channels": neck.channels // 2})
    if isinstance(context, FilmPyramidContextConfig):
        narrow = {"coarse_widths": (160, 160, 80), "fine_widths": (32, 32, 32), "width": 64}
        context = context.model_copy(update=narrow)
    if isinstance(head, TrackMapHeadConfig):
        layers = tuple((min(channels, LIGHT_WIDTH), kernel) for channels, kernel in head.layers)
        head = head.model_copy(update={"layers": layers})
    return experiment.model_copy(
        update={
            "recipe": experiment.recipe.replace("shuttle-", "shuttle-light-", 1),
            "backbone": light_backbone,
            "neck": neck,
            "context": context,
            "head": head,
            "train": experiment.train.model_copy(update=LIGHT_SCHEDULE),
        }
    )


def light_versions() -> list[Experiment]:
    """All 11 versions on MobileNetV2, narrower and with ten short epochs: what two cores can train, in one table.

    `light` says what is changed. The order is that of the versions, not of single changes: each rung differs from the
    one before by all that its version changed. Needs mobilenetv2_100.safetensors or the hub's weights.
    """
    return [light(make()) for make in VERSIONS.values()]


def v5_to_v6() -> list[Experiment]:
    """The fine stage from version 5 to version 6, one change a rung: what mattered of all that v6 changed at once.

    Without the continued motion, without FiLM, without visibility; normalised pixels; the newer backbone; a top-down
    pyramid over four levels in place of the fusion of two; up again; four times; and version 6's rates, with the
    normalisation layers learning. The last rung is version 6. A validation loss's first epoch below a bound, in
    metrics.jsonl, is the measure of how fast a rung learns.
    """
    name = "shuttle-v5-to-v6"
    v5 = changed(shuttle_fine.shuttle_s2_v5(), name=f"{name}-1-v5")
    prior = changed(
        v5, name=f"{name}-2-no-prior", sets=["context.prior.form=none", "head.prior=none", "head.prior_gate=0"]
    )
    film = changed(prior, name=f"{name}-3-no-film", sets=["context.film=false", "context.history=0"])
    visible = changed(
        film,
        name=f"{name}-4-no-visibility",
        use=["codec=track-map"],
        sets=["head.visible=none", "codec.visible_loss=none"],
    )
    norm = changed(visible, name=f"{name}-5-normalised", sets=["backbone.mean_std=imagenet"])
    backbone = changed(
        norm,
        name=f"{name}-6-backbone",
        use=["backbone=timm"],
        sets=["backbone.name=tf_efficientnetv2_b0", "backbone.levels=[3, 4]", "backbone.frozen=norm"],
    )
    fused = [list(layer) for layer in shuttle.FUSED]
    fpn = changed(
        backbone,
        name=f"{name}-7-fpn",
        use=["neck=plain-bifpn", "context=stack"],
        sets=[
            "backbone.levels=[1, 2, 3, 4]",
            "neck.repeats=1",
            "neck.bottom_up=false",
            "context.levels=[2, 3]",
            f"head.layers={fused}",
        ],
    )
    once = changed(fpn, name=f"{name}-8-bifpn", sets=["neck.bottom_up=true"])
    four = changed(once, name=f"{name}-9-bifpn-4", sets=["neck.repeats=4"])
    v6 = shuttle_fine.shuttle_s2_v6()
    last = four.model_copy(update={"recipe": f"{name}-10-v6", "backbone": v6.backbone, "train": v6.train})
    return [v5, prior, film, visible, norm, backbone, fpn, once, four, last]


def v5_to_v6_light() -> list[Experiment]:
    """The ladder shuttle-v5-to-v6 with `light` rungs: all on MobileNetV2 with one schedule, so one rung fewer."""
    rungs: list[Experiment] = []
    for full in v5_to_v6():
        rung = light(full).model_copy(update={"recipe": full.recipe.replace("v5-to-v6", "v5-to-v6-light")})
        if not rungs or rung != rungs[-1].model_copy(update={"recipe": rung.recipe}):
            rungs.append(rung)
    return rungs


SHUTTLE_LADDERS: dict[str, Callable[[], list[Experiment]]] = {
    "shuttle-light": light_versions,
    "shuttle-v5-to-v6": v5_to_v6,
    "shuttle-v5-to-v6-light": v5_to_v6_light,
}
