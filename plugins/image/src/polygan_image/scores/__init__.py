"""Scores of generated pictures, the feature networks that they measure with, and what they keep in the cache."""
