"""Downloads over https: certificates are verified, the limits hold, and the environment's proxy is used."""

import ssl
import subprocess
from functools import partial
from pathlib import Path

import pytest

from mnistae.core.errors import DataError
from mnistae.data.sets.download import fetch_archive
from tests.data.sets.test_download import BAD, FILES, LIMITS, NAME, PATIENT, SHORT, archive_at, assert_only_the_file
from tests.support.client import log_result
from tests.support.http_mirror import BEHAVIOURS, Handler, Mirror

pytestmark = pytest.mark.usefixtures("hosts")


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """The context of a server for 127.0.0.1 and mirror.test, and the certificate to trust."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=test"
    names = "subjectAltName=IP:127.0.0.1,DNS:mirror.test"
    options = [*command.split(), "-addext", names, "-keyout", "key.pem", "-out", "cert.pem"]
    try:
        subprocess.run(options, cwd=tmp_path, check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no openssl to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context, str(tmp_path / "cert.pem")


def test_https(tls: tuple[ssl.SSLContext, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that nobody vouches for is refused; with it trusted, the file arrives."""
    context, certificate = tls
    with Mirror(FILES, tls=context) as mirror:
        with pytest.raises(DataError, match="certificate not accepted: self-signed certificate"):
            fetch_archive(archive_at(mirror), folder, limits=LIMITS)
        monkeypatch.setenv("SSL_CERT_FILE", certificate)
        fetch_archive(archive_at(mirror), folder, limits=PATIENT)
    assert_only_the_file(folder)


@pytest.mark.parametrize("behaviour", ["drip", "truncated"])
def test_limits_hold(behaviour: str, tls: tuple[ssl.SSLContext, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits hold under TLS as well."""
    monkeypatch.setenv("SSL_CERT_FILE", tls[1])
    with Mirror(FILES, behaviour, tls=tls[0]) as mirror, pytest.raises(DataError) as caught:
        fetch_archive(archive_at(mirror), folder, limits=SHORT if behaviour == "drip" else LIMITS)
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


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_downgrade(tls: tuple[ssl.SSLContext, str], folder: Path, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """D6: a redirect from https to http is not followed, whatever its status; no plain request is made."""
    monkeypatch.setenv("SSL_CERT_FILE", tls[1])
    with Mirror(FILES) as plain:
        to_http = partial(Handler.answer, status=status, Location=plain.url + NAME)
        monkeypatch.setitem(BEHAVIOURS, "to http", to_http)
        with Mirror(FILES, "to http", tls=tls[0]) as mirror, pytest.raises(DataError, match="redirect from https to http"):
            fetch_archive(archive_at(mirror), folder, limits=LIMITS)
        assert (len(mirror.requests), plain.requests) == (1, [])
        fetch_archive(archive_at(plain), folder, limits=PATIENT)  # the same address, asked for by the user, is no downgrade
    log_result("D6", trials=1)
