"""Weights that come from other programs or go to them, a file for each program."""
