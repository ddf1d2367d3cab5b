"""Who gets through the door: TLS, trust domains, revocation, expiry, rotation, while the server runs."""

import datetime as dt
import shutil
import ssl
import subprocess
import sys
import textwrap

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bandung.gateway.client import GatewayError
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.server.credentials import CredentialFiles
from bandung.gateway.server.trust import TrustStore
from bandung.gateway.store.system import SystemClock
from tests.support.clients import a_channel, a_client
from tests.support.http2 import connect, tls_context
from tests.support.pki import LOOPBACK, Country, real_now
from tests.support.server import a_node


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with a_node(tmp_path_factory.mktemp("identity")) as node:
        yield node


def health(node, files):
    with a_client(node.address, node.idn.ca, files, deadline_s=5, attempts_max=1) as client:
        return client.health()


def refusal_of(node, files):
    with pytest.raises(GatewayError) as refused:
        health(node, files)
    return refused.value.code


def test_an_analyst_of_each_country_is_known(node):
    assert health(node, node.idn.issue("analyst/ani")) == "SERVING"
    assert health(node, node.bgd.issue("analyst/rahim")) == "SERVING"


def test_another_countrys_authority_cannot_mint_our_names(node):
    """The attack: BGD's authority is a root of the listener, and signs a certificate for a custodian of IDN."""
    forged = node.bgd.issue("forged", uri=node.idn.uri("custodian/citra"))
    assert refusal_of(node, forged) == "B102"


def test_an_authority_that_nobody_pinned_is_not_even_heard(node, tmp_path):
    stranger = Country(tmp_path, "XXX").issue("analyst/x", uri=node.idn.uri("analyst/ani"))
    assert refusal_of(node, stranger) == ""


def test_a_client_without_a_certificate_is_not_even_heard(node):
    with a_channel(node.address, node.idn.ca, None) as channel, pytest.raises(grpc.FutureTimeoutError):
        grpc.channel_ready_future(channel).result(1)


def test_a_plaintext_client_is_not_even_heard(node):
    with grpc.insecure_channel(node.address) as channel, pytest.raises(grpc.FutureTimeoutError):
        grpc.channel_ready_future(channel).result(1)


@pytest.mark.parametrize(
    "uri",
    [
        "https://idn.bandung.example/analyst/ani",
        "spiffe://idn.bandung.example/king/ani",
        "spiffe://idn.bandung.example/analyst/",
        "spiffe://IDN.bandung.example/analyst/ani",
        "spiffe://idn.bandung.example/analyst/ani/extra",
    ],
)
def test_a_name_that_is_not_of_the_form_is_nobody(tmp_path, uri):
    country = Country(tmp_path, "IDN", constrained=False)
    with pytest.raises(Refusal) as refused:
        store_of(tmp_path, country).identify(country.issue("odd", uri=uri).certificate.read_bytes())
    assert refused.value.kind is ErrorKind.NO_IDENTITY


def store_of(directory, *countries):
    trust = directory / "bundles"
    trust.mkdir()
    for country in countries:
        shutil.copy(country.ca, trust / f"{country.trust_domain}.pem")
    return TrustStore(trust, SystemClock(), fresh_s=0.0)


def test_the_listeners_own_authority_certificate_is_no_identity(tmp_path):
    country = Country(tmp_path, "IDN")
    with pytest.raises(Refusal) as refused:
        store_of(tmp_path, country).identify(country.ca.read_bytes())
    assert refused.value.kind is ErrorKind.NO_IDENTITY


def test_an_expired_certificate_is_refused_by_the_store_too(tmp_path):
    """TLS refuses it at the handshake; the store must, because a connection may outlive its certificate."""
    country = Country(tmp_path, "IDN")
    old = country.issue("analyst/ani", issued=real_now() - dt.timedelta(days=3), days=1)
    with pytest.raises(Refusal) as refused:
        store_of(tmp_path, country).identify(old.certificate.read_bytes())
    assert refused.value.kind is ErrorKind.UNTRUSTED_IDENTITY


def test_an_expired_certificate_does_not_get_through(node):
    old = node.idn.issue("analyst/old", issued=real_now() - dt.timedelta(days=3), days=1)
    assert refusal_of(node, old) in ("", "B102")


def test_revocation_ends_an_open_connection_at_its_next_call(node):
    files = node.idn.issue("analyst/eve")
    with a_client(node.address, node.idn.ca, files, deadline_s=5) as client:
        assert client.health() == "SERVING"
        node.idn.revoke(files, node.trust / f"{node.idn.trust_domain}.crl")
        with pytest.raises(GatewayError) as refused:
            client.health()
    assert refused.value.code == "B102"
    assert health(node, node.idn.issue("analyst/ani")) == "SERVING"


