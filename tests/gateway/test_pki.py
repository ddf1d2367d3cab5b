"""A country's authority, the identities it issues, and the documents by which countries pin each other."""

import datetime as dt
import json
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from bandung.gateway.app import clock
from bandung.gateway.config import GatewayConfig, NodeDirectory, load_config, validated
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.party import Principal, Role
from bandung.gateway.pki.authority import Credential, create_authority, issue, permitted_domains
from bandung.gateway.pki.founding import found, issue_identity, renew_listener, revoke_identity
from bandung.gateway.pki.membership import pin, read_members, read_membership
from bandung.gateway.server.trust import TrustStore
from bandung.gateway.store.secrets import FileSecrets
from bandung.gateway.store.system import SystemClock, SystemRandomness

NOW = clock()
ANI = Principal("idn.bandung.example", Role.ANALYST, "ani")


def settings(member: str = "IDN") -> GatewayConfig:
    domain = f"{member.lower()}.bandung.example"
    return validated(
        {
            "member": {"id": member, "country": member, "trust_domain": domain},
            "network": {"listen": "127.0.0.1:8815", "public_address": "gateway.example:8815"},
        },
        GatewayConfig,
        "test",
    )


def a_node(directory: Path, member: str = "IDN") -> NodeDirectory:
    found(directory, settings(member), lambda _: b"node key", NOW)
    return NodeDirectory(directory)


def test_a_founded_node_has_explained_settings_that_it_can_read_itself(tmp_path):
    node = a_node(tmp_path / "idn")
    assert load_config(node.config) == settings()
    lines = node.config.read_text().splitlines()
    values = [number for number, line in enumerate(lines) if " = " in line and not line.startswith("#")]
    assert values
    assert all(lines[number - 1].startswith("# ") for number in values)


def test_private_keys_are_for_their_owner_alone(tmp_path):
    node = a_node(tmp_path / "idn")
    keys = list(node.root.rglob("*.key"))
    assert {key.name for key in keys} >= {"ca.key", "gateway.key", "courier.key", "mask.key"}
    assert all(stat.S_IMODE(key.stat().st_mode) == 0o600 for key in keys)


def test_a_node_is_never_founded_over_another(tmp_path):
    node = a_node(tmp_path / "idn")
    before = node.authority[1].read_bytes()
    with pytest.raises(Refusal) as refused:
        a_node(tmp_path / "idn")
    assert refused.value.kind is ErrorKind.BAD_CONFIGURATION
    assert node.authority[1].read_bytes() == before


def test_founding_that_fails_leaves_nothing_that_looks_like_a_node(tmp_path):
    def no_key(_: Path) -> bytes:
        raise OSError("no randomness")

    with pytest.raises(OSError, match="no randomness"):
        found(tmp_path / "idn", settings(), no_key, NOW)
    assert not (tmp_path / "idn").exists()
    assert a_node(tmp_path / "idn").membership.exists()


def test_the_membership_document_carries_the_public_halves_of_the_secrets(tmp_path):
    node = a_node(tmp_path / "idn")
    member = read_membership(node.membership)
    secret = FileSecrets(node.root, SystemRandomness()).mask_key()
    assert member.mask_public_key == secret.public_key().public_bytes_raw()
    assert member.ca.encode() == node.authority[0].read_bytes()
    assert (member.member, member.gateway, member.node_key) == ("IDN", "gateway.example:8815", "node key")
    assert b"PRIVATE" not in node.membership.read_bytes()


def test_a_country_knows_itself_from_the_start(tmp_path):
    node = a_node(tmp_path / "idn")
    assert list(read_members(node.members)) == ["IDN"]
    trust = TrustStore(node.trust, SystemClock())
    identity = issue_identity(node, Principal("idn.bandung.example", Role.AUDITOR, "eka"), 1, tmp_path / "keys", NOW)
    assert trust.identify(identity.certificate.read_bytes()).uri == identity.uri


def test_an_authority_that_mints_a_name_of_another_country_is_refused_by_any_tls_stack(tmp_path):
    own = create_authority("IDN", NOW, "idn.bandung.example")
    other = create_authority("PHL", NOW, "phl.bandung.example")
    assert permitted_domains(own.certificate) == ("idn.bandung.example",)
    honest, forged = issue(own, ANI.uri, NOW, 1), issue(other, ANI.uri, NOW, 1)
    assert _openssl_accepts(tmp_path, own, honest)
    assert not _openssl_accepts(tmp_path, other, forged)


