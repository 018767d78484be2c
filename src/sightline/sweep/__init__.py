"""Searching settings: an Optuna study over config keys and choices of pieces, each trial judged over several seeds.

Nothing here knows about a task: a trial's score is the mean over its seeds of the main metric of `evaluate`.
Files in the order of reading: space.py, fit.py, tried.py, storage.py, claims.py, trial.py, run.py, recheck.py, page.py.
"""
