"""The adversarial protocol: players, turns, recipes, and how samples are made."""
