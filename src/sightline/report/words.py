"""Names of metrics in words: how a value is written, what it means, whether less is better.

Next: charts.py
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from sightline.report.track_words import TRACK_MEANINGS
from sightline.report.values import number

# Name (or its part before the threshold): title, unit ("%" shows a fraction in percent), what it says, less is better.
_METRICS: dict[str, tuple[str, str, str, bool]] = {
    "nme_interocular": ("NME, inter-ocular", "%", "Mean distance to the truth, in parts of the distance between the "
                        "outer eye corners.", True),
    "nme_interpupil": ("NME, inter-pupil", "%", "Mean distance to the truth, in parts of the distance between the "
                       "eye centres.", True),
    "nme_box": ("NME, box", "%", "Mean distance to the truth, in parts of the box: the root of its area.", True),
    "nme_diagonal": ("NME, diagonal", "%", "Mean distance to the truth, in parts of the diagonal of the points' "
                     "box.", True),
    "nme_label_box": ("NME, labelled box", "%", "Mean distance to the truth, in parts of the labelled box.", True),
    "nme_image": ("NME, picture", "%", "Mean distance to the truth, in parts of the picture's size.", True),
    "mean_error_px": ("Mean error", "px", "Mean distance between predicted and true points.", True),
    "median_error_px": ("Median error", "px", "Half of the points are nearer to the truth than this.", True),
    "p95_error_px": ("95th percentile", "px", "19 of 20 points are nearer to the truth than this.", True),
    "rmse_px": ("RMSE", "px", "Root of the mean squared distance: large misses weigh more.", True),
    "mean_abs_error_px": ("Mean absolute error", "px", "Mean of |x error| and |y error|, the score of some "
                          "competitions.", True),
    "pck": ("PCK", "%", "Share of points nearer than {at} of the normalising length.", False),
    "auc": ("AUC", "", "Area under the cumulative error curve up to {at}: 1 is perfect.", False),
    "failure_rate": ("Failure rate", "%", "Share of pictures whose mean error is above {at}.", True),
    "ap": ("AP", "", "Average precision: the area under the precision-recall curve, mean over classes and over how "
           "well a box must overlap (IoU 0.5 to 0.95). 1 is perfect.", False),
    "ap50": ("AP at IoU 0.5", "", "The same where a box counts from an IoU of 0.5 on: found, if not exactly placed.",
             False),
    "ap75": ("AP at IoU 0.75", "", "The same where a box counts from an IoU of 0.75 on: well placed.", False),
    "ap_small": ("AP, small", "", "AP of small objects alone.", False),
    "ap_medium": ("AP, medium", "", "AP of medium objects alone.", False),
    "ap_large": ("AP, large", "", "AP of large objects alone.", False),
    "ar_1": ("Recall, 1 box", "", "Share of the objects that are found with only the best box of a class in a picture, "
             "mean over IoU 0.5 to 0.95.", False),
    "ar_10": ("Recall, 10 boxes", "", "The same with the best 10 boxes.", False),
    "ar_100": ("Recall, 100 boxes", "", "The same with the best 100 boxes: what no threshold can raise.", False),
    "ar_small": ("Recall, small", "", "The same for small objects alone, with 100 boxes.", False),
    "ar_medium": ("Recall, medium", "", "The same for medium objects alone.", False),
    "ar_large": ("Recall, large", "", "The same for large objects alone.", False),
    "precision": ("Precision", "%", "At the operating point: share of the kept boxes that are right (class, and an IoU "
                  "of 0.5 or more).", False),
    "recall": ("Recall", "%", "At the operating point: share of the objects that are found.", False),
    "f1": ("F1", "", "At the operating point: precision and recall in one number, low if either is.", False),
    "mean_iou": ("Mean IoU", "", "How exactly boxes cover their objects: shared area over joint area, 1 is perfect. "
                 "Where a picture has many boxes, of those that are right.", False),
    "median_iou": ("Median IoU", "", "Half of the boxes cover better than this.", False),
    "accuracy": ("Accuracy", "%", "Share of pictures with the right class.", False),
    "score": ("Score", "", "Mean of the mean IoU and the accuracy.", False),
    "iou_at": ("Box right", "%", "Share of pictures whose box reaches an IoU of {raw}.", False),
    "both": ("Box and class right", "%", "Share of pictures with the right class and an IoU of {raw} or more.", False),
    "hit_rate": ("Hit rate", "%", "Share of the frames that show the point where it is found within the "
                 "distance.", False),
    "f1_wide": ("F1, wide", "", "F1 at the allowed distance and at twice, four times ... 64 times as much, with "
                "weights that halve: picks the weights.", False),
    "brier": ("Brier score", "", "Mean squared distance of the visibility score from 1 (visible) or 0 (not). 0.25 is "
              "what a constant 0.5 gets.", True),
    "loss": ("Loss", "", "What the training minimises.", True),
}  # fmt: skip
MAIN_METRICS = (
    "nme_interocular",
    "nme_interpupil",
    "nme_box",
    "nme_diagonal",
    "mean_error_px",
    "rmse_px",
    "ap",
    "score",
)
MAIN_OF_TRACK = ("f1", "accuracy")
ERROR_KINDS = {
    "class": ("Wrong class", "The box is right (IoU 0.5 or more), its class is not."),
    "place": ("Off its place", "The class is right, but the box overlaps its object too little (IoU 0.1 to 0.5)."),
    "both": ("Class and place", "Near an object of another class, and badly placed."),
    "duplicate": ("Found twice", "A better box had found that object already."),
    "background": ("False alarm", "Nothing is there."),
    "missed": ("Missed", "An object that no box found, not even badly or under another name."),
}
BUDGET = {
    "codec_px": ("Encoding and decoding", "Lost when the true points are encoded and a flawless output is decoded."),
    "decoder_noise_px": ("Noise in the decoder", "The same with a little noise on the flawless output."),
    "decoder_bias_px": (
        "Lean of the decoder",
        "The mean direction of those errors: where the decoder pulls points to.",
    ),
    "noise_bias_px": ("Noise bias", "How far noise alone pushes the decoded points from their place."),
    "network_px": ("Network", "The rest of the mean error: what the network itself gets wrong."),
}
LENGTHS = {
    "interocular": "the distance between the outer eye corners",
    "interpupil": "the distance between the eye centres",
    "box": "the box size",
    "label_box": "the labelled box's size",
    "diagonal": "the diagonal of the points' box",
    "image": "the picture's size",
}


@dataclass(frozen=True, kw_only=True)
class Metric:
    """How to show one metric."""

    name: str
    title: str
    unit: str
    meaning: str
    less_is_better: bool

    def show(self, value: object) -> str:
        """The value with its unit, three figures or so; a dash where there is none."""
        amount = number(value)
        if amount is None:
            return "\u2013"
        return f"{figure(amount * self.factor)}\u202f{self.unit}" if self.unit else figure(amount)

    def show_range(self, low: float, high: float) -> str:
        """Two values with one unit: '4.32 to 5.02 %'."""
        return f"{figure(low * self.factor)} to {self.show(high)}"

    @property
    def factor(self) -> float:
        """What a stored value is multiplied by to be in `unit`."""
        return 100.0 if self.unit == "%" else 1.0


def describe(name: str, *, task: str = "") -> Metric:
    """A metric by its name; an unknown one keeps its name and is told without a meaning.

    Args:
        name: as in metrics.json.
        task: "track" gives the meaning that a name has there; without it, that of points or boxes.
    """
    parts = re.fullmatch(r"(.+?)_(\d+\.\d+)", name)
    stem, at = (parts[1], parts[2]) if parts and parts[1] in _METRICS else (name, "")
    if stem not in _METRICS:
        return Metric(name=name, title=name, unit="px" if name.endswith("_px") else "", meaning="", less_is_better=True)
    title, unit, meaning, less = _METRICS[stem]
    meaning = TRACK_MEANINGS.get(stem, meaning) if task == "track" else meaning
    threshold = f"{float(at) * 100:g}\u202f%" if at else "the threshold"
    return Metric(
        name=name,
        title=f"{title} @ {at}" if at else title,
        unit=unit,
        meaning=meaning.replace("{at}", threshold).replace("{raw}", at or "the threshold"),
        less_is_better=less,
    )


def share(value: object) -> str:
    """A fraction in percent: 93.1 %; a dash where there is none."""
    amount = number(value)
    return "\u2013" if amount is None else f"{amount * 100:.1f}\u202f%"


def figure(value: float) -> str:
    """A number with about three significant figures and no exponent where a reader does not need one."""
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 1e6 or size < 1e-4:
        return f"{value:.3g}"
    digits = max(0, (2 if size >= 0.1 else 1) - math.floor(math.log10(size)))
    return f"{value:,.{min(digits, 6)}f}"


def duration(seconds: object) -> str:
    """Seconds as people say them: 45 s, 12 min, 3 h 20 min."""
    amount = number(seconds)
    if amount is None:
        return "\u2013"
    if amount < 90:
        return f"{amount:.0f} s"
    minutes = round(amount / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def counted(count: object, noun: str) -> str:
    """A count with its noun: '1 picture', '1,207 pictures'."""
    amount = number(count)
    return (
        f"{amount:,.0f} {noun}{'' if amount == 1 else 's'}" if amount is not None else f"an unknown number of {noun}s"
    )
