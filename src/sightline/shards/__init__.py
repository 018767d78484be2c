"""Data sets as WebDataset tars: pictures with their own bytes, labels as JSON, an index of where each picture lies.

Next: labels.py
"""
