"""Where the frames of a clip are: in a video file, or in a folder of numbered pictures.

In: a path. Out: `Footage`, which says how many frames there are and where each one is. Next: clip_assemble.py
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sightline.records import FrameAt
from sightline.video.folder_source import numbered_pictures
from sightline.video.library import VIDEO_SUFFIXES, is_video, list_videos
from sightline.video.probe import VideoInfo, probe

# Where collections keep footage whose labels lie in a folder beside.
_VIDEO_FOLDERS = ("video", "videos", "rally_video", "clips")
_FRAME_FOLDERS = ("frame", "frames", "images")


@dataclass(frozen=True, kw_only=True)
class Footage:
    """The frames of one clip.

    Attributes:
        video: the file, or None where the frames are pictures.
        pictures: the pictures by number.
        info: what the video holds.
    """

    video: Path | None = None
    pictures: Mapping[int, Path] = field(default_factory=dict)
    info: VideoInfo | None = None

    @property
    def count(self) -> int:
        """How many frames there are."""
        return len(self.pictures) if self.info is None else self.info.frames

    @property
    def end(self) -> int:
        """The number after that of the last frame."""
        return max(self.pictures, default=-1) + 1 if self.info is None else self.info.frames

    @property
    def first(self) -> int:
        """The number of the first frame."""
        return min(self.pictures, default=0) if self.info is None else 0

    def at(self, number: int) -> FrameAt | None:
        """Where a frame is; None where there is none of that number."""
        if self.video is not None:
            return FrameAt(path=self.video, index=number) if 0 <= number < self.end else None
        path = self.pictures.get(number)
        return None if path is None else FrameAt(path=path)


def footage_of_video(path: Path) -> Footage:
    """The frames of a video file.

    Raises:
        VideoError: it is not there or no video.
    """
    return Footage(video=path, info=probe(path))


def footage_of(path: Path) -> Footage:
    """The frames of a video file or of a folder of numbered pictures.

    Raises:
        VideoError: it is no video.
        UserError: two pictures have the same number.
    """
    return Footage(pictures=numbered_pictures(path)) if path.is_dir() else footage_of_video(path)


def find_footage(labels: Path, stems: Sequence[str]) -> Path | None:
    """The video or folder of pictures that belongs to a label file, by the names it may have.

    Looked for in turn beside the label file, in its folder's neighbours and its own folders `video`, `videos`,
    `frame`, `frames`, `images`, and beside its folder. At last, of a label file that is the only one in its folder, a
    video that is the only one too, the folders `frame`, `frames`, `images` themselves, or the pictures beside it.
    """
    beside = labels.parent
    for stem in stems:
        for folder in (
            beside,
            *(beside.parent / name for name in _VIDEO_FOLDERS),
            *(beside / n for n in _VIDEO_FOLDERS),
            beside.parent,
        ):
            if (found := _video_of_stem(folder, stem)) is not None:
                return found
        folders = (beside, *(beside.parent / name for name in _FRAME_FOLDERS), *(beside / n for n in _FRAME_FOLDERS))
        for folder in (folder / stem for folder in folders):
            if folder.is_dir() and numbered_pictures(folder):
                return folder
    same_kind = [path for path in beside.iterdir() if path.suffix == labels.suffix and not path.name.startswith(".")]
    if len(same_kind) != 1:
        return None
    near = [beside.parent / name for name in _FRAME_FOLDERS]
    plain = (*(beside / name for name in _FRAME_FOLDERS), beside, *near)
    return only(videos_in(beside)) or next((path for path in plain if path.is_dir() and numbered_pictures(path)), None)


def number_shift(numbers: Sequence[int], footage: Footage, *, is_from_zero: bool = False) -> int:
    """What makes frame numbers of labels those of the footage: 0 where they fit as they are, or where nothing fits.

    Labels from 0 on of pictures that begin with another number are counted from the first picture, as videos are.
    Labels from 1 to exactly the number of frames, whose last one would lack its frame, were counted from 1.

    Args:
        numbers: of the labels.
        footage: the frames.
        is_from_zero: the numbers are known to count from the first frame.
    """
    if not numbers:
        return 0
    lowest, highest = min(numbers), max(numbers)
    if is_from_zero or (lowest < footage.first and highest < footage.end - footage.first):
        return footage.first
    return -1 if lowest == 1 and highest == footage.end and footage.first == 0 else 0


def videos_in(folder: Path) -> list[Path]:
    """The videos directly in a folder."""
    return sorted(path for path in folder.iterdir() if is_video(path) and path.is_file()) if folder.is_dir() else []


def videos_named(root: Path, name: str) -> list[Path]:
    """The videos anywhere below a folder with a name, whatever its letter case and, last of all, its ending."""
    wanted = name.replace("\\", "/").rsplit("/", 1)[-1].lower()
    below = list_videos(root)
    exact = [path for path in below if path.name.lower() == wanted]
    return exact or [path for path in below if path.stem.lower() == wanted.rsplit(".", 1)[0]]


def only(paths: Iterable[Path]) -> Path | None:
    """The one path, or None where there are none or several."""
    found = list(paths)
    return found[0] if len(found) == 1 else None


def _video_of_stem(folder: Path, stem: str) -> Path | None:
    if not folder.is_dir():
        return None
    for suffix in sorted(VIDEO_SUFFIXES, key=lambda suffix: suffix != ".mp4"):
        for name in (stem + suffix, stem + suffix.upper()):
            if (folder / name).is_file():
                return folder / name
    return None
