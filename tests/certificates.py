"""Certificates for brokers and clients of the tests, made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path

_CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


class Authority:
    """``file`` is its own certificate; ``sign`` gives certificate and key of somebody else. All in ``folder``."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self.file, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        _openssl("req", "-x509", *_CURVE, "-days", "2", "-subj", f"/CN={name}", "-keyout", self._key, "-out", self.file)

    def sign(self, name: str, address: str = "IP:127.0.0.1", days: int = 2) -> tuple[Path, Path]:
        """``address``: as in subjectAltName. ``days``: how long it is valid; -1: it is no longer."""
        cert, key, request = (self._folder / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
        _openssl("req", *_CURVE, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        extension = self._folder / f"{name}.ext"
        extension.write_text(f"subjectAltName={address}\n")
        authority = ["-CA", self.file, "-CAkey", self._key, "-CAcreateserial"]
        signed = ["-days", days, "-extfile", extension, "-out", cert]
        _openssl("x509", "-req", "-in", request, *authority, *signed)
        return cert, key


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
