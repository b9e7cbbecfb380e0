"""The trainer: one loop for every recipe, on one process or many, with its checkpoints and devices."""
