"""Secrets are made once, on disk before they are used, and for their owner only."""

import stat
import threading

import pytest

from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.store.secrets import FileSecrets
from bandung.gateway.store.system import SystemRandomness


def secrets_in(directory):
    return FileSecrets(directory, SystemRandomness())


def all_of(secrets):
    return (
        secrets.dataset_key("persons"),
        secrets.ledger_key().private_bytes_raw(),
        secrets.mask_key().private_bytes_raw(),
        secrets.ticket_key(),
        secrets.literal_key(),
    )


def test_a_secret_stays_the_same_for_ever(tmp_path):
    assert all_of(secrets_in(tmp_path)) == all_of(secrets_in(tmp_path))


def test_no_two_secrets_are_alike(tmp_path):
    secrets = secrets_in(tmp_path)
    assert len({*all_of(secrets), secrets.dataset_key("farms")}) == 6


def test_only_the_owner_can_read_secrets(tmp_path):
    all_of(secrets_in(tmp_path))
    directory = tmp_path / "secrets"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    files = list(directory.iterdir())
    assert len(files) == 5
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


@pytest.mark.parametrize("spoil", [lambda file: file.chmod(0o640), lambda file: file.write_bytes(b"short")])
def test_a_loose_or_damaged_secret_is_refused_and_never_replaced(tmp_path, spoil):
    secrets_in(tmp_path).ticket_key()
    file = tmp_path / "secrets" / "ticket.key"
    spoil(file)
    before = file.read_bytes()
    with pytest.raises(Refusal) as refused:
        secrets_in(tmp_path).ticket_key()
    assert refused.value.kind is ErrorKind.BAD_CONFIGURATION
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", ["../ledger", "a/b", "", "Persons"])
def test_a_dataset_name_cannot_point_elsewhere(tmp_path, name):
    with pytest.raises(Refusal):
        secrets_in(tmp_path).dataset_key(name)
    assert not (tmp_path / "secrets").exists()


def test_a_directory_that_cannot_be_written_is_a_refusal(tmp_path):
    (tmp_path / "secrets").write_text("in the way")
    with pytest.raises(Refusal) as refused:
        secrets_in(tmp_path).ticket_key()
    assert refused.value.kind is ErrorKind.BAD_CONFIGURATION


def test_all_who_make_a_secret_at_once_get_the_same_one(tmp_path):
    start = threading.Barrier(8)
    found = []

    def first_use():
        secrets = secrets_in(tmp_path)
        start.wait()
        found.append(secrets.dataset_key("persons"))

    threads = [threading.Thread(target=first_use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [file.name for file in (tmp_path / "secrets").iterdir()] == ["dataset-persons.key"]
