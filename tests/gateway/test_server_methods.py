"""The method table: complete, default deny, and home is not abroad."""

from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_tools import protoc

from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.party import Principal, Role
from bandung.gateway.server.listener import SERVICES
from bandung.gateway.server.methods import METHODS, NOBODY, check_access
from bandung.gateway.v1 import error_pb2
from tests.support.clients import a_channel
from tests.support.server import a_node

HOME, ABROAD = "idn.bandung.example", "bgd.bandung.example"
PACKAGE = "/bandung.gateway.v1."


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with a_node(tmp_path_factory.mktemp("methods")) as node:
        yield node


def refused_with(node, files, method):
    with a_channel(node.address, node.idn.ca, files) as channel:
        call = channel.unary_unary(method).future(b"", timeout=10)
        trailer = dict(call.trailing_metadata() or ())
    return error_pb2.Error.FromString(trailer["bandung-error-bin"]).code if "bandung-error-bin" in trailer else ""


def test_the_table_holds_exactly_the_methods_of_the_services():
    described = {f"/{s.full_name}/{m.name}" for s in SERVICES.values() for m in s.methods}
    assert set(METHODS) == described


def allowed(method, domain):
    roles = set()
    for role in Role:
        try:
            check_access(method, Principal(domain, role, "x"), HOME)
        except Refusal:
            continue
        roles.add(role)
    return roles


def test_staff_of_another_country_may_do_no_more_than_see_the_ledgers_head_here():
    staff = {Role.CUSTODIAN, Role.OPERATOR, Role.AUDITOR, Role.COURIER}
    for method in METHODS:
        if allowed(method, ABROAD) & staff:
            assert allowed(method, ABROAD) == set(Role)


@pytest.mark.parametrize(
    ("method", "roles"),
    [
        ("AgreementService/PutAgreement", {Role.CUSTODIAN}),
        ("AgreementService/SetAgreementState", {Role.CUSTODIAN}),
        ("TrainingService/DecideJob", {Role.CUSTODIAN}),
        ("TrainingService/Step", {Role.COURIER}),
        ("LedgerService/ListEntries", {Role.AUDITOR, Role.CUSTODIAN, Role.OPERATOR}),
    ],
)
def test_what_changes_or_shows_the_country_itself_is_for_its_own_people(method, roles):
    assert allowed(PACKAGE + method, HOME) == roles
    assert allowed(PACKAGE + method, ABROAD) == set()


def test_a_foreign_custodian_changes_nothing_here(node):
    """The attack: a genuine custodian, of another country."""
    rahim = node.bgd.issue("custodian/rahim")
    assert refused_with(node, rahim, PACKAGE + "AgreementService/SetAgreementState") == "B103"
    assert node.queries.recorded[-1][:2] == ("spiffe://bgd.bandung.example/custodian/rahim", "B103")


def test_an_auditor_cannot_query(node):
    eka = node.idn.issue("auditor/eka")
    assert refused_with(node, eka, PACKAGE + "QueryService/Query") == "B103"
    assert refused_with(node, eka, "/arrow.flight.protocol.FlightService/GetFlightInfo") == "B103"


@pytest.mark.parametrize(
    "method",
    ["/bandung.gateway.v1.QueryService/Raw", "/x/y", *(m for m, a in METHODS.items() if a == NOBODY)],
)
def test_a_method_that_is_open_to_nobody_is_refused_on_the_record(node, method):
    ani = node.idn.issue("analyst/ani")
    assert refused_with(node, ani, method) == "B213"
    assert node.queries.recorded[-1][1::2] == ("B213", method)


def test_a_method_name_goes_on_the_record_as_plain_short_text(node):
    ani = node.idn.issue("analyst/ani")
    assert refused_with(node, ani, "/x/" + "y" * 3000) == "B213"
    assert len(node.queries.recorded[-1][3]) == 200


def test_unknown_methods_are_unknown_to_check_access():
    with pytest.raises(Refusal) as refused:
        check_access("/x/y", Principal(HOME, Role.OPERATOR, "x"), HOME)
    assert refused.value.kind is ErrorKind.NOT_OFFERED


def test_reflection_describes_our_services_and_only_those(node):
    ani = node.idn.issue("analyst/ani")
    with a_channel(node.address, node.idn.ca, ani) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        requests = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="bandung.gateway.v1.QueryService"),
        ]
        listed, found = stub.ServerReflectionInfo(iter(requests), timeout=10)
    names = {service.name for service in listed.list_services_response.service}
    assert names == {s.full_name for key, s in SERVICES.items() if key != "flight"}
    described = descriptor_pb2.FileDescriptorProto.FromString(found.file_descriptor_response.file_descriptor_proto[0])
    assert described.package == "bandung.gateway.v1"


def test_health_knows_each_service_and_no_other(node):
    with a_channel(node.address, node.idn.ca, node.idn.issue("auditor/eka")) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", "bandung.gateway.v1.QueryService", "arrow.flight.protocol.FlightService"):
            assert stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5).status == 1
        with pytest.raises(grpc.RpcError) as unknown:
            stub.Check(health_pb2.HealthCheckRequest(service="x"), timeout=5)
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


DOCS = Path(__file__).parents[2] / "docs"


def test_every_method_is_documented_with_its_roles():
    rows = {}
    for line in (DOCS / "methods.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 4 and cells[0].startswith("`"):
            rows[cells[0].strip("`")] = (roles_of(cells[1]), roles_of(cells[2]))
    assert rows == {method.lstrip("/"): (access.home, access.abroad) for method, access in METHODS.items()}


def roles_of(cell):
    if cell == "anyone":
        return frozenset(Role)
    return frozenset(Role(name.strip()) for name in cell.split(",") if name.strip() not in ("nobody", ""))


def test_every_error_is_documented_under_its_own_code():
    headings = [line for line in (DOCS / "errors.md").read_text().splitlines() if line.startswith("### ")]
    assert headings == [f"### {kind.spec.code} {kind.name}" for kind in ErrorKind]
    codes = [kind.spec.code for kind in ErrorKind]
    assert len(set(codes)) == len(codes)


def test_the_documented_words_are_those_that_are_sent():
    text = (DOCS / "errors.md").read_text()
    for kind in ErrorKind:
        assert kind.spec.meaning in text
        assert kind.spec.remedy in text
        assert f"`{kind.spec.status.value}`" in text


def test_the_committed_descriptors_are_those_of_the_protos(tmp_path):
    root = DOCS.parent
    out = tmp_path / "flight.binpb"
    files = [str(p) for p in sorted((root / "proto/arrow").rglob("*.proto"))]
    arguments = ["", f"-I{root / 'proto'}", "--include_imports", f"--descriptor_set_out={out}"]
    include = Path(protoc.__file__).parent / "_proto"
    assert protoc.main([*arguments, f"-I{include}", *files]) == 0
    committed = root / "gateway/bandung/gateway/server/flight_pb/flight.binpb"
    read = descriptor_pb2.FileDescriptorSet.FromString
    assert read(out.read_bytes()) == read(committed.read_bytes())
