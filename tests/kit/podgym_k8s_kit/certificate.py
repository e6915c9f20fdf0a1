"""A certificate for 127.0.0.1, made once a process: clients send their tokens over TLS alone."""

from __future__ import annotations

import ssl
import subprocess
import tempfile
from functools import cache
from pathlib import Path

__all__ = ["certificate"]


@cache
def certificate() -> tuple[ssl.SSLContext, str]:
    """For a server, and the text that clients trust."""
    with tempfile.TemporaryDirectory() as scratch:
        key, file = Path(scratch, "key.pem"), Path(scratch, "cert.pem")
        made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        subprocess.run(
            [*made, "-subj", "/CN=fake", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", file],
            check=True,
            capture_output=True,
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file, key)
        return context, file.read_text()
