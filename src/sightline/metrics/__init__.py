"""Predictions and truth -> named numbers with intervals, and a row for each picture.

No file in this folder needs torch. bootstrap.py makes the intervals, normalisers.py the lengths
that errors are divided by, points.py the numbers for landmarks.
"""
