"""A certificate authority of a trial, made by the openssl command."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

_EXTENSIONS = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n"


@dataclass(frozen=True)
class Authority:
    """Its own certificate is *folder*/ca.pem."""

    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def issue(self, name: str) -> tuple[Path, Path]:
        """A certificate for localhost, and its key."""
        key, asked, cert = (self.folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        extensions = self.folder / "extensions"
        extensions.write_text(_EXTENSIONS)
        ask = ["req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"]
        openssl(*ask, "-keyout", str(key), "-out", str(asked))
        sign = ["x509", "-req", "-in", str(asked), "-CA", str(self.ca), "-days", "2"]
        ca_key = str(self.folder / "ca.key")
        openssl(*sign, "-CAkey", ca_key, "-CAcreateserial", "-out", str(cert),
                "-extfile", str(extensions))  # fmt: skip  # one command
        return cert, key

    def server(self, *, wants_client: bool = False) -> ssl.SSLContext:
        """For a server with a certificate of ours, who wants one of its clients or not."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self.issue("server"))
        if wants_client:
            context.load_verify_locations(self.ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def authority(folder: Path) -> Authority:
    """A new one in *folder*."""
    folder.mkdir(exist_ok=True)
    where = ["-keyout", str(folder / "ca.key"), "-out", str(folder / "ca.pem")]
    ask = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=CA"]
    openssl(*ask, *where)
    return Authority(folder)


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)
