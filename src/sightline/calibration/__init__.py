"""Answers that say how far they can be trusted: a probability that means one, and a radius with stated coverage.

answers.py lays predictions beside the truth, conformal.py makes radii and probability.py probabilities of them, fit.py
both for every point or class, file.py is what a run keeps of it, apply.py gives it to new answers, coverage.py looks
whether it holds on other data. No file in this folder needs torch. Next: conformal.py
"""
