"""Scores of generated pictures, their feature networks, and their cache."""
