"""``dev.py schema`` and ``dev.py asyncapi``: the contract of the relays of a relay.toml, from the tables of the database.

It only reads: no relay is registered, and nothing is changed. What a client has chosen of the columns is left aside: the running
app tells its own, by ``GET /api/relays/{relay}/schema``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import simplejson

from devtools.arguments import new_file
from emulators.odbc import odbc_driver
from infra.prepare_database import known_settings
from rowpost.app import App
from rowpost.config.connection_string import translate
from rowpost.config.errors import ConfigError
from rowpost.config.loading import load_config
from rowpost.contract.asyncapi import asyncapi_document
from rowpost.contract.schema import relay_schema
from rowpost.database.connection import Database, DatabaseError
from rowpost.operations.contract import describe

ROOT = Path(__file__).resolve().parents[1]


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    asyncapi = "--asyncapi" in (sys.argv[1:] if given is None else given)
    name = "asyncapi" if asyncapi else "schema"
    what = "the AsyncAPI document of all relays" if asyncapi else "the JSON Schema of a relay's events"
    parser = argparse.ArgumentParser(prog=f"dev.py {name}", description=f"Print {what}, from the tables of the database.")
    if not asyncapi:
        parser.add_argument("relay", nargs="?", metavar="RELAY", help="its name; not needed if there is one only")
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: relay.toml beside function_app.py")
    parser.add_argument("--connection", default="", metavar="TEXT", help="of the database; default: that of the app setting")
    parser.add_argument("--output", type=new_file, metavar="FILE", help="write it there")
    parser.add_argument("--asyncapi", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--from", dest="folder", type=Path, default=Path(), help=argparse.SUPPRESS)  # where the caller is
    return parser.parse_args(given)


def document(options: argparse.Namespace, settings: Mapping[str, str]) -> dict[str, Any]:
    """What is asked for.

    Raises:
        ConfigError: the file is not usable, a table cannot be relayed, or the relay is not clear.
        DatabaseError: the database cannot be asked.
    """
    path = options.folder / (options.config or settings.get("ROWPOST_CONFIG") or ROOT / "relay.toml")
    config = load_config(path, settings)
    setting = config.database.connection
    text, where = (options.connection, "--connection") if options.connection else (settings.get(setting, ""), setting)
    app = App(config, Database(translate(text, where, odbc_driver())))
    if options.asyncapi:
        return asyncapi_document(describe(app, app.describe(relay.name), None) for relay in config.relays)
    names = [relay.name for relay in config.relays]
    if options.relay is None and len(names) > 1:
        raise ConfigError(f"name one of the relays: {', '.join(names)}")
    table = app.describe(options.relay or names[0])
    return relay_schema(table, describe(app, table, None).shape)


def main() -> int:
    """Print or write the document; 1 if there is none."""
    options = arguments()
    try:
        found = document(options, known_settings())
    except (ConfigError, DatabaseError) as error:
        print(error, file=sys.stderr)
        return 1
    text = simplejson.dumps(found, indent=2, ensure_ascii=False, use_decimal=True)
    if options.output is None:
        print(text)
    else:
        options.output.write_text(f"{text}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
