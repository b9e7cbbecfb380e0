"""Pictures from files to batches: sources, named data sets, the domain, and what pictures go through in Pillow."""
