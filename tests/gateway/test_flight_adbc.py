"""Flight SQL through ADBC's DBAPI, the client that analysts use."""

import threading

import adbc_driver_manager as manager
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tests.support.clients import an_adbc_connection
from tests.support.server import SCHEMA, SECRET, a_node


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with a_node(tmp_path_factory.mktemp("adbc")) as node:
        yield node


@pytest.fixture(scope="module")
def ani(node):
    return node.idn.issue("analyst/ani")


@pytest.fixture
def connection(node, ani):
    with an_adbc_connection(node.address, node.idn.ca, ani) as connection:
        yield connection


def fetched(connection, sql, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetch_arrow_table()


def fetched_by(cursor, sql):
    cursor.execute(sql)
    return cursor.fetch_arrow_table()


def test_a_statement_gives_the_released_table_with_its_schema(connection):
    table = fetched(connection, "SELECT region, count(*) FROM persons GROUP BY region")
    assert table.to_pydict() == {"region": ["N", "S"], "count": [120, None], "OBS_STATUS": ["A", "Q"]}
    assert table.schema.equals(SCHEMA)
    assert [field.nullable for field in table.schema] == [False, True, False]


def test_the_schema_metadata_reach_the_analyst(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT")
        metadata = cursor.fetch_record_batch().schema.metadata
    assert metadata[b"bandung.epoch"] == b"persons@1"
    assert metadata[b"bandung.receipt"]


def test_parameters_are_bound_and_reach_the_desk(node, connection):
    fetched(connection, "SELECT ? ?", ["N", "F"])
    _, request, parameters, _ = node.queries.asked[-1]
    assert (request, parameters) == ("SELECT ? ?", ("N", "F"))


def test_numbers_are_bound_as_they_are(node, connection):
    fetched(connection, "SELECT ? ?", [3, -12.5])
    _, _, parameters, _ = node.queries.asked[-1]
    assert parameters == ("3", "-12.5")


def test_a_parameter_that_is_neither_text_nor_number_is_refused(connection):
    with pytest.raises(connection.ProgrammingError, match="B207"):
        fetched(connection, "SELECT ?", [True])


def test_executing_for_many_rows_is_not_offered(connection):
    with connection.cursor() as cursor, pytest.raises(connection.NotSupportedError, match="B213"):
        cursor.executemany("SELECT ?", [["N"], ["S"]])


def test_an_unbound_placeholder_is_refused(connection):
    with pytest.raises(connection.Error, match="B207"):
        fetched(connection, "SELECT ?")


def test_pandas_and_polars_read_it(connection):
    assert pd.DataFrame(fetched(connection, "SELECT").to_pandas())["region"].tolist() == ["N", "S"]
    assert pl.read_database("SELECT", connection)["region"].to_list() == ["N", "S"]
    bound = pl.read_database("SELECT ?", connection, execute_options={"parameters": ["N"]})
    assert bound["OBS_STATUS"].to_list() == ["A", "Q"]


def test_a_large_answer_comes_in_several_batches_and_whole(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT large")
        batches = list(cursor.fetch_record_batch())
    assert sum(batch.num_rows for batch in batches) == 60_000
    assert max(batch.nbytes for batch in batches) <= 2 << 20


def test_the_catalogue_shows_datasets_as_tables_of_the_member(connection):
    (catalog,) = connection.adbc_get_objects(depth="all").read_all().to_pylist()
    assert catalog["catalog_name"] == "IDN"
    (schema,) = catalog["catalog_db_schemas"]
    (table,) = schema["db_schema_tables"]
    assert (schema["db_schema_name"], table["table_name"], table["table_type"]) == ("main", "persons", "TABLE")
    assert [c["column_name"] for c in table["table_columns"]] == ["region", "sex", "age_group", "income"]
    assert connection.adbc_get_table_types() == ["TABLE"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"table_name_filter": "pers%"}, 1),
        ({"table_name_filter": "p_rsons"}, 1),
        ({"table_name_filter": "x%"}, 0),
        ({"db_schema_filter": "other"}, 0),
        ({"table_types_filter": ["VIEW"]}, 0),
    ],
)
def test_catalogue_filters_hold(connection, filters, found):
    objects = connection.adbc_get_objects(depth="tables", **filters).read_all().to_pylist()
    tables = [t for c in objects for s in c["catalog_db_schemas"] or () for t in s["db_schema_tables"] or ()]
    assert len(tables) == found


def test_a_table_schema_has_text_for_dimensions_and_numbers_for_measures(connection):
    schema = connection.adbc_get_table_schema("persons")
    assert schema.field("region").type == pa.string()
    assert schema.field("income").type == pa.int64()
    assert schema.field("income").metadata[b"ARROW:FLIGHT:SQL:REMARKS"] == b"income [units]"


def test_the_driver_learns_who_serves_it(connection):
    info = connection.adbc_get_info()
    assert info["vendor_name"] == "Bandung gateway"


def test_a_schema_can_be_asked_for_without_executing(node, connection):
    before = len(node.queries.asked)
    with connection.cursor() as cursor:
        assert cursor.adbc_execute_schema("SELECT").equals(SCHEMA)
    assert len(node.queries.asked) == before


def test_a_refusal_arrives_with_code_place_and_remedy_but_without_private_detail(connection):
    with pytest.raises(connection.ProgrammingError) as refused:
        fetched(connection, "refused")
    text = str(refused.value)
    assert "B204" in text
    assert "line 1, column 8" in text
    assert SECRET not in text + repr(refused.value.details)


def test_no_exception_text_reaches_the_analyst(node, connection, caplog):
    with pytest.raises(connection.InternalError) as failed:
        fetched(connection, "broken")
    told = str(failed.value) + repr(failed.value.details)
    assert "B402" in told
    assert SECRET not in told
    assert "Traceback" not in told
    assert "RuntimeError" not in told
    assert SECRET in caplog.text
    assert node.queries.recorded[-1][1] == "B402"


def test_writing_is_not_offered(connection):
    with connection.cursor() as cursor, pytest.raises(manager.Error, match=r"B213|not supported|Unimplemented"):
        cursor.adbc_ingest("persons", pa.table({"a": [1]}))


def test_cancelling_stops_the_running_query(node, connection):
    cursor = connection.cursor()
    cursor.adbc_prepare("SELECT slow")
    cancel = threading.Thread(target=lambda: (node.queries.working.acquire(timeout=10), cursor.adbc_cancel()))
    cancel.start()
    with pytest.raises(manager.Error, match=r"(?i)cancel"):
        fetched_by(cursor, "SELECT slow")
    cancel.join()
    assert node.queries.stopped.acquire(timeout=10)
    cursor.close()
