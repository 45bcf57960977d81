"""Prepared statements and calls of procedures."""

from __future__ import annotations

from typing import Any

from emulators.sql_server.values.results import SqlType
from emulators.tests.tds.client import BY_REFERENCE, TdsClient
from emulators.tests.tds.server import (
    COUNT,
    DONEINPROC,
    DONEPROC,
    ERROR,
    INT,
    MORE,
    NVARCHAR,
)


def prepare_arguments(statement: str, declarations: str | None) -> list[tuple[str, int, SqlType, Any]]:
    return [("", BY_REFERENCE, INT, None), ("", 0, NVARCHAR, declarations), ("", 0, NVARCHAR, statement)]


def test_prepare_execute_unprepare(client: TdsClient) -> None:
    prepared = client.call(("sp_prepare", [*prepare_arguments("ROWS 2", None), ("", 0, INT, 1)]))
    assert prepared.columns == ["n"] and prepared.rows == []
    handle = prepared.values[""]
    assert client.call(("sp_execute", [("", 0, INT, handle)])).rows == [(0,), (1,)]
    assert client.call(("sp_unprepare", [("", 0, INT, handle)])).errors == []
    assert [error[0] for error in client.call(("sp_execute", [("", 0, INT, handle)])).errors] == [8179]


def test_prepexec_drops_the_handle_that_comes_in(client: TdsClient) -> None:
    first = client.call((13, [*prepare_arguments("ECHO", "@a int"), ("", 0, INT, 4)]))
    assert first.rows == [(4,)] and first.status == 0
    again = prepare_arguments("ROWS 1", None)
    again[0] = ("", BY_REFERENCE, INT, first.values[""])
    second = client.call((13, again))
    assert second.values[""] != first.values[""]
    assert client.call((12, [("", 0, INT, first.values[""]), ("", 0, INT, 4)])).errors[0][0] == 8179
    assert client.call((12, [("", 0, INT, second.values[""])])).rows == [(0,)]


def test_token_order_of_prepexec(client: TdsClient) -> None:
    answer = client.call((13, [*prepare_arguments("ECHO", "@a int"), ("", 0, INT, 4)]))
    assert answer.order == [0x81, 0xD1, DONEINPROC, 0x79, 0xAC, DONEPROC]
    assert answer.done == [(DONEINPROC, MORE | COUNT, 1), (DONEPROC, 0, 0)]


def test_several_calls_in_one_request(client: TdsClient) -> None:
    call = (10, [("", 0, NVARCHAR, "ROWS 1")])
    answer = client.call(call, ("sp_unprepare", [("", 0, INT, 99)]), call)
    assert answer.rows == [(0,), (0,)]
    assert [status for token, status, _ in answer.done if token == DONEPROC] == [MORE, MORE, 0]


def test_procedure_with_output_and_return_value(client: TdsClient) -> None:
    answer = client.call(("[dbo].[double]", [("@n", BY_REFERENCE, INT, 21)]))
    assert answer.values == {"@n": 42} and answer.status == 4


def test_procedure_prepared_and_called_again(client: TdsClient) -> None:
    first = client.call((14, [("", BY_REFERENCE, INT, None), ("", 0, NVARCHAR, "dbo.double"), ("", BY_REFERENCE, INT, 21)]))
    assert first.errors == [] and first.status == 4
    again = client.call(("sp_execute", [("", 0, INT, first.values[""]), ("@n", BY_REFERENCE, INT, 4)]))
    assert again.values == {"@n": 8}


def test_unknown_procedure(client: TdsClient) -> None:
    assert client.call(("no_such_procedure", [])).errors == [(2812, 16, 62)]


def test_server_cursors_are_refused_by_name(client: TdsClient) -> None:
    answer = client.call((2, [("", BY_REFERENCE, INT, None)]))
    assert answer.errors[0][0] == 50000 and answer.done[-1][1] & ERROR
