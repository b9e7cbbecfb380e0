"""The data of a run: found again where it lies now, and told before it is decoded."""