def _openssl_accepts(directory: Path, authority: Credential, leaf: Credential) -> bool:
    (directory / "ca.pem").write_bytes(authority.certificate)
    (directory / "leaf.pem").write_bytes(leaf.certificate)
    command = ["openssl", "verify", "-x509_strict", "-CAfile", directory / "ca.pem", directory / "leaf.pem"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_principal_cannot_serve_and_the_listener_has_all_its_names(tmp_path):
    node = a_node(tmp_path / "idn")
    identity = issue_identity(node, ANI, 1, tmp_path / "keys", NOW)
    uses = _extension(identity.certificate, x509.ExtendedKeyUsage)
    assert x509.ExtendedKeyUsageOID.SERVER_AUTH not in uses
    names = _extension(node.tls[0], x509.SubjectAlternativeName)
    assert names.get_values_for_type(x509.DNSName) == ["gateway.example", "localhost"]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://idn.bandung.example/gateway"]


def _extension(path: Path, kind):
    return x509.load_pem_x509_certificate(path.read_bytes()).extensions.get_extension_for_class(kind).value


def test_a_certificate_never_outlives_its_authority():
    authority = create_authority("IDN", NOW - dt.timedelta(days=3640), "idn.bandung.example")
    leaf = x509.load_pem_x509_certificate(issue(authority, ANI.uri, NOW, 90).certificate)
    assert leaf.not_valid_after_utc - NOW < dt.timedelta(days=11)


def test_an_identity_is_not_issued_twice_into_the_same_files(tmp_path):
    node = a_node(tmp_path / "idn")
    identity = issue_identity(node, ANI, 1, tmp_path / "keys", NOW)
    before = identity.key.read_bytes()
    with pytest.raises(Refusal):
        issue_identity(node, ANI, 1, tmp_path / "keys", NOW)
    assert identity.key.read_bytes() == before


def test_without_the_authoritys_key_nothing_is_issued(tmp_path):
    node = a_node(tmp_path / "idn")
    node.authority[1].unlink()
    with pytest.raises(Refusal) as refused:
        issue_identity(node, ANI, 1, tmp_path / "keys", NOW)
    assert "ca.key" in refused.value.message
    assert not (tmp_path / "keys").exists()


def test_a_revoked_certificate_is_refused_and_stays_on_the_list(tmp_path):
    node = a_node(tmp_path / "idn")
    ani = issue_identity(node, ANI, 1, tmp_path / "keys", NOW)
    budi = issue_identity(node, Principal("idn.bandung.example", Role.ANALYST, "budi"), 1, tmp_path / "keys", NOW)
    assert TrustStore(node.trust, SystemClock()).identify(ani.certificate.read_bytes())
    for identity in (ani, budi, ani):
        revoke_identity(node, settings(), identity.certificate, NOW)
    trust = TrustStore(node.trust, SystemClock())
    for identity in (ani, budi):
        with pytest.raises(Refusal) as refused:
            trust.identify(identity.certificate.read_bytes())
        assert refused.value.kind is ErrorKind.UNTRUSTED_IDENTITY


def test_a_country_revokes_only_what_it_issued(tmp_path):
    idn, phl = a_node(tmp_path / "idn"), a_node(tmp_path / "phl", "PHL")
    foreign = issue_identity(phl, Principal("phl.bandung.example", Role.ANALYST, "ani"), 1, tmp_path / "keys", NOW)
    with pytest.raises(Refusal):
        revoke_identity(idn, settings(), foreign.certificate, NOW)
    assert not list(idn.trust.glob("*.crl"))


def test_the_listener_is_renewed_with_a_new_key_under_the_same_names(tmp_path):
    node = a_node(tmp_path / "idn")
    before = [path.read_bytes() for path in node.tls]
    names = _extension(node.tls[0], x509.SubjectAlternativeName)
    renew_listener(node, settings(), NOW)
    assert [path.read_bytes() for path in node.tls] != before
    assert _extension(node.tls[0], x509.SubjectAlternativeName) == names


def test_an_admitted_country_is_pinned_and_its_people_are_known(tmp_path):
    idn, phl = a_node(tmp_path / "idn"), a_node(tmp_path / "phl", "PHL")
    pin(read_membership(phl.membership), idn.members, idn.trust)
    pin(read_membership(phl.membership), idn.members, idn.trust)
    assert list(read_members(idn.members)) == ["IDN", "PHL"]
    identity = issue_identity(phl, Principal("phl.bandung.example", Role.ANALYST, "jo"), 1, tmp_path / "keys", NOW)
    assert TrustStore(idn.trust, SystemClock()).identify(identity.certificate.read_bytes()).name == "jo"


def test_keys_of_an_admitted_country_never_change_silently(tmp_path):
    idn = a_node(tmp_path / "idn")
    first, second = a_node(tmp_path / "one", "PHL"), a_node(tmp_path / "two", "PHL")
    pin(read_membership(first.membership), idn.members, idn.trust)
    with pytest.raises(Refusal) as refused:
        pin(read_membership(second.membership), idn.members, idn.trust)
    assert read_membership(first.membership).fingerprint in refused.value.message
    assert (idn.trust / "phl.bandung.example.pem").read_bytes() == first.authority[0].read_bytes()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"member": "../../etc"}, "member"),
        ({"trust_domain": "bgd.bandung.example"}, "constrained"),
        ({"trust_domain": "../phl"}, "trust_domain"),
        ({"mask_key": "AAAA"}, "mask_key"),
        ({"ca": "not a certificate"}, "document"),
        ({"version": 2}, "version"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_membership_document_that_was_tampered_with_is_refused_by_name(tmp_path, change, named):
    node = a_node(tmp_path / "phl", "PHL")
    document = json.loads(node.membership.read_bytes()) | change
    (tmp_path / "changed.json").write_text(json.dumps(document))
    with pytest.raises(Refusal) as refused:
        read_membership(tmp_path / "changed.json")
    assert named in refused.value.message


def test_a_membership_document_brings_no_second_authority_that_could_mint_any_name(tmp_path):
    node = a_node(tmp_path / "phl", "PHL")
    document = json.loads(node.membership.read_bytes())
    document["ca"] += create_authority("PHL", NOW, None).certificate.decode()
    (tmp_path / "changed.json").write_text(json.dumps(document))
    with pytest.raises(Refusal, match="constrained"):
        read_membership(tmp_path / "changed.json")


def test_the_fingerprint_does_not_depend_on_how_the_document_is_laid_out(tmp_path):
    node = a_node(tmp_path / "idn")
    document = json.loads(node.membership.read_bytes())
    (tmp_path / "other.json").write_text(json.dumps(dict(reversed(document.items()))))
    assert read_membership(tmp_path / "other.json").fingerprint == read_membership(node.membership).fingerprint


def test_a_nodes_directory_is_closed_to_others(tmp_path):
    assert stat.S_IMODE(a_node(tmp_path / "idn").root.stat().st_mode) == 0o700
