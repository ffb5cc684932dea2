"""A certificate for servers of tests on this machine."""

import ssl
import subprocess
from pathlib import Path


def make_certificate(folder: Path) -> tuple[ssl.SSLContext, str] | None:
    """Make a certificate for 127.0.0.1 and mirror.test; return the server's context and the file to trust, or None."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=test"
    names = "subjectAltName=IP:127.0.0.1,DNS:mirror.test"
    options = [*command.split(), "-addext", names, "-keyout", "key.pem", "-out", "cert.pem"]
    try:
        subprocess.run(options, cwd=folder, check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.CalledProcessError):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context, str(folder / "cert.pem")
