# ruff: noqa: E501 (a table is read by its rows)
"""The one table of everything that can be found wrong with data: id, family, severity, meaning, what to do.

The family "reading" is what readers and `scan` collect; the others are files of this folder. An `error` of the
reading keeps a record out of training; `split-copied` stops no training but makes its figures false, and the
errors of `fit` say that the recipe cannot be trained on these data. Next: case.py
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sightline.errors import unknown_name
from sightline.records import Severity


@dataclass(frozen=True, kw_only=True)
class Check:
    """One kind of problem.

    Attributes:
        family: "reading", or the file of this folder that looks for it.
        meaning: what is so, in one line.
        todo: what to do about it.
        fix: what `--fix` does; empty where only a person can know.
    """

    id: str
    family: str
    severity: Severity
    meaning: str
    todo: str
    fix: str = ""


_LEFT_OUT = "left out of the copy"
_ENTRIES: tuple[tuple[str, str, Severity, str, str, str], ...] = (
    # pictures, as readers and the scan meet them
    ("reading", "image-missing", "error", "a label names a picture that is not there", "mend the name, or copy the picture below the label file's folder", _LEFT_OUT),
    ("reading", "image-empty", "error", "the file has 0 bytes", "copy or download it again", _LEFT_OUT),
    ("reading", "image-truncated", "error", "the file ends before the picture does", "copy or download it again", _LEFT_OUT),
    ("reading", "image-unreadable", "error", "no picture, or one that cannot be opened", "open it in a viewer; convert it to PNG or JPEG", _LEFT_OUT),
    ("reading", "image-too-large", "error", "more than 268 million pixels", "make it smaller or cut it into parts", _LEFT_OUT),
    ("reading", "shard-missing", "error", "a shard of the index, or its labels, is not there", "copy it again", "its records are left out of the copy"),
    ("reading", "shard-damaged", "error", "a shard, or its labels, is not the one that the index means, or no whole tar", "copy or convert it again", "its records are left out of the copy"),
    ("reading", "image-duplicated", "error", "a picture is listed twice, or is in two parts", "remove one entry", "the first entry is kept"),
    ("reading", "image-size-mismatch", "warning", "the label file's width and height are not the picture's", "resized, or labelled without its EXIF rotation? Label it again", ""),
    # points
    ("reading", "point-count", "error", "another number of points than most records have", "complete the record, or remove it", _LEFT_OUT),
    ("reading", "point-incomplete", "error", "a point with half of its coordinates", "give both, or leave both blank", _LEFT_OUT),
    ("reading", "point-not-finite", "error", "NaN or infinite where a number is needed", "leave a missing point blank", _LEFT_OUT),
    ("reading", "point-off-image", "warning", "a labelled point lies outside its picture", "right for an object cut by the border; else a slip", ""),
    ("reading", "points-swapped", "warning", "fits the mean shape clearly better with left and right exchanged", "look at it: left and right are the subject's own", "left and right points exchanged"),
    ("reading", "points-none-visible", "warning", "no point of the record is labelled", "label it, or remove it", _LEFT_OUT),
    ("reading", "points-absent", "warning", "no box of the file has parts", "the file holds boxes only: nothing to learn", ""),
    ("reading", "label-missing", "warning", "a picture among labelled ones has no label, or a listed name has no file", "label it, or move it elsewhere", _LEFT_OUT),
    ("reading", "visibility-invalid", "error", "a mark of visibility that means nothing", "mend it", _LEFT_OUT),
    # boxes
    ("reading", "box-empty", "error", "width or height is 0", "draw it again, or remove it", "the box is dropped"),
    ("reading", "box-inverted", "error", "right before left, or lower before upper edge", "exchange the edges", "the box is dropped"),
    ("reading", "box-not-finite", "error", "an edge is NaN or infinite", "mend it", "the box is dropped"),
    ("reading", "box-off-image", "error", "nothing of the box is in the picture", "another picture's labels?", "the box is dropped"),
    ("reading", "box-cut", "warning", "boxes reach over the edges", "was the picture resized or turned?", "cut at the frame"),
    ("reading", "box-out-of-range", "error", "a YOLO number is not in 0..1", "pixels instead of fractions?", "the box is dropped"),
    ("reading", "box-duplicated", "warning", "the same box of the same class twice", "remove one", "the second is dropped"),
    ("reading", "box-turned", "warning", "a rectangle drawn at an angle; the upright box around it is used", "nothing, or draw it upright", ""),
    ("reading", "area-invalid", "warning", "an area that is not above 0", "nothing: the box's own is used", "the box's own area"),
    ("reading", "outline-boxed", "note", "outlines became boxes", "nothing", ""),
    ("reading", "fractions-assumed", "note", "no number is above 1: boxes are fractions", "nothing", ""),
    # classes
    ("reading", "box-class-missing", "error", "a box without a class", "name it", "the box is dropped"),
    ("reading", "class-unknown", "error", "a class number that nothing names", "mend the number or the list of names", "the box is dropped"),
    ("reading", "box-class-similar", "warning", "two class names that differ in case, spacing or by a slip", "rename one", "merged where it is clearly a slip"),
    ("reading", "box-class-unused", "warning", "classes without any object", "nothing, or remove them", ""),
    ("reading", "box-class-one-part", "warning", "classes that are only in train or only in val", "divide again", ""),
    ("reading", "class-name-twice", "warning", "categories of one name; taken for one class", "rename one", "one class"),
    ("reading", "class-assumed", "note", "no class column: all boxes are `object`", "nothing", ""),
    # label files
    ("reading", "row-unreadable", "error", "a line, entry or number cannot be understood", "mend the line that is named", _LEFT_OUT),
    ("reading", "row-length", "error", "a row has more or fewer cells than the header", "look for a comma in a name, or a missing cell", _LEFT_OUT),
    ("reading", "label-duplicated", "warning", "the same line twice in a label file", "remove one", "the second is dropped"),
    ("reading", "box-invalid", "error", "data of points: a box without area, or not four numbers", "mend it", _LEFT_OUT),
    ("reading", "box-ignored", "note", "boxes marked as ignored are left out", "nothing", ""),
    ("reading", "annotation-orphan", "error", "an annotation names an image id that is not in the file", "add the image, or remove the annotation", _LEFT_OUT),
    ("reading", "annotation-skipped", "note", "annotations that nothing is made of", "nothing", ""),
    ("reading", "crowd-skipped", "note", "annotations of crowds are left out", "nothing", ""),
    ("reading", "columns-ignored", "note", "columns of a CSV that nothing is made of", "check that no point is among them", ""),
    ("reading", "boxes-of-objects", "note", "rectangles beside points: each is the box of an object", "nothing", ""),
    ("reading", "columns-assumed", "note", "no header, a box in one cell, or places that are mostly fractions: what the numbers are taken for", "check that it is so", ""),
    ("reading", "split-missing", "warning", "a part that is named is not there", "add it, or remove the entry", ""),
    ("reading", "score-ignored", "warning", "label files with scores: detections taken for labels?", "check that these are labels", ""),
    ("reading", "predictions-read", "note", "pre-annotations are read where no person labelled", "nothing", ""),
    ("reading", "annotations-several", "note", "tasks labelled more than once", "nothing", ""),
    ("reading", "video-skipped", "note", "tasks of videos are left out", "nothing", ""),
    ("reading", "image-turned", "error", "the picture was turned while it was labelled", "turn the file, label again", _LEFT_OUT),
    ("reading", "label-unreadable", "error", "an XML, JSON or text file that cannot be read", "mend it", _LEFT_OUT),
    ("reading", "label-orphan", "warning", "a label file whose picture is not there", "copy the picture", _LEFT_OUT),
    ("reading", "labels-absent", "note", "pictures without a label file: nothing to find in them", "nothing", ""),
    ("reading", "filename-differs", "warning", "`<filename>` names another picture that is there too", "mend it", ""),
    ("reading", "split-twice", "warning", "a name in two lists; the first counts", "remove one", "the first counts"),
    ("reading", "split-unlisted", "warning", "label files in none of the lists", "add them", ""),
    ("reading", "split-same", "note", "train and val are the same pictures; they belong to no part", "make a val part", ""),
    ("reading", "records-none", "error", "there is no record in the data set", "look at the path, or label something", ""),
    ("reading", "skeleton-assumed", "note", "the format only counts points", "check the names that were taken", ""),
    ("reading", "skeleton-edge-unknown", "warning", "a line of the skeleton joins a point that does not exist", "mend the skeleton", ""),
    ("reading", "point-names-invalid", "warning", "not that many different names of points", "mend it; numbers are used instead", ""),
    ("reading", "flip-index-invalid", "warning", "`flip_idx` does not pair the points both ways", "mend it, or training has no mirror images", ""),
    # videos and clips
    ("reading", "split-clip-leak", "error", "the data's own split puts frames of one clip into several parts", "split by group (`--set data.split_by=group`); this error stops only the split that it names", ""),
    ("reading", "video-missing", "error", "there is no video or folder of frames for a label file, or several", "copy it beside the labels, with their name", ""),
    ("reading", "video-unreadable", "error", "no video, or one whose recording was broken off", "play it; convert or record it again", ""),
    ("reading", "video-empty", "error", "0 bytes, or no frame that can be decoded", "copy it again", ""),
    ("reading", "video-truncated", "warning", "the file ends too early; the frames up to there are used", "copy it again", ""),
    ("reading", "video-damaged", "warning", "frames in the middle cannot be decoded; the others are used", "copy it again", ""),
    ("reading", "video-stalled", "warning", "nothing more came through a pipe, address or camera", "look at the sender", ""),
    ("reading", "video-size-changes", "warning", "frames of another size; scaled to the first one's", "nothing, or cut the video there", ""),
    ("reading", "video-frame-missing", "error", "a labelled frame cannot be decoded", "copy the video again", ""),
    ("reading", "video-length-differs", "warning", "the labelling tool counted other frames than there are: labels may drift off", "set the frame rate in the tool (Label Studio: `frameRate`), export again", ""),
    ("reading", "video-size-differs", "error", "DeepLabCut's pictures are not of the video's size: it was cropped", "give the video that was labelled", ""),
    ("reading", "video-unpacked", "note", "how many frames lie as pictures, where, and how large they are", "nothing", ""),
    ("reading", "label-beyond-clip", "error", "labels of frames after the last one, or before the first", "another video's labels?", _LEFT_OUT),
    ("reading", "frame-duplicated", "error", "a frame is labelled twice, at different places; the first is kept", "remove one", ""),
    ("reading", "past-frame-unreadable", "warning", "a picture before a frame cannot be read; it counts as lacking", "copy it again", ""),
    ("reading", "visibility-unused", "warning", "visibility is 0 in a whole file that has places; these are taken for visible", "mend the column", "written as visible"),
    ("reading", "frames-renumbered", "warning", "frame numbers fit the footage only when they are counted from another one", "compare one label with its picture", ""),
    ("reading", "visibility-assumed", "note", "no column says whether the point is visible", "nothing, if it is where there is a place", ""),
    ("reading", "occluded-hidden", "note", "frames with visibility 3 (occluded) count as not visible", "nothing", ""),
    ("reading", "instances-skipped", "note", "several objects in a frame; the first is used", "nothing", "the first is kept"),
    ("reading", "clip-short", "note", "clips with fewer than 30 frames: their history is never full", "nothing", ""),
    ("reading", "clips-joined", "note", "how many clips the samples of a shuttle index were joined to", "nothing", ""),
    ("reading", "point-chosen", "note", "which body part is the point (`deeplabcut_video`)", "put another one first in `config.yaml`", ""),
    # files
    ("pictures", "image-rotated", "note", "upright only by its EXIF tag; other tools may show it turned", "nothing here, or write it upright", "written upright"),
    ("pictures", "image-blank", "warning", "all pixels are (nearly) the same", "take it out, unless it is an empty example on purpose", ""),
    ("pictures", "image-tiny", "warning", "a side is below 16 pixels", "find the original", ""),
    ("pictures", "image-shape-odd", "warning", "an aspect far from all the others", "cut, turned or from another source?", ""),
    ("pictures", "image-dark", "warning", "far darker or brighter than all the others", "failed exposure?", ""),
    ("pictures", "image-kind-mixed", "note", "grey among coloured pictures, or transparent, or 16 bits", "check that all come from one source", ""),
    ("pictures", "image-suffix-wrong", "note", "the content is of another format than the name says", "rename it: other tools go by the name", ""),
    ("copies", "image-copied", "warning", "the same file under several names, labelled alike", "keep one", "the first is kept"),
    ("copies", "image-copied-labels-differ", "warning", "the same file under several names, labelled differently", "decide which label is right", ""),
    ("copies", "image-near-copy", "warning", "nearly the same picture (resized, compressed again, other brightness)", "keep one, or give both one group", ""),
    # labels of points
    ("shapes", "shape-odd", "warning", "a shape far from all others after shift, turn and scale", "look at it: another picture's labels, another order of points?", ""),
    ("shapes", "shape-turned", "warning", "turned against all the others", "picture rotated after labelling?", ""),
    ("shapes", "shape-mirrored", "warning", "a mirror image of the others", "mirrored without exchanging left and right?", ""),
    ("shapes", "point-odd", "warning", "one point far from where the others of its shape expect it", "a slip of the mouse?", ""),
    ("points", "point-at-corner", "warning", "a visible point in the very corner of the picture", "a missing point written as (0, 0)", "marked as missing"),
    ("points", "points-coincide", "warning", "different points in the same place", "clicked twice?", ""),
    ("points", "points-copied", "warning", "different pictures with the same points to the last digit", "a label carried over?", ""),
    ("shapes", "points-size-odd", "warning", "an object far larger or smaller than in all the others", "another unit, or another picture's labels?", ""),
    ("points", "points-outside-box", "warning", "most points lie outside the record's own box", "another object's box?", ""),
    ("points", "points-few", "note", "far fewer points than nearly all others have", "label the rest, where they can be seen", ""),
    # labels of boxes
    ("boxes", "box-near-copy", "warning", "two boxes of one class in nearly the same place", "remove one", "the second is dropped"),
    ("boxes", "box-contradicts", "warning", "boxes of different classes in nearly the same place", "decide which class is right", ""),
    ("boxes", "box-tiny", "warning", "a side is below 2 pixels", "a slip of the mouse?", ""),
    ("boxes", "box-shape-odd", "warning", "an aspect far from all others of its class", "two objects in one box, or another class?", ""),
    ("boxes", "box-size-odd", "warning", "far larger or smaller than all others of its class", "another class, or another unit?", ""),
    ("boxes", "box-whole-picture", "warning", "covers the whole picture, which its class hardly ever does", "a placeholder?", ""),
    ("boxes", "boxes-copied", "warning", "different pictures with the same boxes to the last digit", "labels carried over?", ""),
    ("boxes", "box-count-odd", "warning", "far more boxes than in any other picture", "labels of several pictures in one?", ""),
    # names
    ("names", "point-name-similar", "warning", "two names of points that differ only in case or spacing", "rename or merge one", ""),
    ("names", "point-twin-missing", "warning", "a left or right point whose other side has no name", "a slip in the name?", ""),
    ("names", "split-name-unknown", "warning", "a part that is not train, val or test", "rename it, or divide another way", ""),
    # tracks
    ("tracks", "point-jump", "warning", "a point jumps further between two frames than it ever moves", "a slip, or another object", ""),
    ("tracks", "frames-copied", "warning", "a label that stands still to the last digit while all others move", "labels carried over?", ""),
    ("tracks", "frames-missing", "note", "gaps in the frame numbers of a clip", "nothing, or label them", ""),
    # balance
    ("balance", "records-few", "note", "fewer than 50 records", "label more before believing figures", ""),
    ("balance", "class-rare", "note", "classes with fewer than 10 objects", "label more, or merge classes", ""),
    ("balance", "class-unbalanced", "note", "the largest class has over 100 times the objects of the smallest", "weigh classes, or label more", ""),
    ("balance", "class-one-group", "note", "a class that is in one group only", "it cannot be learned and scored at once", ""),
    ("balance", "pictures-mostly-empty", "note", "most pictures have nothing to find", "check that they are all looked at", ""),
    ("balance", "size-spread", "note", "object sizes span a factor of more than 50", "a detector with several levels, larger input", ""),
    ("balance", "image-sizes-mixed", "note", "picture sizes span a factor of more than 4", "check that all come from one source", ""),
    ("balance", "point-never-visible", "warning", "points that no record has", "choose the others with data.points, or label them", ""),
    ("balance", "point-rarely-visible", "note", "points that fewer than 5 % of the records have", "label more of them", ""),
    # splits
    ("parts", "split-impossible", "warning", "the data cannot be divided that way", "see the message", ""),
    ("parts", "split-copied", "error", "the same picture trains and validates", "keep one of the two, or put both in one part", ""),
    ("parts", "split-near-copied", "warning", "nearly the same picture trains and validates", "put both in one part", ""),
    ("parts", "split-group-shared", "warning", "a group (identity, clip) trains and validates", "split by group", ""),
    ("parts", "split-frames-adjoin", "warning", "neighbouring frames of one sequence train and validate", "split by order, or give the frames a group", ""),
    ("parts", "split-class-missing", "warning", "a class is missing from one part", "divide again, by another seed", ""),
    ("parts", "split-small", "note", "fewer than 20 records validate", "figures will have wide intervals", ""),
    ("parts", "split-sizes-differ", "note", "objects of one part are over 1.5 times as large", "divide again, or at random", ""),
    # fit to a recipe
    ("fit", "fit-impossible", "error", "the recipe cannot be trained on these data", "choose another recipe", ""),
    ("fit", "fit-objects-under-stride", "warning", "objects smaller than the finest stride", "a larger input, or a finer level", ""),
    ("fit", "fit-objects-small", "warning", "the mean object is small against the input", "a larger input, or a crop around it", ""),
    ("fit", "fit-crop-cuts", "warning", "the crop is smaller than the object", "a larger data.margin, or crop=points", ""),
    ("fit", "fit-objects-lost", "warning", "objects that the input cannot show and training leaves out", "a larger input", ""),
    ("fit", "fit-anchors-idle", "note", "anchors that no object matches", "`sightline anchors`; codec.anchors={kind: data}", ""),
    ("fit", "fit-objects-unanchored", "warning", "objects that no anchor overlaps by half", "`sightline anchors`; codec.anchors={kind: data}", ""),
    ("fit", "fit-enlarged", "note", "pictures are enlarged more than twice", "a smaller input costs less and shows the same", ""),
    ("fit", "fit-cells-shared", "note", "different points fall in one cell of the maps", "a finer map or a larger input", ""),
)  # fmt: skip

CHECKS: dict[str, Check] = {
    id: Check(id=id, family=family, severity=severity, meaning=meaning, todo=todo, fix=fix)
    for family, id, severity, meaning, todo, fix in _ENTRIES
}


def wanted_checks(only: Iterable[str], skip: Iterable[str]) -> frozenset[str]:
    """The ids to look for: all, or some, less others.

    Raises:
        UserError: an id that is not in the table; names the nearest.
    """
    chosen, left_out = [*only], [*skip]
    for id in (*chosen, *left_out):
        if id not in CHECKS:
            raise unknown_name("check", id, CHECKS)
    return frozenset(chosen or CHECKS) - frozenset(left_out)
