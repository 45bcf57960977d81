"""``dev.py sql``: run scripts for ``sqlcmd`` on the database of ``dev.py start``, or from standard input.

``GO`` and ``GO n``, ``:setvar``, ``$(Name)`` and ``-v`` as sqlcmd has them; the exit code is that of ``sqlcmd -b``: the first batch
with an error of severity above 10 ends the run with 1. Result sets go to standard output, errors to standard error.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import pytds

from devtools.arguments import file, port
from emulators.launch import SqlServer
from infra.sql_script import Batch, ScriptError, read_script

_PART = re.compile(r"\s*([^=;]+?)\s*=\s*(?:\{((?:[^}]|\}\})*)\}|([^;]*))\s*(?:;|$)")
_NAMES = {
    **dict.fromkeys(("server", "data source", "address", "addr"), "server"),
    **dict.fromkeys(("database", "initial catalog"), "database"),
    **dict.fromkeys(("user id", "uid", "user"), "user"),
    **dict.fromkeys(("password", "pwd"), "password"),
    "encrypt": "encrypt",
}
_WIDTH_LIMIT = 60
"""Characters of a column of text; longer values are not cut, but later columns move."""


class ConnectionTextError(ValueError):
    """The connection string is not one that this runner can use."""


def connection_arguments(text: str) -> dict[str, Any]:
    """What a connection string, of ADO.NET or ODBC, says to ``pytds.connect``.

    Raises:
        ConnectionTextError: no server, a port that is none, or encryption.
    """
    values = {
        _NAMES[key]: (quoted.replace("}}", "}") if quoted else plain).strip()
        for name, quoted, plain in _PART.findall(text)
        if (key := name.lower()) in _NAMES
    }
    if values.get("encrypt", "no").lower() not in ("no", "false", "optional"):
        raise ConnectionTextError("Encrypt: this runner is for databases on this machine; use sqlcmd for others")
    if "server" not in values:
        raise ConnectionTextError("Server is missing")
    host, _, number = values["server"].removeprefix("tcp:").partition(",")
    try:
        chosen = port(number.strip() or "1433")
    except argparse.ArgumentTypeError as error:
        raise ConnectionTextError(f"Server: {error}") from None
    return {
        "dsn": host,
        "port": chosen,
        "user": values.get("user"),
        "password": values.get("password"),
        "database": values.get("database"),
    }


class Runner:
    """Runs batches on one connection and prints what comes."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._described: Any = None
        self._told = 0

    def run(self, batch: Batch) -> bool:
        """One batch, as often as it says; whether it had no error above severity 10."""
        return all(self._run_once(batch) for _ in range(batch.count))

    def _run_once(self, batch: Batch) -> bool:
        cursor = self._connection.cursor()
        self._told, good = 0, True
        more: Any = True
        step: Callable[[], Any] = partial(cursor.execute, batch.text)
        while more:
            error = None
            try:
                more = step()
                good = self._print_messages(cursor, batch) and good
                if more is not False:
                    self._print_result(cursor)
            except pytds.Error as found:
                error, more = found, True  # a later statement may still have results
            good = self._print_messages(cursor, batch) and good
            if error is not None and (good or not hasattr(error, "severity")):  # of the connection, not of a statement
                raise error
            step = cursor.nextset
        return good

    def _print_result(self, cursor: Any) -> None:
        description = cursor.description
        if description is not None and description is not self._described:
            self._described = description
            rows = cursor.fetchall()
            print("\n".join(table(description, rows)))
            print(f"\n({len(rows)} rows affected)\n")
        elif cursor.rowcount >= 0:
            print(f"({cursor.rowcount} rows affected)\n")

    def _print_messages(self, cursor: Any, batch: Batch) -> bool:
        messages = [message for _, message in cursor.messages or []]
        new, self._told = messages[self._told :], len(messages)
        good = True
        for message in new:
            good = self._print_message(message, batch) and good
        return good

    def _print_message(self, message: Any, batch: Batch) -> bool:
        if message.severity <= 10:
            if message.number not in (5701, 5703):  # USE and SET LANGUAGE, which sqlcmd passes over as well
                print(message.text)
            return True
        sys.stdout.flush()
        line = batch.line + message.line - 1
        head = f"Msg {message.number}, Level {message.severity}, State {message.state}, Line {message.line}"
        print(f"{head} (line {line} of the script)\n{message.text}", file=sys.stderr, flush=True)
        return False


