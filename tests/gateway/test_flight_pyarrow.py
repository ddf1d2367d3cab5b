"""Flight through pyarrow's own client, and by hand where the attacker is cleverer than that."""

import threading

import pyarrow as pa
import pyarrow.flight as fl
import pytest
from google.protobuf import any_pb2

from bandung.gateway.server.flight_pb import flight_pb2, flight_sql_pb2
from bandung.gateway.server.sql_metadata import COMMANDS
from tests.support.clients import a_channel, a_command, a_flight_client
from tests.support.server import SCHEMA, a_node


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with a_node(tmp_path_factory.mktemp("flight")) as node:
        yield node


@pytest.fixture(scope="module")
def ani(node):
    return node.idn.issue("analyst/ani")


@pytest.fixture(scope="module")
def budi(node):
    return node.idn.issue("analyst/budi")


@pytest.fixture
def client(node, ani):
    with a_flight_client(node.address, node.idn.ca, ani) as client:
        yield client


def described(**fields):
    return fl.FlightDescriptor.for_command(a_command("CommandStatementQuery", **fields))


def test_datasets_are_listed_with_their_columns_and_cannot_be_read_whole(client):
    (info,) = client.list_flights()
    assert info.descriptor.path == [b"persons"]
    assert info.schema.names == ["region", "sex", "age_group", "income"]
    assert info.endpoints == []
    assert client.get_schema(info.descriptor).schema.names == info.schema.names
    with pytest.raises(pa.ArrowNotImplementedError, match="B213"):
        client.get_flight_info(info.descriptor)


def test_flight_info_announces_exactly_the_fields_that_do_get_sends(client):
    info = client.get_flight_info(described(query="SELECT"))
    table = client.do_get(info.endpoints[0].ticket).read_all()
    assert info.schema.equals(SCHEMA)
    assert table.schema.equals(info.schema)
    assert [f.nullable for f in table.schema] == [f.nullable for f in info.schema]
    assert b'"cost": {"tables": 1}' in info.app_metadata


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_metadata_command_sends_the_schema_that_it_announces(client, command):
    descriptor = fl.FlightDescriptor.for_command(a_command(command))
    info = client.get_flight_info(descriptor)
    table = client.do_get(info.endpoints[0].ticket).read_all()
    assert table.schema.equals(info.schema)
    table.validate(full=True)


def test_sql_info_values_can_be_filtered(client):
    info = client.get_flight_info(fl.FlightDescriptor.for_command(a_command("CommandGetSqlInfo", info=[0, 3])))
    table = client.do_get(info.endpoints[0].ticket).read_all()
    assert table.to_pylist() == [{"info_name": 0, "value": "Bandung gateway"}, {"info_name": 3, "value": True}]
    assert not any(table.schema.field("value").type.field(i).nullable for i in range(6))


def test_type_info_knows_text_and_numbers(client):
    info = client.get_flight_info(fl.FlightDescriptor.for_command(a_command("CommandGetXdbcTypeInfo", data_type=12)))
    assert client.do_get(info.endpoints[0].ticket).read_all()["type_name"].to_pylist() == ["VARCHAR"]


def test_actions_are_listed_and_each_can_be_called(client):
    names = {action.type for action in client.list_actions()}
    assert names >= {"CreatePreparedStatement", "ClosePreparedStatement", "CancelFlightInfo", "CloseSession"}
    (closed,) = client.do_action(fl.Action("CloseSession", b""))
    assert flight_pb2.CloseSessionResult.FromString(closed.body.to_pybytes()).status == 1
    options = flight_pb2.SetSessionOptionsRequest(session_options={"x": {"string_value": "y"}})
    (answer,) = client.do_action(fl.Action("SetSessionOptions", options.SerializeToString()))
    assert flight_pb2.SetSessionOptionsResult.FromString(answer.body.to_pybytes()).errors["x"].value == 1
    assert list(client.do_action(fl.Action("ClosePreparedStatement", b""))) == []


