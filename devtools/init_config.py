"""``dev.py init``: write a relay.toml, with the tables of a database or from nothing. Every setting stands in it as a comment.

The comments are those of the demo's relay.toml, so that each setting is explained in one place.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from devtools.catalogue import Catalogue, CatalogueError, UserTable, read_catalogue
from devtools.data import DEMO_CONFIG
from infra.prepare_database import known_settings
from rowpost.config.errors import ConfigError
from rowpost.config.sections import DatabaseConfig, RetryConfig

ROOT = Path(__file__).resolve().parents[1]
_PREPARE = "infra/prepare_database.py"
_SECTIONS = {"[database]", "[[targets]]", "[retry]", "[watchdog]"}  # they may be empty; the others have no defaults
_GIVEN = {"name", "url"}  # of a target
_FIRST_LINE = "# What Rowpost relays, where to, how it retries, and whom it notifies. A setting with # in front has its default.\n"
_EXAMPLE = "dbo.YourTable"


# --- the text ---


def settings_text() -> str:
    """All sections but the relays: those of the demo's file, with each setting as a comment that has a default."""
    shown, _, _ = DEMO_CONFIG.read_text(encoding="utf-8").partition("\n[[relays]]\n")
    lines, section = [_FIRST_LINE.rstrip()], ""
    for line in shown.splitlines()[1:]:
        if line.startswith("["):
            section = line.partition(" #")[0].strip()
            keep = section in _SECTIONS
        else:
            key = re.match(r"[\w-]+(?= = )", line)
            keep = key is None or (section == "[[targets]]" and key[0] in _GIVEN)
        lines.append(line if keep else _commented(line))
    return "\n".join(lines) + "\n"


def _commented(line: str) -> str:
    """The line as a comment; what stands behind it keeps its column where there is room."""
    return re.sub(r"   (?= *# )", " ", f"# {line}", count=1)


def template() -> str:
    """A file from nothing: one target, one relay."""
    relay = [
        f'[[relays]]\ntable = "{_EXAMPLE}"                 # put your table here: with a schema, a primary key and change tracking',
        '# send = ["Id", "Name"]                  # default: all columns',
        '# watch = ["Name"]                       # default: an update of any column counts',
    ]
    return f"{settings_text()}\n" + "\n".join(relay) + "\n"


def from_database(catalogue: Catalogue) -> tuple[str, list[str], list[str]]:
    """A file with the tables of a database.

    Returns:
        The text, the tables that are relayed, and a sentence for each table that is commented out.
    """
    parts, relayed, left_out, names = [settings_text()], [], [], set()
    facts = "".join(f"# {_plain(line)}\n" for line in _facts(catalogue))
    where = f"{catalogue.database} on {catalogue.server}, as the user {catalogue.user}"
    parts.append(f"# The database {_plain(where)}:\n{facts}")
    for table in catalogue.tables:
        twice = "another table has this name but for upper and lower case" if table.name.lower() in names else ""
        names.add(table.name.lower())
        reason = _impossible(table) or twice or _not_yet(table, catalogue)
        if reason:
            left_out.append(f"{_plain(table.name)}: {reason}")
            section = "".join(f"# {line}\n" for line in _section(table))
            parts.append(f"# {left_out[-1]}\n{section}")
        else:
            relayed.append(table.name)
            remarks = "".join(f"# {line}\n" for line in _remarks(table, catalogue))
            parts.append(remarks + "".join(f"{line}\n" for line in _section(table)))
    if not relayed:
        remark = "# No table can be relayed as it is: choose one of those above, and remove this one."
        parts.append(f'{remark}\n[[relays]]\ntable = "{_EXAMPLE}"\n')
    return "\n".join(parts), relayed, left_out


def _section(table: UserTable) -> Iterator[str]:
    yield "[[relays]]"
    yield f"table = {_toml(table.name)}"
    if table.key:
        yield f"# key: {', '.join(map(_plain, table.key))}"
    yield f"# send = {_toml([column.name for column in table.columns])}"
    watched = [column.name for column in table.columns if not column.key and not column.computed]
    if table.tracks_columns and watched:
        yield f"# watch = {_toml(watched)}"
    elif table.tracks_columns is False:
        yield "# no `watch`: the table does not track which columns an update touches (TRACK_COLUMNS_UPDATED = ON)"


def _impossible(table: UserTable) -> str:
    """Why a table can never be relayed as it is."""
    if not re.fullmatch(r"[^.\[\]'\"]+\.[^.\[\]'\"]+", table.name):
        return "a name with a dot, a bracket or a quote cannot be relayed"
    if table.clr_columns:
        return f"the SQL trigger does not support the CLR types of the columns {_plain(', '.join(table.clr_columns))}"
    if not table.key:
        return "no primary key, which change tracking needs; add one"
    return ""


def _not_yet(table: UserTable, catalogue: Catalogue) -> str:
    """What has to be done before a table can be relayed."""
    if table.tracks_columns is not None and catalogue.retention_seconds is not None:
        return ""
    what = "table" if catalogue.retention_seconds is not None else "database"
    return f"change tracking is off for the {what}; remove # from the section, and {_PREPARE} switches it on"


