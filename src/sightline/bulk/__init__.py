"""Predictions for very many inputs, in numbered parts that are done once, whatever is killed on the way.

Next: inputs.py
"""
