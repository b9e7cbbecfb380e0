"""Runs: training, resuming, opening, exporting."""