def table(description: Sequence[Sequence[Any]], rows: Sequence[Sequence[Any]]) -> list[str]:
    """The lines of a plain table: numbers to the right, everything else to the left.

    Args:
        description: of the cursor (PEP 249); the sixth item is a decimal's scale.
        rows: as fetched.
    """
    names = [column[0] for column in description]
    texts = [[shown(value, column[5]) for value, column in zip(row, description, strict=True)] for row in rows]
    numeric = [any(isinstance(row[i], (int, float, Decimal)) for row in rows) for i in range(len(names))]
    widths = [max(len(name), min(_WIDTH_LIMIT, max((len(row[i]) for row in texts), default=0))) for i, name in enumerate(names)]
    return [
        " ".join(
            cell.rjust(width) if right else cell.ljust(width) for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in [names, ["-" * width for width in widths], *texts]
    ]


def shown(value: Any, scale: int | None = None) -> str:
    """A value as sqlcmd shows it."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, bytes):
        return f"0x{value.hex().upper()}"
    if isinstance(value, Decimal):
        return f"{value:.{4 if scale is None else scale}f}"  # money has no scale of its own
    return str(value)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="dev.py sql", description="Run scripts for sqlcmd on the database of dev.py start.")
    parser.add_argument("scripts", type=file, nargs="*", metavar="script.sql", help="none: standard input")
    parser.add_argument("--connection", help="of another database (ADO.NET or ODBC, without encryption)")
    parser.add_argument("--sql-port", type=port, default=14330, help="that dev.py start was given")
    parser.add_argument("-v", dest="variables", action="append", default=[], metavar="NAME=value", help="a scripting variable")
    return parser.parse_args(given)


def run_scripts(options: argparse.Namespace, connection: Any) -> int:
    """Run all scripts; 1 as soon as a batch fails."""
    variables: Mapping[str, str] = dict(variable.split("=", 1) for variable in options.variables)
    runner = Runner(connection)
    sources = [(str(path), path.read_text(encoding="utf-8-sig")) for path in options.scripts] or [("", sys.stdin.read())]
    for name, text in sources:
        try:
            for batch in read_script(text, variables):
                if not runner.run(batch):
                    return 1
        except ScriptError as error:
            print(f"{name}: {error}".removeprefix(": "), file=sys.stderr)
            return 1
    return 0


def main() -> int:
    """Connect, run, and tell sqlcmd's exit code."""
    options = arguments()
    server = SqlServer
    default = f"Server=tcp:127.0.0.1,{options.sql_port};Database=rowpost;User ID={server.user};Password={server.password}"
    try:
        if wrong := [variable for variable in options.variables if "=" not in variable]:
            raise ConnectionTextError(f"-v {wrong[0]}: NAME=value is wanted")
        target = connection_arguments(options.connection or default)
        connection = pytds.connect(**target, autocommit=True, appname="dev.py sql", login_timeout=15)
    except ConnectionTextError as error:
        print(error, file=sys.stderr)
        return 2
    except (OSError, pytds.Error) as error:
        hint = "" if options.connection else "; is `dev.py start` running?"
        print(f"no connection to {target['dsn']},{target['port']}: {str(error) or type(error).__name__}{hint}", file=sys.stderr)
        return 1
    try:
        return run_scripts(options, connection)
    except (OSError, pytds.Error) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
