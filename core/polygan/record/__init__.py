"""The record of a run: its log, samples, progress, and the TensorBoard listener."""