def _remarks(table: UserTable, catalogue: Catalogue) -> Iterator[str]:
    lacking = [name for name, given in (("SELECT", table.may_select), ("VIEW CHANGE TRACKING", table.may_view)) if not given]
    if lacking:
        yield f"{_plain(catalogue.user)} lacks {' and '.join(lacking)}: {_PREPARE} gives the app's role both"
    if catalogue.owner and not table.granted >= {"SELECT", "VIEW CHANGE TRACKING"}:
        yield f"the app's role has no rights on it yet: {_PREPARE} gives them"


def _facts(catalogue: Catalogue) -> Iterator[str]:
    window = RetryConfig().window.seconds
    kept = catalogue.retention_seconds
    if kept is None:
        yield f"- change tracking is off; {_PREPARE} switches it on, and keeps changes a week longer than retry.window"
    elif kept <= window:
        yield (
            f"- changes are kept for {kept / 3600:g} h only, which must be longer than retry.window ({window / 3600:g} h); "
            f"{_PREPARE} raises it"
        )
    else:
        yield f"- changes are kept for {kept / 3600:g} h, longer than retry.window ({window / 3600:g} h)"
    if catalogue.version == 0:
        yield f"- the app's own tables are missing or not visible; {_PREPARE} makes them"
    elif not catalogue.may_write:
        yield f"- this user may not write to schema rowpost; {_PREPARE} --app-user NAME lets the app's user do so"
    if catalogue.version and not (catalogue.may_alter_leases and catalogue.may_create_table):
        yield f"- this user may not make lease tables in schema az_func; {_PREPARE} --app-user NAME lets the app's user do so"
    if catalogue.owner:
        yield "- this user owns the database; the app needs a user with the role rowpost_app only"


def _plain(text: str) -> str:
    """A name in a comment: on one line."""
    return re.sub(r"[\x00-\x1f\x7f\u0085\u2028\u2029]", "?", text)


def _toml(value: str | list[str]) -> str:
    """A text or a list of texts as TOML writes it: as JSON does, but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


# --- the command ---


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="dev.py init", description="Write a relay.toml with the tables of a database.")
    setting = DatabaseConfig().connection
    parser.add_argument("--connection", metavar="TEXT", help=f"as the app setting has it (default: the setting {setting})")
    parser.add_argument("--no-database", action="store_true", help="write a template with one target and one relay")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: relay.toml beside function_app.py")
    parser.add_argument("--force", action="store_true", help="overwrite the file if there is one")
    parser.add_argument("--from", dest="folder", type=Path, default=Path(), help=argparse.SUPPRESS)  # where the caller is
    options = parser.parse_args(given)
    if options.connection is not None and options.no_database:
        parser.error("--connection and --no-database exclude each other")
    return options


def main() -> int:
    """Write the file; 1 and one sentence if that cannot be."""
    options = arguments()
    file: Path = options.folder / options.output if options.output else ROOT / "relay.toml"
    if (file.exists() or file.is_symlink()) and not options.force:
        print(f"{file}: the file exists and is left as it is; --force overwrites it, --output FILE writes another", file=sys.stderr)
        return 1
    setting = DatabaseConfig().connection
    told: list[str] = []
    try:
        connection = None if options.no_database else options.connection or known_settings().get(setting)
        if connection:
            catalogue = read_catalogue(connection, "--connection" if options.connection else setting)
            text, relayed, left_out = from_database(catalogue)
            told = [f"relays {', '.join(relayed) or 'none'} of {catalogue.database} on {catalogue.server}"]
            told += [f"commented out: {line}" for line in left_out]
        else:
            text = template()
            told = ["a template: put your table in"]
        _write(file, text, options.force)
    except CatalogueError as error:
        other = "" if options.connection else "--connection names another database, "
        hint = f"{other}--no-database writes a template without one"
        print(f"{error}; {hint}", file=sys.stderr)
        return 1
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{file}: cannot be written ({error.strerror})", file=sys.stderr)
        return 1
    print("\n".join([f"{file} is written", *(f"  {line}" for line in told), "", *_next_steps(file)]))
    return 0


def _write(file: Path, text: str, force: bool) -> None:
    """Write the file, which is there wholly or not at all."""
    if not force:
        with file.open("x", encoding="utf-8", newline="\n") as opened:
            opened.write(text)
        return
    scratch = file.with_name(f"{file.name}.{os.getpid()}.new")
    try:
        scratch.write_text(text, encoding="utf-8", newline="\n")
        scratch.replace(file)
    finally:
        scratch.unlink(missing_ok=True)


def _next_steps(file: Path) -> list[str]:
    own = file.resolve() == ROOT / "relay.toml"
    name = "" if own else f" {file}"
    return [
        "Next:",
        "  1. look through it: targets, tables, whom to notify; the settings that it names belong into local.settings.json",
        f"  2. python3 dev.py check-config{name} --connection    explains it, and asks the database",
        f"  3. python {_PREPARE}{'' if own else f' --config {file}'}    change tracking, the app's tables and role",
    ]


if __name__ == "__main__":
    sys.exit(main())
