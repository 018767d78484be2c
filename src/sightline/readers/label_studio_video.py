"""Label Studio: the JSON or JSON-MIN of an export with tracks through video.

Its regions are `videorectangle`s with key frames in a `sequence`. Convention of the format: percent of the frame from
edge to edge; frames are counted from 1. Of a rectangle the middle is taken; a key frame without width and height is a
point. Between key frames places are interpolated; a key frame with `enabled: false` is the last one in which the
object is visible, until the next key frame. Frames without a visible track are labelled as not visible. Videos are
looked for by name below the JSON's folder, without what the server puts before it, also where HTML plays them. One
kind of object: regions of one label.
In: a JSON or its folder. Out: a Dataset of clips. Next: deeplabcut_video.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sightline.errors import UserError
from sightline.readers.assemble import Findings, LabelError, place
from sightline.readers.clip_assemble import ClipDraft, assemble_clips, open_footage
from sightline.readers.footage import Footage, only, videos_named
from sightline.readers.json_stream import Entry, json_files, mentions
from sightline.readers.keyframes import Keyframe, Track, labels_of_tracks, read_keyframes
from sightline.readers.label_studio_entries import entries_of, shows_video, video_name
from sightline.readers.pictures import UPLOAD_PREFIX
from sightline.readers.texts import is_finite
from sightline.records import Dataset, Skeleton

FORMAT = "label_studio_video"
LOOKED_FOR = "a JSON of tasks with a video and key frames in a sequence (Label Studio export)"

# Names that a JSON of this format has beside "sequence": that of the tasks, or JSON-MIN.
_TOLD_BY = (("data", "video"), ("data", "videorectangle"), ("annotation_id", "framesCount"))


def detect(path: Path) -> bool:
    """Whether the path is such a JSON, or a folder with one."""
    return bool(_files(path))


def read(path: Path) -> Dataset:
    """Read one JSON, or all of a folder; each task is a clip.

    Raises:
        UserError: no such JSON, it cannot be parsed, or it has regions of several labels.
        MissingExtra: PyAV is not installed.
    """
    files = _files(path)
    if not files:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    root = path if path.is_dir() else path.parent
    findings = Findings()
    drafts: dict[str, ClipDraft] = {}
    names: dict[str, str] = {}
    for file in files:
        for source, task in entries_of(file, where=place(file, root)):
            draft = _clip(task, source=source, root=root, names=names, findings=findings)
            if draft is None:
                continue
            if draft.name in drafts:
                message = f"'{draft.name}' is labelled at {drafts[draft.name].where} already; only that one is kept"
                findings.error("image-duplicated", source, message)
                continue
            drafts[draft.name] = draft
    if len(names) > 1:
        found = ", ".join(f"'{name}' ({where})" for name, where in sorted(names.items()))
        raise UserError(
            f"{root} holds regions of several labels: {found}. Expected one kind of object through video: export the "
            "regions of one label."
        )
    skeleton = Skeleton(names=(next(iter(names), "") or "point",))
    return assemble_clips(
        drafts.values(), root=root, format=FORMAT, findings=findings, skeleton=skeleton, fractions=True
    )


def _files(path: Path) -> list[Path]:
    """The JSONs of this format: the path itself, or those directly in it."""
    files = json_files(path) if path.is_dir() else [path] if path.suffix.lower() == ".json" else []
    return [file for file in files if any(mentions(file, "sequence", *names) for names in _TOLD_BY)]


def _clip(task: Entry, *, source: str, root: Path, names: dict[str, str], findings: Findings) -> ClipDraft | None:
    """The clip of a task; None, with a problem, where it is not labelled or its video cannot be read."""
    data = task["data"]
    assert isinstance(data, Mapping), source
    said = video_name(data)
    if said is None:
        why = "show a <video> whose src is no video file" if shows_video(data) else "name no video"
        findings.error("row-unreadable", source, f"its data {why}")
        return None
    shorter = UPLOAD_PREFIX.sub("", said)
    video = only(videos_named(root, said)) or (only(videos_named(root, shorter)) if shorter != said else None)
    if video is None:
        findings.error("video-missing", source, f"there is no video '{said}' in {root}, or several of that name")
        return None
    regions = _regions(task, source=source, findings=findings)
    tracked = [region for region in regions or () if _sequence(region) is not None]
    if regions is None or (regions and not tracked):
        why = "is not labelled yet" if regions is None else "has regions, but none with a sequence of key frames"
        findings.warning("label-missing", source, f"'{said}' {why}")
        return None
    footage = open_footage(video, where=source, findings=findings)
    if footage is None:
        return None
    tracks = []
    for region in tracked:
        value, sequence = region["value"], _sequence(region)
        assert isinstance(value, Mapping) and sequence is not None, region
        for label in _label_names(value):
            names.setdefault(label, source)
        _check_length(value, footage, source=source, findings=findings)
        keyframes = _keyframes(sequence, source=source, findings=findings)
        if keyframes:
            tracks.append(Track(keyframes=keyframes, source=source))
    if skipped := len(regions) - len(tracked):
        findings.note("annotation-skipped", source, f"left out: {skipped} regions without a sequence of key frames")
    labels = labels_of_tracks(tracks, frames=range(footage.end), end=footage.end, where=source, findings=findings)
    split = data.get("split")
    return ClipDraft(
        name=place(video.with_suffix(""), root),
        footage=footage,
        labels=labels,
        where=source,
        split=split.lower() if isinstance(split, str) and split else None,
    )


def _sequence(region: Entry) -> Sequence[object] | None:
    """The key frames of a region; None where it is no track (a part of the timeline, a choice)."""
    value = region.get("value")
    sequence = value.get("sequence") if isinstance(value, Mapping) else None
    return sequence if isinstance(sequence, list) else None


def _regions(task: Entry, *, source: str, findings: Findings) -> list[Entry] | None:
    """What a person drew; None where nobody labelled."""
    listed = task.get("annotations", task.get("completions"))
    done = [a for a in listed if isinstance(a, dict) and not a.get("was_cancelled")] if isinstance(listed, list) else []
    if not done:
        return None
    if len(done) > 1:
        findings.note("annotations-several", source, "labelled more than once; ground truth or the first is used")
    chosen = next((a for a in done if a.get("ground_truth")), done[0])
    result = chosen.get("result")
    return [region for region in result if isinstance(region, dict)] if isinstance(result, list) else []


def _label_names(value: Mapping[str, object]) -> list[str]:
    """The labels of a region, under whatever key."""
    for key in ("labels", "videorectanglelabels", "rectanglelabels", "keypointlabels"):
        listed = value.get(key)
        if isinstance(listed, list):
            return [str(name).strip() for name in listed if str(name).strip()]
    return []


def _check_length(value: Mapping[str, object], footage: Footage, *, source: str, findings: Findings) -> None:
    """Warn where the tool counted other frames than there are: its labels then drift off."""
    said = value.get("framesCount")
    if isinstance(said, int | float) and not isinstance(said, bool) and abs(said - footage.count) > 1:
        message = (
            f"Label Studio counted {said:g} frames, {footage.video} has {footage.count}: key frames lie at other "
            "moments than they were drawn at. Set frameRate of its <Video> tag to the video's own, and export again"
        )
        findings.warning("video-length-differs", source, message)


def _keyframes(sequence: Sequence[object], *, source: str, findings: Findings) -> list[Keyframe]:
    entries = ((entry, source) for entry in sequence)
    return read_keyframes(entries, _keyframe, counts_from=1, inside="a sequence", findings=findings)


def _keyframe(entry: object) -> Keyframe:
    if not isinstance(entry, Mapping):
        raise LabelError("row-unreadable", f"a key frame is {str(entry)[:40]}, expected an object")
    frame = entry.get("frame")
    if isinstance(frame, bool) or not isinstance(frame, int) or frame < 1:
        raise LabelError("row-unreadable", f"frame is {str(frame)[:40]}, expected a whole number from 1 on")
    numbers = []
    for name in ("x", "y", "width", "height"):
        value = entry.get(name, 0.0 if name in ("width", "height") else None)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise LabelError("row-unreadable", f"{name} of frame {frame} is {str(value)[:40]}, expected a number")
        numbers.append(float(value))
    if not is_finite(numbers):
        raise LabelError("point-not-finite", f"frame {frame} is at {tuple(numbers)}")
    x, y, width, height = (value / 100 for value in numbers)
    xy = (x + width / 2, y + height / 2)
    return Keyframe(number=frame - 1, xy=xy, shown=True, shown_after=entry.get("enabled") is not False)
