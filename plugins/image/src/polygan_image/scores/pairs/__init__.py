"""Scores of pictures that were made from given pictures, against the truth of each, with trivial answers as baselines."""
