"""How an endpoint is reached: within which time, by which proxy, trusting whom, as whom."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from yarl import URL

from trunkline.errors import InputError


@dataclass(frozen=True, slots=True)
class Access:
    """*connect_s* bounds DNS, TCP and TLS together (a WebSocket's handshake, too), in seconds.

    *tls*: None trusts whom this machine trusts. *proxy*: may hold a password; it is never shown.
    """

    connect_s: float
    tls: ssl.SSLContext | None = None
    proxy: URL | None = None
    warm: bool = True  # a connection is kept while nobody needs it

    @property
    def ssl(self) -> ssl.SSLContext | bool:
        """As aiohttp takes it: certificates are verified, whatever is configured."""
        return True if self.tls is None else self.tls

    @property
    def by_way_of(self) -> str:
        """The proxy, as a destination tells it."""
        return "" if self.proxy is None else f" via {self.proxy.host}:{self.proxy.port}"


def tls_context(
    ca_file: Path | None = None, cert_file: Path | None = None, key_file: Path | None = None
) -> ssl.SSLContext:
    """TLS 1.2 or later that trusts *ca_file* alone (None: whom this machine trusts), and shows
    *cert_file* with its *key_file* (None: the key is in the same file).

    Raises `InputError` if a file is not there, is none, or the key is not the certificate's.
    """
    for file in (ca_file, cert_file, key_file):
        if file is not None and not file.is_file():
            raise InputError(f"tls: there is no file {file}. Give the path of a PEM file")
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (ssl.SSLError, OSError) as error:
        what = f"tls.ca_file: {ca_file} holds no certificate of an authority ({error})"
        raise InputError(f"{what}. Give its PEM file") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert_file is not None:
        try:
            # Without a password OpenSSL would ask for one on the terminal, in a worker.
            context.load_cert_chain(cert_file, key_file, password=b"")
        except (ssl.SSLError, OSError) as error:
            what = f"tls.cert_file: {cert_file} and its key do not load ({error})"
            raise InputError(f"{what}. Give a PEM pair that fits, without a password") from error
    return context


def proxy_url(text: str, where: str) -> URL:
    """The address of a proxy; `InputError`, which does not show it, if it is none."""
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host or not url.port:
        raise InputError(f"{where} is no address of a proxy. Use one like http://proxy:3128")
    return url
