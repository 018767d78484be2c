"""Anchors: rules that make them, shapes from data, and how well they cover a data set's boxes.

generate.py is what codecs use; the rest is for `sightline anchors`. Next: backbones/
"""
