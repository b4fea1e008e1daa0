"""Volumes and a model in, probability on the input's own grid out."""
