"""Which frames say which symbol: the aligner, the sum over all paths, and the best path."""
