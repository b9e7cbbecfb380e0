"""Scores next to their floor, and signals of health."""
