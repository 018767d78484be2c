"""Which places of a detector learn which object: fixed IoU, ATSS, task-aligned.

Start with assignment.py. Next: anchors/
"""
