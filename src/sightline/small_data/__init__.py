"""What few labels can tell: cross-validation as one run, and a learning curve with a forecast.

In: a recipe and a data set. Out: a folder of ordinary runs with a page about all of them.
Next: parts.py
"""
