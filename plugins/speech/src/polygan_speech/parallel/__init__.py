"""Speech from text with all frames at once."""
