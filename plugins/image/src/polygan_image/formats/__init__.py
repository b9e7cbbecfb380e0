"""Formats that weights of the recipes are imported from and exported to."""
