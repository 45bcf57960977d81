"""``dev.py preview``: what a relay of a relay.toml would send, before it sends anything: its settings, and events for a sample.

With a database its columns are read from there; nothing is changed. With ``--no-database`` they are those that the file names, and
each is taken for text.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import simplejson

from devtools.check_config import examine
from emulators.odbc import odbc_driver
from infra.prepare_database import known_settings
from rowpost.app import App
from rowpost.config.connection_string import translate
from rowpost.config.errors import ConfigError
from rowpost.config.loading import load_config
from rowpost.config.sections import Config, RelayConfig
from rowpost.database.connection import Database, DatabaseError
from rowpost.operations.preview import Preview, preview, preview_of
from rowpost.rules.json_text import to_json
from rowpost.rules.placeholders import Placeholder
from rowpost.target.request import Unfit
from rowpost.target.shape import shape_of

ROOT = Path(__file__).resolve().parents[1]
_TEXT = "nvarchar"


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="dev.py preview", description="Print what a relay would send; nothing is sent.")
    parser.add_argument("relay", nargs="?", metavar="RELAY", help="its name; not needed if there is one only")
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: relay.toml beside function_app.py")
    parser.add_argument("--connection", default="", metavar="TEXT", help="of the database; default: that of the app setting")
    parser.add_argument("--no-database", action="store_true", help="take the columns that the file names, as texts")
    parser.add_argument("--from", dest="folder", type=Path, default=Path(), help=argparse.SUPPRESS)  # where the caller is
    return parser.parse_args(given)


def look(options: argparse.Namespace, settings: Mapping[str, str]) -> Preview:
    """What is asked for.

    Raises:
        ConfigError: the file is not usable, the table cannot be relayed, or the relay is not clear.
        DatabaseError: the database cannot be asked.
        Unfit: no event can be made of a short row.
    """
    path = options.folder / (options.config or settings.get("ROWPOST_CONFIG") or ROOT / "relay.toml")
    if options.no_database:
        report, found = examine(path, settings, "")  # app settings that are not known here have something in their place
        if found is None or report.mistakes:
            raise ConfigError("; ".join(report.mistakes))
        return _without_database(found, _chosen(found, options.relay))
    config = load_config(path, settings)
    setting = config.database.connection
    text, where = (options.connection, "--connection") if options.connection else (settings.get(setting, ""), setting)
    return preview(App(config, Database(translate(text, where, odbc_driver()))), _chosen(config, options.relay).name)


def _chosen(config: Config, name: str | None) -> RelayConfig:
    names = [relay.name for relay in config.relays]
    if name is None and len(names) > 1:
        raise ConfigError(f"name one of the relays: {', '.join(names)}")
    found = config.relay(name or names[0])
    if found is None:
        raise ConfigError(f"there is no relay {name!r}; relay.toml has {', '.join(names)}")
    return found


def _without_database(config: Config, relay: RelayConfig) -> Preview:
    """A path names the key. Without one, the first column that is sent is taken for it."""
    shape = shape_of(relay, config.target(relay.target))
    texts = (text for request in (shape.upsert, shape.delete) for text in (request.path, *(text for _, text in request.query)))
    in_path = [part.name for text in texts for part in text if isinstance(part, Placeholder) and not part.attribute]
    sent = relay.send or in_path or ["Id"]
    key = dict.fromkeys(in_path or sent[:1], _TEXT)
    return preview_of(config, relay, shape, key, dict.fromkeys(sent, _TEXT) | key)


def main() -> int:
    """Print the preview; 1 if there is none."""
    options = arguments()
    try:
        found = look(options, known_settings())
    except (ConfigError, DatabaseError, Unfit) as error:
        print(error, file=sys.stderr)
        return 1
    document = json.loads(to_json(found), parse_float=Decimal)
    print(simplejson.dumps(document, indent=2, ensure_ascii=False, use_decimal=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
