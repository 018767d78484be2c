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
_VIDEO_FOLDERS = ("video", "videos")
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

    Looked for in turn beside the label file, in its folder's neighbours `video`, `videos`, `frame`, `frames`,
    `images`, and at last a video that is the only one in the folder of a label file that is the only one too.
    """
    beside = labels.parent
    for stem in stems:
        for folder in (
            beside,
            *(beside.parent / name for name in _VIDEO_FOLDERS),
            *(beside / n for n in _VIDEO_FOLDERS),
        ):
            if (found := _video_of_stem(folder, stem)) is not None:
                return found
        folders = (beside, *(beside.parent / name for name in _FRAME_FOLDERS), *(beside / n for n in _FRAME_FOLDERS))
        for folder in (folder / stem for folder in folders):
            if folder.is_dir() and numbered_pictures(folder):
                return folder
    videos = videos_in(beside)
    same_kind = [path for path in beside.iterdir() if path.suffix == labels.suffix and not path.name.startswith(".")]
    return videos[0] if len(videos) == len(same_kind) == 1 else None


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
