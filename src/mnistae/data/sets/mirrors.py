"""Which archives a data set of the catalogue is downloaded as, and from where."""

import functools
import os
from pathlib import Path

from mnistae.core.errors import DataError
from mnistae.data.sets import download, idx_folder, registry
from mnistae.data.sets.dataset import Progress
from mnistae.data.sets.registry import DatasetInfo
from mnistae.data.sets.transport import Limits

MAX_ARCHIVE = 64 * 2**20
MAX_COLLECTION = 2**30
"""EMNIST comes as one archive of 560 MB that holds all its variants."""

COLLECTION = "gzip.zip"


def fetch(entry: DatasetInfo, folder: Path, progress: Progress) -> None:
    """Download and verify each file of the entry that `folder` lacks. Raises DataError, OutputError."""
    missing = _missing(entry, folder)
    if not missing:
        return
    sums = {} if entry.sha256 else registry.archive_sums(entry)
    if COLLECTION in sums:
        _fetch_collection(entry, folder, sums[COLLECTION], progress)
        return
    for name in missing:
        archive = download.Archive(
            name=f"{name}.gz",
            urls=tuple(f"{mirror}{name}.gz" for mirror in _mirrors(entry)),
            max_bytes=MAX_ARCHIVE,
            max_content=idx_folder.MAX_CONTENT,
            content_sha256=entry.sha256.get(name),
            md5=sums.get(f"{name}.gz"),
        )
        download.fetch(archive, folder, on_progress=functools.partial(progress, archive.name))


def _fetch_collection(entry: DatasetInfo, folder: Path, md5: str, progress: Progress) -> None:
    urls = tuple(mirror if mirror.endswith(COLLECTION) else f"{mirror}{COLLECTION}" for mirror in _mirrors(entry))
    archive = download.Archive(name=COLLECTION, urls=urls, max_bytes=MAX_COLLECTION, max_content=MAX_COLLECTION, md5=md5)
    limits = Limits(deadline=3600)  # of 560 MB
    with download.download_lock(folder / entry.name, limits.deadline):
        if not _missing(entry, folder):  # whoever held the lock before has brought them
            return
        path = download.fetch(archive, folder, on_progress=functools.partial(progress, COLLECTION), limits=limits)
        members = {f"gzip/{name}.gz": f"{name}.gz" for name in entry.files}
        try:
            download.unpack_zip(path, members, folder, max_bytes=idx_folder.MAX_CONTENT)
        except DataError:
            if _missing(entry, folder):
                raise
            # where locks do not work, another process has unpacked it and taken it away
        path.unlink(missing_ok=True)


def _missing(entry: DatasetInfo, folder: Path) -> list[str]:
    return [name for name in entry.files if idx_folder.find(folder, name) is None]


def _mirrors(entry: DatasetInfo) -> tuple[str, ...]:
    """Return the folders to download from: `MNISTAE_MIRROR` alone if it is set, else the catalogue's."""
    own = os.environ.get("MNISTAE_MIRROR")
    return (download.checked_mirror(own),) if own else entry.mirrors
