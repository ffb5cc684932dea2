"""Untrusted zip archives of arrays, NumPy's and PyTorch's: read in memory, their sizes checked before they are unpacked."""

import contextlib
import io
import zipfile
from collections.abc import Iterator

from mnistae.core.files.read import DAMAGED_ZIP, UnreadableError


def names(data: bytes) -> list[str]:
    """Return the names of all members. Raises UnreadableError."""
    with _opened(data) as archive:
        return archive.namelist()


def unpack(data: bytes, ending: str, *, limit: int, ignore_others: bool = False) -> dict[str, bytes]:
    """Return the members whose names have this ending, of an archive that unpacks to at most `limit` bytes.

    With `ignore_others` only they count. Raises UnreadableError.
    """
    with _opened(data) as archive:
        entries = [entry for entry in archive.infolist() if not ignore_others or entry.filename.endswith(ending)]
        if sum(entry.file_size for entry in entries) > limit:
            raise UnreadableError(f"it unpacks to more than {limit / 2**20:.0f} MiB")
        if len({entry.filename for entry in entries}) < len(entries):
            raise UnreadableError("two members have the same name")
        for entry in entries:
            if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise UnreadableError(f"{entry.filename} has an unsupported compression method")
        wanted = [entry for entry in entries if entry.filename.endswith(ending)]
        # A size given is kept to while unpacking, whatever the entry says.
        return {entry.filename: archive.open(entry).read(entry.file_size) for entry in wanted}


@contextlib.contextmanager
def _opened(data: bytes) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield archive
    except DAMAGED_ZIP as error:
        reason = "not an .npz file, or truncated" if "not a zip file" in str(error) else str(error)
        raise UnreadableError(reason) from error
