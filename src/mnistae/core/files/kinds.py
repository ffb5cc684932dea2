"""The kinds of files, recognised by their first bytes, for error messages."""

GZIP = b"\x1f\x8b"

_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"RIFF": "a WebP image",
    b"II*\x00": "a TIFF image",
    b"MM\x00*": "a TIFF image",
    b"8BPS": "a Photoshop image",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 image",
    b"\0\0\0\x0cJXL ": "a JPEG XL image",
    b"\xff\x0a": "a JPEG XL image",
    b"\0\0\x01\0": "an icon image",
    b"FUJIFILM": "a raw photo",
    b"%!PS": "a PostScript document",
    b"%PDF": "a PDF document",
    b"\x89HDF\r\n": "an HDF5 file",
    b"PAR1": "a Parquet file",
    b"MATLAB ": "a MATLAB file",
    GZIP: "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"PK\x03\x04": "a zip archive",
    b"\x93NUMPY": "an .npy array",
    **{bytes([0, 0, 8, dimensions]): "an IDX file" for dimensions in (1, 3)},
    b"version https://git-lfs": "a Git LFS pointer (run 'git lfs pull')",
} | {b"\x80%c" % protocol: "a Python pickle" for protocol in range(2, 6)}

_MEDIA = dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1"), "a HEIC image") | {b"crx ": "a raw photo"}

SIZE = 24
"""Bytes that `describe` needs at most."""


def describe(start: bytes) -> str | None:
    """Return what a file with these first bytes is, in the words of a message ('a PNG image'), or None if that is unknown."""
    if start[8:10] == b'{"' and start[4:8] == bytes(4):  # the length of the header, then the header
        return "a safetensors file"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"<"):
        return "an SVG image" if text.startswith(b"<svg") else "a web page or XML document"
    if start[4:8] == b"ftyp":
        return _MEDIA.get(start[8:12], "a video")
    return next((kind for signature, kind in _SIGNATURES.items() if start.startswith(signature)), None)
