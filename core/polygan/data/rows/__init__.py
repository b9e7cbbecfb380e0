"""Rows of data: picked from samples, sorted by cost, joined by name."""
