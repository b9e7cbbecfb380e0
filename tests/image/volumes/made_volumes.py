"""Tiny volumes, series and clips for tests."""

import numpy as np
import pytest

OBLIQUE = np.array([[-1.5, 0.1, 0, 20], [0.1, 0, 2.0, -30], [0, -1.0, 0.1, 5], [0, 0, 0, 1]])


def values(shape=(6, 8, 5), seed=0, low=-1000, high=2000):
    return np.random.default_rng(seed).integers(low, high, shape, dtype=np.int16)


def nifti(path, array, affine=None, slope=None, inter=None):
    nibabel = pytest.importorskip("nibabel", reason="NIfTI needs nibabel")
    image = nibabel.Nifti1Image(array, np.eye(4) if affine is None else affine)
    image.header.set_xyzt_units("mm")
    if slope is not None:
        image.header.set_slope_inter(slope, inter)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.to_filename(path)
    return path


def dicom(folder, array, *, suffix=".dcm", without_pixels=(), syntax=None, **tags):
    """A series of slices ``array`` (n, rows, columns) of uint16, written in the wrong order: number i lies at n - i millimetres."""
    pydicom = pytest.importorskip("pydicom", reason="DICOM needs pydicom")
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    series = generate_uid()
    for i, pixels in enumerate(array):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        found = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        found.SOPClassUID, found.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        found.SeriesInstanceUID, found.InstanceNumber = series, i + 1
        found.Rows, found.Columns, found.SamplesPerPixel = *pixels.shape, 1
        found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 16, 12, 11, 0
        found.PhotometricInterpretation = "MONOCHROME2"
        found.ImagePositionPatient, found.ImageOrientationPatient = [0, 0, len(array) - i], [1, 0, 0, 0, 1, 0]
        found.PixelSpacing, found.RescaleSlope, found.RescaleIntercept = [0.5, 0.75], 1, -1024
        for name, value in tags.items():
            setattr(found, name, value)
        if i not in without_pixels:
            found.PixelData = np.ascontiguousarray(pixels, np.uint16).tobytes()
        path = folder / f"{'abcdefghij'[i]}{suffix}"
        if syntax is not None:
            found.PixelData = pydicom.encaps.encapsulate([b"\0" * 10])
            found["PixelData"].is_undefined_length = True
            meta.TransferSyntaxUID = syntax
        found.save_as(path, enforce_file_format=True)
    return folder


def clip(path, frames, rate=8.0):
    """A video of frames (n, H, W, 3) of uint8, without loss."""
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="videos need imageio-ffmpeg")
    size = frames.shape[2], frames.shape[1]
    writer = ffmpeg.write_frames(
        str(path), size, fps=rate, codec="libx264rgb", pix_fmt_out="rgb24", quality=None, macro_block_size=1,
        output_params=["-crf", "0"],
    )  # fmt: skip
    writer.send(None)
    for frame in frames:
        writer.send(np.ascontiguousarray(frame).tobytes())
    writer.close()
    return path
