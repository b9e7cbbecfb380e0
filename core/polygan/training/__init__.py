"""The trainer and what serves it: one loop for every recipe, on one process or many."""
