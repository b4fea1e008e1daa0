"""The b-value of an MR image: from DICOM's own tag, or from where its scanner put it before there was one."""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk

from StrokeSegLib.io.reading import quiet_itk

#: Who wrote it, the tag that names the writer, the value's tag.
_PRIVATE = (
    ("SIEMENS MR HEADER", "0019|0010", "0019|100c"),
    ("GEMS_PARM_01", "0043|0010", "0043|1039"),
    ("Philips Imaging DD 001", "2001|0010", "2001|1003"),
)
#: GE adds 1 000 000 000 to some of its b-values.
_GE_MODULUS = 100_000


def b_value_of(path: Path, public: str, modality: str) -> str:
    """The b-value as people write it, ``1000``; empty where the image does not say.

    Args:
        path: A file whose header can be read.
        public: Its tag (0018,9087), empty where it has none.
        modality: Only an MR image is asked for more than that.
    """
    return _plain(public if public or modality != "MR" else _private(path))


def _private(path: Path) -> str:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    reader.LoadPrivateTagsOn()
    with quiet_itk():
        reader.ReadImageInformation()
    keys = set(reader.GetMetaDataKeys())
    for creator, creator_tag, tag in _PRIVATE:
        if {creator_tag, tag} <= keys and reader.GetMetaData(creator_tag).strip(" \0") == creator:
            return str(reader.GetMetaData(tag)).partition("\\")[0]  # GE's has more numbers behind it
    return ""


def _plain(text: str) -> str:
    try:
        return f"{float(text) % _GE_MODULUS:g}"
    except ValueError:
        return ""
