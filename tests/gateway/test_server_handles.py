"""Sealed handles: whose, what for, until when."""

import pytest

from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.server.handles import Handle, Purpose, Sealer
from bandung.gateway.store.system import SystemRandomness
from tests.support.builders import ANI, BUDI


class Clock:
    """Says what it is told."""

    def __init__(self, now="2026-01-01T00:00:00.000Z"):
        self.time = now

    def now(self):
        return self.time


HANDLE = Handle("SELECT é ?", ("N",))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sealer(clock):
    return Sealer(bytes(32), clock, SystemRandomness())


def is_refused(sealer, purpose, principal, sealed):
    with pytest.raises(Refusal) as refused:
        sealer.open(purpose, principal, sealed)
    return refused.value.kind is ErrorKind.BAD_HANDLE


def test_a_handle_opens_for_its_principal_on_any_replica_with_the_key(sealer, clock):
    sealed = sealer.seal(Purpose.TICKET, ANI, HANDLE)
    assert Sealer(bytes(32), clock, SystemRandomness()).open(Purpose.TICKET, ANI, sealed) == HANDLE


def test_unbound_is_not_the_same_as_bound_to_nothing(sealer):
    for handle in (Handle("x"), Handle("x", ())):
        assert sealer.open(Purpose.TICKET, ANI, sealer.seal(Purpose.TICKET, ANI, handle)) == handle


def test_nobody_else_and_no_other_purpose_opens_it(sealer, clock):
    sealed = sealer.seal(Purpose.TICKET, ANI, HANDLE)
    assert is_refused(sealer, Purpose.TICKET, BUDI, sealed)
    assert is_refused(sealer, Purpose.PREPARED, ANI, sealed)
    assert is_refused(Sealer(b"k" * 32, clock, SystemRandomness()), Purpose.TICKET, ANI, sealed)


def test_no_byte_of_it_can_be_changed(sealer):
    sealed = sealer.seal(Purpose.TICKET, ANI, Handle("x"))
    for place in range(len(sealed)):
        altered = bytearray(sealed)
        altered[place] ^= 1
        assert is_refused(sealer, Purpose.TICKET, ANI, bytes(altered))
    for cut in (b"", sealed[:5], sealed[:12], sealed[:-1]):
        assert is_refused(sealer, Purpose.TICKET, ANI, cut)


def test_it_does_not_show_what_it_holds(sealer):
    assert b"SELECT" not in sealer.seal(Purpose.TICKET, ANI, HANDLE)


def test_it_expires(sealer, clock):
    sealed = sealer.seal(Purpose.TICKET, ANI, HANDLE)
    clock.time = "2026-01-01T00:14:59.999Z"
    assert sealer.open(Purpose.TICKET, ANI, sealed)
    clock.time = "2026-01-01T00:15:00.000Z"
    assert is_refused(sealer, Purpose.TICKET, ANI, sealed)
