"""Exported models without torch: the card that an artefact carries, its file, the engines that run it.

Next: card.py
"""
