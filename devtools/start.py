"""``dev.py start``: the app and all that it talks to, on this machine, until Ctrl-C. State lives under ``.local/``."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyodbc

from devtools.arguments import factor, port, setting, url
from devtools.data import DEMO_CONFIG, TABLES_SQL
from devtools.host_lines import Follower
from devtools.stack import ROOT, Stack
from emulators.functions_host.console import CONSOLE_PATH
from emulators.functions_host.settings import ConfigurationError, read_settings_file
from emulators.process import EmulatorError
from infra.sql_script import ScriptError
from rowpost.config.app_settings import places
from rowpost.config.errors import ConfigError

_INSERT = """INSERT INTO dbo.Airports (Faa, Name, Lat, Lon, Alt, Tz, Dst, TzName)
VALUES (N'ZZZ', N'Somewhere', 47.5, 8.5, 432, 1, N'A', N'Europe/Zurich');"""

_LOOK_SECONDS = 0.25


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; paths are those of where the caller is."""
    parser = argparse.ArgumentParser(prog="dev.py start", description="Run the app on the embedded emulators.")
    parser.add_argument("--config", type=Path, default=DEMO_CONFIG, help="a relay.toml (default: the demo's)")
    parser.add_argument("--data", type=Path, default=ROOT / ".local", help="folder of data and logs")
    parser.add_argument("--sql-port", type=port, default=14330)
    parser.add_argument("--port", type=port, default=7071, help="of the app's HTTP API")
    parser.add_argument("--downstream", type=url, metavar="URL", help="an API of yours instead of the emulated one")
    parser.add_argument("--speed", type=factor, default=1.0, help="run the clock so many times as fast")
    parser.add_argument("--tables", type=Path, help="a script with tables of yours (default: the demo's tables)")
    parser.add_argument(
        "--setting", type=setting, action="append", default=[], metavar="NAME=VALUE", help="an app setting; wins over all others"
    )
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="app settings of yours (default: local.settings.json beside function_app.py)"
    )
    parser.add_argument("--from", dest="folder", type=Path, default=Path(), help=argparse.SUPPRESS)  # where the caller is
    options = parser.parse_args(given)
    for name in ("config", "data", "tables", "settings"):
        if getattr(options, name) is not None:
            setattr(options, name, (options.folder / getattr(options, name)).resolve())
    for name in ("config", "tables", "settings"):
        if getattr(options, name) is not None and not getattr(options, name).is_file():
            parser.error(f"argument --{name}: there is no file {getattr(options, name)}")
    return options


def own_settings(config: Path, file: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The settings of the user's own, those of the environment first: which relay.toml names, and those of a settings file.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    text = config.read_text(encoding="utf-8", errors="replace")
    named = {place[1] for place in places(text, environment)}
    values = read_settings_file(file) if file.is_file() else {}
    return values | {name: environment[name] for name in named if name in environment}


def describe(stack: Stack) -> str:
    """Where everything listens, and something to paste."""
    assert stack.host is not None
    lines = [
        "",
        "Everything runs on emulators: no SQL Server, no Azure. Ctrl-C ends it; the next start goes on where it was.",
        "",
        f"  app        {stack.host.url}/api/relays",
        f"  pages      {stack.host.url}/api/console   (of the app: relays, rows, orders)",
        f"  console    {stack.host.url}{CONSOLE_PATH}/   (functions, leases, instances, log)",
        f"  database   {stack.sql.ado_net_connection_string}",
        f"             {stack.sql.odbc_connection_string}",
        f"  downstream {stack.settings['DOWNSTREAM_URL']}"
        + ("" if stack.downstream.url not in stack.settings["DOWNSTREAM_URL"] else f"   (page: {stack.downstream.url}/)"),
        f"  mails      {stack.email.url}/_control/messages",
        f"  logs       {stack.directory}",
        "",
    ]
    if stack.tables_sql == TABLES_SQL:
        lines += ["Insert a row with any SQL Server client and watch it arrive:", "", _INSERT, ""]
    lines += [f"What the app does, in short (all of it: {stack.host.log_file}; times are UTC):", ""]
    return "\n".join(lines)


def main() -> int:
    """Start, wait for Ctrl-C, stop."""
    options = arguments()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with contextlib.ExitStack() as stops:
        try:
            stack = stack_of(options)
            stops.callback(stop, stack)
            run(stack, ended)
        except (ConfigError, ConfigurationError, EmulatorError, ScriptError, OSError, pyodbc.Error) as error:
            print("\n" + "\n".join([text_of(error), *getattr(error, "__notes__", [])]), file=sys.stderr)
            return 1
    print("stopped", flush=True)
    return 0


def stack_of(options: argparse.Namespace) -> Stack:
    """What the command line asks for, not started yet.

    Raises:
        ConfigurationError: a settings file cannot be read.
        OSError: the folder of data cannot be made.
    """
    data: Path = options.data
    data.mkdir(parents=True, exist_ok=True)
    return Stack(
        data,
        "real" if options.speed == 1 else f"accelerated:{options.speed:g}:{data / 'clock'}",
        config=options.config,
        tables_sql=options.tables or (TABLES_SQL if options.config == DEMO_CONFIG.resolve() else None),
        settings=dict(options.setting),
        own_settings=own_settings(options.config, options.settings or ROOT / "local.settings.json", os.environ),
        downstream_url=options.downstream,
        sql_port=options.sql_port,
        port=options.port,
        keep=True,
    )


def run(stack: Stack, ended: threading.Event) -> None:
    """Start all parts and show what the app does, until ``ended`` is set.

    Raises:
        EmulatorError: a part could not be started, or has ended by itself.
        ConfigError: relay.toml or a table is not as it should be.
    """
    for what, step in (
        ("database, downstream API and e-mail service", stack.start_services),
        ("tables, change tracking, the app's role", stack.prepare),
        ("the app", stack.start_host),
    ):
        print(f"starting {what} …", flush=True)
        step()
    assert stack.host is not None
    log = Follower(stack.host.log_file)
    print(describe(stack), flush=True)
    while not ended.wait(_LOOK_SECONDS):
        for line in log.lines():
            print(line, flush=True)
        if stack.ended:
            raise EmulatorError("\n".join(stack.ended))


def stop(stack: Stack) -> None:
    """Stop all parts; one that does not stop is told of by its log."""
    with contextlib.suppress(EmulatorError):
        stack.stop()


def text_of(error: Exception) -> str:
    """What is to be said of an error."""
    if isinstance(error, ConfigError) and "app setting" in str(error):
        return f"{error}; or give it to this command: --setting NAME=VALUE"
    return str(error.args[1]) if isinstance(error, pyodbc.Error) and len(error.args) > 1 else str(error)


if __name__ == "__main__":
    sys.exit(main())
