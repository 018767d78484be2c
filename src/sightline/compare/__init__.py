"""Comparing runs: paired differences with intervals over pictures and seeds, verdicts, costs, the journey page.

Nothing here knows a task: everything comes from what each evaluation keeps of its pictures (metrics/picture_table.py).
Next: components.py
"""
