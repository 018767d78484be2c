"""Following one point through video, frame by frame: a coarse look at the whole frame, a fine one at windows of it.

`Tracker.load(path)` or `Tracker(stages, config)` in `tracker.py`; `tracker.step(frame)` gives a `TrackPoint`. The
published modes are in `zoom.py` and their rules in `rules.py`, our own mode in `follow.py`. Only `eager.py` needs
torch. Next: point.py
"""
