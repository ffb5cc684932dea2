"""Downloads over https: certificates are verified, the limits hold, and the environment's proxy is used."""

import ssl
from pathlib import Path

import pytest

from mnistae.core.errors import DataError
from mnistae.data.sets.download import fetch_archive
from tests.data.sets.test_download import BAD, FILES, LIMITS, NAME, PATIENT, archive_at, assert_only_the_file
from tests.support.http_mirror import Mirror
from tests.support.tls import make_certificate

pytestmark = pytest.mark.usefixtures("hosts")


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """The context of a server, and the certificate to trust."""
    return make_certificate(tmp_path) or pytest.skip("no openssl to make a certificate with")


def test_https(tls: tuple[ssl.SSLContext, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that nobody vouches for is refused; with it trusted, the file arrives."""
    context, certificate = tls
    with Mirror(FILES, tls=context) as mirror:
        with pytest.raises(DataError, match="certificate not accepted: self-signed certificate"):
            fetch_archive(archive_at(mirror), folder, limits=LIMITS)
        monkeypatch.setenv("SSL_CERT_FILE", certificate)
        fetch_archive(archive_at(mirror), folder, limits=PATIENT)
    assert_only_the_file(folder)


@pytest.mark.parametrize("behaviour", ["stall mid body", "drip", "truncated"])
def test_https_that_misbehaves(
    behaviour: str, tls: tuple[ssl.SSLContext, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limits hold under TLS as well."""
    monkeypatch.setenv("SSL_CERT_FILE", tls[1])
    with Mirror(FILES, behaviour, tls=tls[0]) as mirror, pytest.raises(DataError) as caught:
        fetch_archive(archive_at(mirror), folder, limits=LIMITS)
    assert BAD[behaviour] in caught.value.message


def test_proxy(tls: tuple[ssl.SSLContext, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy is used for https elsewhere, and never for this machine."""
    monkeypatch.setenv("SSL_CERT_FILE", tls[1])
    with Mirror(FILES, "proxy", tls=tls[0]) as proxy, Mirror(FILES) as mirror, Mirror(FILES, tls=tls[0]) as secure:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.url.replace("https", "http"))
        fetch_archive(archive_at(mirror), folder / "http", limits=LIMITS)
        fetch_archive(archive_at(secure), folder / "https", limits=PATIENT)
        assert proxy.requests == []
        fetch_archive(archive_at("https://mirror.test/"), folder / "tunnel", limits=PATIENT)
        assert proxy.requests == ["mirror.test:443", f"/{NAME}"]
        proxy.behaviour = "404"
        with pytest.raises(DataError, match="Tunnel connection failed: 502"):
            fetch_archive(archive_at("https://mirror.test/"), folder / "refused", limits=LIMITS)
