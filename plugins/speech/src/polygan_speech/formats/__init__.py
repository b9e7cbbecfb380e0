"""Weights of other programs, and files for other programs."""