@pytest.mark.parametrize("action", ["BeginTransaction", "RestartServer"])
def test_other_actions_are_not_offered(client, action):
    with pytest.raises(pa.ArrowNotImplementedError, match="B213"):
        list(client.do_action(fl.Action(action, b"")))


def test_a_transaction_is_refused(client):
    with pytest.raises(pa.ArrowNotImplementedError, match="B213"):
        client.get_flight_info(described(query="SELECT", transaction_id=b"1"))


def test_text_that_is_no_command_is_refused(client):
    with pytest.raises(pa.ArrowInvalid, match="B211"):
        client.get_flight_info(fl.FlightDescriptor.for_command(b"SELECT 1"))


def test_a_ticket_is_useless_to_another_principal(node, client, budi):
    info = client.get_flight_info(described(query="SELECT"))
    ticket = info.endpoints[0].ticket
    with a_flight_client(node.address, node.idn.ca, budi) as thief, pytest.raises(pa.ArrowInvalid, match="B212"):
        thief.do_get(ticket).read_all()
    assert node.queries.recorded[-1][:2] == ("spiffe://idn.bandung.example/analyst/budi", "B212")
    assert client.do_get(ticket).read_all().num_rows == 2


def test_a_ticket_cannot_be_altered(client):
    ticket = bytearray(client.get_flight_info(described(query="SELECT")).endpoints[0].ticket.ticket)
    ticket[-1] ^= 1
    with pytest.raises(pa.ArrowInvalid, match="B212"):
        client.do_get(fl.Ticket(bytes(ticket))).read_all()


def test_polling_is_complete_at_once(node, ani):
    with a_channel(node.address, node.idn.ca, ani) as channel:
        call = channel.unary_unary(
            "/arrow.flight.protocol.FlightService/PollFlightInfo",
            flight_pb2.FlightDescriptor.SerializeToString,
            flight_pb2.PollInfo.FromString,
        )
        command = a_command("CommandStatementQuery", query="SELECT")
        poll = call(flight_pb2.FlightDescriptor(type=flight_pb2.FlightDescriptor.CMD, cmd=command), timeout=10)
    assert poll.progress == 1.0
    assert not poll.HasField("flight_descriptor")
    assert poll.info.endpoint


def prepared(client, sql):
    body = a_command("ActionCreatePreparedStatementRequest", query=sql)
    (result,) = client.do_action(fl.Action("CreatePreparedStatement", body))
    value = result.body.to_pybytes()
    return flight_sql_pb2.ActionCreatePreparedStatementResult.FromString(any_pb2.Any.FromString(value).value)


def bound(client, handle, table, options=None):
    command = a_command("CommandPreparedStatementQuery", prepared_statement_handle=handle)
    descriptor = fl.FlightDescriptor.for_command(command)
    writer, reader = client.do_put(descriptor, table.schema, options)
    with writer:
        writer.write_table(table)
        writer.done_writing()
        answer = flight_sql_pb2.DoPutPreparedStatementResult.FromString(reader.read().to_pybytes())
    return answer.prepared_statement_handle


def test_a_prepared_statement_names_its_parameters_by_column(client):
    statement = prepared(client, "SELECT ?")
    schema = pa.ipc.read_schema(pa.py_buffer(statement.parameter_schema))
    assert schema == pa.schema([pa.field("region", pa.string(), nullable=False)])
    assert statement.HasField("is_update")
    assert not statement.is_update


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string(), pa.string_view()])
def test_any_text_type_binds(node, client, type_):
    handle = bound(
        client, prepared(client, "SELECT ?").prepared_statement_handle, pa.table({"a": pa.array(["N"], type_)})
    )
    command = a_command("CommandPreparedStatementQuery", prepared_statement_handle=handle)
    info = client.get_flight_info(fl.FlightDescriptor.for_command(command))
    client.do_get(info.endpoints[0].ticket).read_all()
    assert node.queries.asked[-1][2] == ("N",)