def test_a_revocation_list_that_is_not_signed_by_its_country_changes_nothing(node, caplog):
    files = node.bgd.issue("analyst/rahim")
    forged = node.trust / f"{node.bgd.trust_domain}.crl"
    node.idn.revoke(node.idn.issue("analyst/other"), forged)
    assert health(node, files) == "SERVING"
    assert "last good content" in caplog.text
    forged.unlink()


def test_a_country_that_leaves_loses_its_open_connections(node, tmp_path):
    third = Country(tmp_path, "PHL")
    bundle = node.trust / f"{third.trust_domain}.pem"
    shutil.copy(third.ca, bundle)
    with a_client(node.address, node.idn.ca, third.issue("analyst/jo"), deadline_s=5) as client:
        assert client.health() == "SERVING"
        bundle.unlink()
        with pytest.raises(GatewayError) as refused:
            client.health()
    assert refused.value.code == "B102"


def test_strangers_are_logged_at_a_bounded_rate_and_never_in_the_ledger(tmp_path, caplog):
    with a_node(tmp_path) as node:
        knock_as_stranger(node, 20)
        assert node.queries.recorded == []
    assert 1 <= caplog.text.count("identity refused") <= 4


def knock_as_stranger(node, times):
    forged = node.bgd.issue("forged", uri=node.idn.uri("custodian/citra"))
    with a_client(node.address, node.idn.ca, forged) as client:
        for _ in range(times):
            with pytest.raises(GatewayError):
                client.health()


def served_serial(node, files):
    with connect(node.server.port, tls_context(node.idn.ca, files)) as connection:
        certificate = ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True) or b"")
    return x509.load_pem_x509_certificate(certificate.encode()).serial_number


def test_the_servers_certificate_rotates_without_a_restart(node):
    ani = node.idn.issue("analyst/ani")
    with a_client(node.address, node.idn.ca, ani) as client:
        assert client.health() == "SERVING"
        before = served_serial(node, ani)
        node.idn.issue("gateway", hosts=LOOPBACK)
        assert served_serial(node, ani) != before
        assert client.health() == "SERVING"


def test_a_half_written_rotation_keeps_the_former_certificate(node):
    ani = node.idn.issue("analyst/ani")
    before, key = served_serial(node, ani), node.listener.key.read_bytes()
    node.listener.key.write_bytes(node.idn.issue("analyst/other").key.read_bytes())
    assert served_serial(node, ani) == before
    node.listener.key.write_bytes(key)


@pytest.mark.parametrize(("version", "passes"), [("TLSv1_2", False), ("TLSv1_3", True)])
def test_only_tls_1_3_is_spoken(node, version, passes):
    context = tls_context(node.idn.ca, node.idn.issue("analyst/ani"), ssl.TLSVersion[version])
    if passes:
        with connect(node.server.port, context) as connection:
            assert connection.version() == "TLSv1.3"
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            connect(node.server.port, context)


def test_it_does_not_listen_if_grpc_was_imported_before_its_ciphers_were_narrowed():
    script = """
        import grpc
        from bandung.gateway.domain.errors import Refusal
        from bandung.gateway.server.listener import serve
        try:
            serve(None, None, None, None)
        except Refusal as refusal:
            print(refusal.code)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True, env={}, timeout=60
    )
    assert done.stdout.strip() == "B504"


def test_an_rsa_key_is_not_served(tmp_path):
    country = Country(tmp_path, "IDN")
    files = country.issue("gateway", hosts=LOOPBACK)
    key = rsa.generate_private_key(65537, 2048)
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    with pytest.raises(Refusal) as refused:
        CredentialFiles(files.certificate, files.key, store_of(tmp_path, country)).credentials()
    assert refused.value.kind is ErrorKind.BAD_CONFIGURATION


def test_a_signature_counts_only_for_the_certificates_own_name(tmp_path):
    country = Country(tmp_path, "IDN")
    store, ani = store_of(tmp_path, country), country.issue("analyst/ani")
    key = serialization.load_pem_private_key(ani.key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signature = key.sign(b"job", ec.ECDSA(hashes.SHA256()))
    certificate = ani.certificate.read_bytes()
    store.verify(certificate, signature, b"job", country.uri("analyst/ani"))
    for payload, author in ((b"other", "analyst/ani"), (b"job", "analyst/budi")):
        with pytest.raises(Refusal) as refused:
            store.verify(certificate, signature, payload, country.uri(author))
        assert refused.value.kind is ErrorKind.JOB_INVALID
