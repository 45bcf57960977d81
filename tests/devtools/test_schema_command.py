"""``dev.py schema`` and ``dev.py asyncapi`` against the emulator of SQL Server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators.launch import SqlServer
from infra.prepare_database import prepare
from rowpost.config.loading import load_config
from tests.devtools.commands import URL, dev, written

RELAYS = '[[relays]]\ntable = "dbo.Orders"\n[[relays]]\ntable = "dbo.Lines"\nname = "lines"\nsend = ["Id"]\n'
TABLES = """
CREATE TABLE dbo.Orders (OrderId int NOT NULL PRIMARY KEY, Customer nvarchar(40) NOT NULL, Doubled AS (OrderId * 2));
CREATE TABLE dbo.Lines (Id int NOT NULL PRIMARY KEY, Text nvarchar(40) NULL);
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlServer]:
    folder = tmp_path_factory.mktemp("sql")
    with SqlServer(folder, "real") as running:
        connection = running.connect()
        connection.execute(TABLES)
        prepare(connection, load_config(written(folder / "relay.toml", RELAYS), {**URL, "SqlConnectionString": "x"}))
        yield running


@pytest.fixture
def settings(server: SqlServer) -> dict[str, str]:
    return {**URL, "SqlConnectionString": server.ado_net_connection_string}


def test_the_schema_of_a_relay(server: SqlServer, settings: dict[str, str], tmp_path: Path) -> None:
    written(tmp_path / "mine.toml", RELAYS)
    done = dev("schema", "dbo.Orders", "--config", "mine.toml", cwd=tmp_path, **settings)
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)["$defs"]["row"]["properties"]
    assert row["Customer"] == {"description": "nvarchar(40)", "type": "string", "maxLength": 40}
    assert row["Doubled"]["type"] == ["integer", "null"]
    assert server.connect().execute("SELECT COUNT(*) FROM rowpost.Relays").fetchval() == 0, "no relay is registered"


def test_the_document_of_all_relays_in_a_file(settings: dict[str, str], tmp_path: Path) -> None:
    written(tmp_path / "relay.toml", RELAYS)
    file = tmp_path / "asyncapi.json"
    done = dev("schema", "--asyncapi", "--config", "relay.toml", "--output", str(file), cwd=tmp_path, **settings)
    assert (done.returncode, done.stdout) == (0, "")
    schemas = json.loads(file.read_text(encoding="utf-8"))["components"]["schemas"]
    assert "dbo_Orders.event" in schemas and [*schemas["lines_" + _hash(schemas) + ".row"]["properties"]] == ["Id"]


def _hash(schemas: dict[str, object]) -> str:
    return next(name for name in schemas if name.startswith("lines_")).partition(".")[0].removeprefix("lines_")


def test_what_is_missing_is_told(settings: dict[str, str], tmp_path: Path) -> None:
    written(tmp_path / "mine.toml", RELAYS)
    for arguments, more, said in (
        (["--config", "mine.toml"], {}, "name one of the relays: dbo.Orders, lines"),
        (["dbo.None", "--config", "mine.toml"], {}, "there is no relay 'dbo.None'"),
        (["--config", "none.toml"], {}, "none.toml"),
        (["lines", "--config", "mine.toml"], {"SqlConnectionString": ""}, "SqlConnectionString"),
    ):
        done = dev("schema", *arguments, cwd=tmp_path, **{**settings, **more})
        assert done.returncode == 1 and said in done.stderr, done.stderr