def test_a_prepared_statement_announces_its_fields_by_schema_calls_only(client):
    statement = prepared(client, "SELECT")
    command = a_command("CommandPreparedStatementQuery", prepared_statement_handle=statement.prepared_statement_handle)
    descriptor = fl.FlightDescriptor.for_command(command)
    assert client.get_schema(descriptor).schema.equals(SCHEMA)
    assert client.get_flight_info(descriptor).app_metadata == b""
    assert pa.ipc.read_schema(pa.py_buffer(statement.dataset_schema)).equals(SCHEMA)


def test_a_prepared_statement_of_somebody_else_gets_no_info(node, client, budi):
    handle = prepared(client, "SELECT").prepared_statement_handle
    command = a_command("CommandPreparedStatementQuery", prepared_statement_handle=handle)
    with a_flight_client(node.address, node.idn.ca, budi) as other, pytest.raises(pa.ArrowInvalid, match="B212"):
        other.get_flight_info(fl.FlightDescriptor.for_command(command))


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"a": pa.array([None], pa.string())}),
        pa.table({"a": pa.array(["N", "S"])}),
        pa.table({"a": pa.array([b"N"])}),
        pa.table({"a": pa.array(["N"]).dictionary_encode()}),
        pa.table({"a": pa.nulls(1)}),
    ],
    ids=["null", "two rows", "bytes", "dictionary", "null type"],
)
def test_anything_but_one_row_of_plain_text_is_refused(client, table):
    handle = prepared(client, "SELECT ?").prepared_statement_handle
    with pytest.raises((pa.ArrowInvalid, fl.FlightError), match="B207"):
        bound(client, handle, table)


def test_a_compressed_upload_is_refused_before_it_is_unpacked(client):
    """A compressed buffer may claim to unpack to any size."""
    handle = prepared(client, "SELECT ?").prepared_statement_handle
    options = fl.FlightCallOptions(write_options=pa.ipc.IpcWriteOptions(compression="zstd"))
    with pytest.raises((pa.ArrowInvalid, fl.FlightError), match="B207"):
        bound(client, handle, pa.table({"a": ["N" * 100_000]}), options)


def uploaded(client, descriptor, table):
    writer, reader = client.do_put(descriptor, table.schema)
    with writer:
        writer.write_table(table)
        writer.done_writing()
        reader.read()


def test_any_other_upload_is_refused(client):
    with pytest.raises((pa.ArrowNotImplementedError, fl.FlightError), match="B213"):
        uploaded(client, fl.FlightDescriptor.for_path("persons"), pa.table({"a": ["x"]}))


def test_cancelling_a_flight_info_stops_its_reading_for_the_same_principal_only(node, client, budi):
    info = client.get_flight_info(described(query="SELECT slow"))
    endpoint = flight_pb2.FlightEndpoint(ticket=flight_pb2.Ticket(ticket=info.endpoints[0].ticket.ticket))
    body = flight_pb2.CancelFlightInfoRequest(info=flight_pb2.FlightInfo(endpoint=[endpoint])).SerializeToString()

    def cancelled(by):
        (answer,) = by.do_action(fl.Action("CancelFlightInfo", body))
        return flight_pb2.CancelFlightInfoResult.FromString(answer.body.to_pybytes()).status

    failure = []

    def read():
        try:
            client.do_get(info.endpoints[0].ticket).read_all()
        except (pa.ArrowException, fl.FlightError) as error:
            failure.append(str(error))

    reading = threading.Thread(target=read)
    reading.start()
    assert node.queries.working.acquire(timeout=10)
    with a_flight_client(node.address, node.idn.ca, budi) as stranger:
        assert cancelled(stranger) == flight_pb2.CANCEL_STATUS_NOT_CANCELLABLE
    assert cancelled(client) == flight_pb2.CANCEL_STATUS_CANCELLED
    reading.join(10)
    assert "B403" in failure[0]
