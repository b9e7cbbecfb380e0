"""What sound is read from and written to: files, sources, data sets, and the domain."""
