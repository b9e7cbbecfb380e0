"""What the values of pictures mean: their types, windows and sizes, how values are read, cropped, shown and written."""
