"""One checkpoint under many inputs: which change of the input moves its score, and what its numbers give away.

A score on plain pictures says nothing of why it is what it is. Here the same pictures are evaluated again with each
augmentation of the training switched on and doubled, and with the changes that cameras and files bring; each result
is compared with the plain one picture by picture. Start at run.py.
"""
