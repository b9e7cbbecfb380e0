"""Generators, discriminators, and the signal processing that they are built from."""
