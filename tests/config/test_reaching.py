"""How an endpoint is reached, as a configuration says it: what is taken, and what is refused."""

from pathlib import Path

import pytest

from tests.config.test_load import changed, refusal
from trunkline.config.load import parse


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("zone: here, failure_domain: a", 'replicas: ["http://127.0.0.1:2", "http://127.0.0.1:3"],'
         " zone: here, failure_domain: a", "instead of base_url"),
        ('base_url: "http://127.0.0.1:1/v1"', 'replicas: ["http://127.0.0.1:2"]', "two or more"),
        ('base_url: "http://127.0.0.1:1/v1"', 'replicas: ["https://a", "http://b"], key_env: K',
         "replicas[1]: the key would travel unencrypted"),
        ("failure_domain: a", "failure_domain: a, tls: {ca_file: ca.pem}", "has none. Use https"),
        ('"http://127.0.0.1:1/v1"', '"https://a", tls: {key_file: k.pem}', "Add cert_file"),
        ("failure_domain: a", 'failure_domain: a, connect: {proxy: "http://p:1", proxy_env: P}',
         "only one"),
        ("failure_domain: a", 'failure_domain: a, connect: {proxy: "http://me:s3cret@p:1"}',
         "without user and password"),
        ("failure_domain: a", "failure_domain: a, connect: {deadline_s: 11}", "up to 10"),
    ],
)  # fmt: skip  # lines of a file
def test_how_an_endpoint_is_reached_is_checked(old: str, new: str, says: str) -> None:
    """Before a worker starts; a password does not belong into the file."""
    said = str(refusal(changed(old, new)))
    assert says in said
    assert "s3cret" not in said


def test_files_of_an_endpoint_are_beside_the_configuration() -> None:
    """As all paths in it are."""
    text = changed('"http://127.0.0.1:1/v1"', '"https://a", tls: {ca_file: ca.pem}')
    tls = parse(text, "/etc/phones/phones.yaml").endpoints["mind"].tls
    assert tls is not None
    assert tls.ca_file == Path("/etc/phones/ca.pem")
