"""Volumes (NIfTI, DICOM) as slices, and frames of video files: reading, pairing and writing them."""
