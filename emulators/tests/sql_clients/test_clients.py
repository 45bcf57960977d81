"""What each client for SQL Server can do with the emulator: a table of clients × features.

A complete run writes what it saw to emulators/docs/clients.json, from which the page on the emulator is made.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyodbc
import pytest

from emulators.launch import SqlServer
from emulators.sql_server.tds.tls import tls_contexts
from emulators.tests.sql_clients import features, node_modules
from emulators.tests.sql_clients.clients import CLIENTS, NotInClientError, Target, Wiretap

TABLE = Path(__file__).parents[2] / "docs" / "clients.json"
TEDIOUS = Path(__file__).with_name("tedious_features.cjs")
YES, ABSENT, REFUSED = "yes", "absent", "refused"


@dataclass(frozen=True)
class Feature:
    """A line of the table. ``absent`` names the clients that have no such thing; ``refusal`` what the server's error names."""

    title: str
    run: Callable[[features.World], str | None]
    absent: frozenset[str] = frozenset()
    refusal: str = ""


def _feature(title: str, run: Callable[[features.World], str | None], absent: str = "", refusal: str = "") -> tuple[str, Feature]:
    return run.__name__, Feature(title, run, frozenset(absent.split()), refusal)


FEATURES = dict(
    [
        _feature("Connection without encryption (Encrypt=no, optional)", features.connect_plain),
        _feature("Connection with TLS, any certificate", features.connect_tls),
        _feature("TLS, certificate verified (Encrypt=mandatory)", features.connect_mandatory),
        _feature("TDS 8, certificate verified (Encrypt=strict)", features.connect_strict, "pymssql python-tds"),
        _feature("Refused login, with the text of the server", features.login_refused),
        _feature("Unknown database refused", features.database_refused),
        _feature("Autocommit on", features.autocommit_on),
        _feature("Autocommit off: nobody else sees uncommitted rows", features.autocommit_off),
        _feature("Rollback", features.rollback),
        _feature("Parameters of the common types, and NULL", features.parameters),
        _feature("Decimals of 38 digits", features.decimals),
        _feature("datetime2(7)", features.datetime2),
        _feature("Unicode, also beyond the BMP, and long texts", features.unicode),
        _feature("Several result sets", features.result_sets),
        _feature("Row counts", features.row_counts),
        _feature("Many rows at once (executemany; pyodbc: fast_executemany)", features.many_rows, "tedious"),
        _feature("Error number of a duplicate key", features.error_number, "mssql-python"),
        _feature("Severity and state of an error", features.severity_and_state, "pyodbc mssql-python"),
        _feature("SQLSTATE of an error", features.sqlstate, "mssql-python pymssql python-tds tedious"),
        _feature("Time-out of a statement", features.timeout),
        _feature("Cancellation by another thread", features.cancel, "mssql-python pymssql python-tds"),
        _feature("Reset of a pooled connection", features.pooled_reset, "pymssql"),
        _feature("A new connection after the server dropped one", features.reconnect),
        _feature("Catalogue calls (SQLTables, SQLColumns, SQLPrimaryKeys)", features.catalogue, "pymssql python-tds tedious"),
        _feature("SQLAlchemy: create, use, reflect, drop", features.reflection, "python-tds tedious"),
        _feature("Bulk load", features.bulk_load, "pyodbc", "INSERT BULK|FMTONLY ON"),
        _feature("Table-valued parameters", features.table_valued, "mssql-python pymssql", "table-valued parameters"),
    ]
)
_seen: dict[str, dict[str, str]] = {}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    pyodbc.pooling = False
    directory = tmp_path_factory.mktemp("clients")
    with SqlServer(directory, "real") as server:
        yield Target(server, directory / "sql_server.db.certificate.pem")
    _write_table()


def _write_table() -> None:
    """Bring the table up to date for the clients whose features all ran."""
    table = json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {"clients": {}}
    complete = {name: results for name, results in _seen.items() if results.keys() == FEATURES.keys()}
    merged = {name: complete.get(name) or table["clients"].get(name, {}) for name in (*CLIENTS, "tedious")}
    if not complete or any(results.keys() != FEATURES.keys() for results in merged.values()):
        return  # not all features were tried with all clients since the last of them was added
    document = {
        "features": {name: feature.title for name, feature in FEATURES.items()},
        "clients": {name: {feature: results[feature] for feature in FEATURES} for name, results in merged.items()},
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if not TABLE.exists() or TABLE.read_text(encoding="utf-8") != text:
        TABLE.write_text(text, encoding="utf-8")


def _check(client: str, name: str, run: Callable[[], str | None]) -> None:
    feature = FEATURES[name]
    if client in feature.absent:
        with pytest.raises(NotInClientError):
            run()
        outcome = ABSENT
    elif feature.refusal:
        message = run() or ""
        assert pytest.RaisesExc(Exception, match=feature.refusal).matches(Exception(message)), message
        outcome = REFUSED
    else:
        run()
        outcome = YES
    _seen.setdefault(client, {})[name] = outcome


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("client", CLIENTS)
def test_python_client(target: Target, client: str, name: str) -> None:
    world = features.World(CLIENTS[client], target)
    _check(client, name, lambda: FEATURES[name].run(world))


@pytest.fixture(scope="module")
def modules() -> str:
    return str(node_modules.installed())


@pytest.mark.npm
@pytest.mark.parametrize("name", FEATURES)
def test_tedious(target: Target, modules: str, name: str) -> None:
    def run() -> str | None:
        server = target.server
        other = target.certificate.with_name("other.pem")
        tls_contexts(other)
        arguments = {
            "feature": name,
            "port": server.port,
            "control": f"http://127.0.0.1:{server.control_port}",
            "user": server.user,
            "password": server.password,
            "database": server.database,
            "certificate": str(target.certificate),
            "other_certificate": str(other),
        }
        tap = Wiretap(server.port) if name.startswith("connect_") else None
        if tap is not None:
            arguments["port"] = tap.port
        result = subprocess.run(
            ["node", str(TEDIOUS), json.dumps(arguments)],
            env={**os.environ, "NODE_PATH": modules},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        answer: dict[str, str] = json.loads(result.stdout.splitlines()[-1])
        if answer.get("absent"):
            raise NotInClientError
        if tap is not None:
            tap.close()
            assert tap.saw("sentinel") == (name == "connect_plain")
        return answer.get("message")

    _check("tedious", name, run)
