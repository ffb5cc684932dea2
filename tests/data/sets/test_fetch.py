"""The missing files of a data set are downloaded and verified, and no others."""

import hashlib
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mnistae.core.errors import DataError, UsageError
from mnistae.data.sets import download, idx, registry, urls
from mnistae.data.sets.dataset import no_progress
from mnistae.data.sets.download import Archive
from mnistae.data.sets.registry import DATASETS, DatasetInfo
from tests.conftest import Cli, Digits
from tests.support.client import is_clean_error
from tests.support.downloads import archives, collection
from tests.support.http_mirror import Mirror


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow the network, which is a mirror on this machine."""
    monkeypatch.setenv("MNISTAE_OFFLINE", "0")
    monkeypatch.setitem(download.fetch_archive.__kwdefaults__ or {}, "limits", download.Limits(pauses=()))


@pytest.mark.parametrize("entry", DATASETS.values(), ids=DATASETS)
def test_every_archive(entry: DatasetInfo, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All archives of an entry have https addresses, and each has a checksum of its own."""
    asked: list[Archive] = []

    def fetch(archive: Archive, into: Path, **_options: object) -> Path:
        asked.append(archive)
        return into / archive.name

    unpacked: dict[str, str] = {}
    monkeypatch.setattr(download, "fetch_archive", fetch)
    monkeypatch.setattr(download, "unpack_zip", lambda _path, members, _folder, **_options: unpacked.update(members))
    download.fetch(entry, folder, no_progress)
    fetched = [name for archive in asked for name in (unpacked.values() if archive.name.endswith(".zip") else [archive.name])]
    assert fetched == [f"{name}.gz" for name in entry.files]
    sums = {archive.content_sha256 or archive.md5 for archive in asked}
    assert len(sums - {None}) == len(asked)
    for archive in asked:
        assert len(archive.urls) == len(entry.mirrors)
        assert all(url.startswith("https://") and url.endswith(f"/{archive.name}") for url in archive.urls)


@pytest.mark.parametrize("name", ["kmnist", "qmnist", "emnist-digits"])
def test_fetch(name: str, digits: Digits, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Archives that are not the published ones are refused and leave nothing; others are read once, and again for a repair."""
    entry = DATASETS[name]
    packed = {"gzip.zip": collection(digits)} if entry.transposed else archives(digits, name)
    monkeypatch.setattr(download, "Limits", partial(download.Limits, pauses=()))
    with Mirror(packed) as mirror:
        monkeypatch.setenv("MNISTAE_MIRROR", mirror.url)
        with pytest.raises(DataError, match=r"cannot download '.*': 127.0.0.1:\d+: checksum mismatch \(MD5\)"):
            download.fetch(entry, folder, no_progress)
        assert list(folder.iterdir()) == []
        sums = {name: hashlib.md5(data, usedforsecurity=False).hexdigest() for name, data in packed.items()}
        monkeypatch.setattr(registry, "archive_sums", lambda _entry: sums)
        mirror.requests.clear()
        download.fetch(entry, folder, no_progress)
        download.fetch(entry, folder, no_progress)
        assert mirror.requests == [f"/{archive}" for archive in packed]
        (folder / f"{entry.files[3]}.gz").write_bytes(b"damaged")
        damaged = idx.damaged(entry, folder)
        download.fetch(entry, folder, no_progress, damaged=damaged)
    assert damaged == [entry.files[3]]
    assert idx.damaged(entry, folder) == []
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{file}.gz" for file in entry.files)
    images = idx.read(entry, folder).arrays["test_images"].reshape(-1, 28, 28)
    np.testing.assert_array_equal(images.transpose(0, 2, 1) if entry.transposed else images, digits["test_images"])


@pytest.mark.usefixtures("hosts")
def test_command_with_a_bad_mirror(mirror: Mirror, cli: Cli, home: Path) -> None:
    """The command ends with 4, with one printable error line and a hint, and leaves no archive."""
    mirror.behaviour = "not http"
    answer = cli("datasets", "fetch", "mnist")
    assert (answer.code, is_clean_error(answer)) == (4, True), answer.err
    (error,) = (line for line in answer.err.splitlines() if line.startswith("error: "))
    assert "invalid HTTP response" in error
    assert error.isprintable()
    assert not list(home.rglob("*.gz"))


def test_disallowed_mirror(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirror of the user's that is not https is a usage error, whatever the data set."""
    monkeypatch.setenv("MNISTAE_MIRROR", "http://example.org/mnist/")
    for name in ("mnist", "emnist-digits"):
        with pytest.raises(UsageError, match="invalid MNISTAE_MIRROR"):
            download.fetch(DATASETS[name], folder, no_progress)


@pytest.mark.parametrize(
    ("member", "method", "damage", "reason"),
    [
        ("gzip/missing", zipfile.ZIP_DEFLATED, None, "no item named"),
        ("gzip/zeros", zipfile.ZIP_DEFLATED, None, "too large or not deflated"),
        ("gzip/images.gz", zipfile.ZIP_BZIP2, None, "too large or not deflated"),
        ("gzip/images.gz", zipfile.ZIP_DEFLATED, lambda data: data[:200] + b"?" + data[201:], "cannot unpack"),
        ("gzip/images.gz", zipfile.ZIP_DEFLATED, lambda data: data[: len(data) // 2], "not a zip file"),
    ],
)
def test_damaged_zip(member: str, method: int, damage: Callable[[bytes], bytes] | None, reason: str, folder: Path) -> None:
    """A zip that lacks a member, has a bomb, another method or damage leaves nothing but an error; so does a missing one."""
    path = folder / "x.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("gzip/images.gz", bytes(range(256)) * 4)
        archive.writestr("gzip/zeros", bytes(1 << 20))
    path.write_bytes(damage(path.read_bytes()) if damage else path.read_bytes())
    with pytest.raises(DataError, match=reason):
        download.unpack_zip(path, {member: "out"}, folder, max_bytes=20_000)
    assert [path.name for path in folder.iterdir()] == ["x.zip"]
    path.unlink()
    with pytest.raises(DataError):
        download.unpack_zip(path, {}, folder, max_bytes=1)


ALLOWED = {
    "https://example.org/mnist": "https://example.org/mnist/",
    "HTTPS://example.org:8443//": "HTTPS://example.org:8443/",
    "http://127.1.2.3/x": "http://127.1.2.3/x/",
    "http://[::1]:8000": "http://[::1]:8000/",
    "http://localhost": "http://localhost/",
}
REFUSED = [
    *("", "example.org/mnist", "https:///mnist/", "https://[::1/", "file:///etc/passwd", "ftp://127.0.0.1/"),
    *("http://127.0.0.1.example.org/", "http://localhost.example.org/", "http://0.0.0.0/", "http://127.1/"),
    *("https://me:secret@example.org/", "http://127.0.0.1\\@example.org/", "https://exämple.org/", "https://example.org/a b"),
    *("https://example.org/\x1b[31m", "https://example.org:port/", "https://example.org/?file=", "https://example.org/#top"),
]


@pytest.mark.parametrize(("url", "expected"), ALLOWED.items())
def test_allowed_mirror(url: str, expected: str) -> None:
    """The base URL of a mirror has one slash at its end."""
    assert urls.mirror_base(url) == expected


@pytest.mark.parametrize("url", REFUSED)
def test_refused_mirror(url: str) -> None:
    """What is refused is shown safely, with a hint."""
    with pytest.raises(UsageError) as caught:
        urls.mirror_base(url)
    assert caught.value.message.isprintable()
    assert "secret" not in caught.value.message
    assert "https://" in caught.value.hint
