"""``dev.py start``: the app and all that it talks to, on this machine, until Ctrl-C. State lives under ``.local/``."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from pathlib import Path

from devtools.data import DEMO_CONFIG, TABLES_SQL
from devtools.host_lines import Follower
from devtools.stack import ROOT, Stack
from emulators.functions_host.console import CONSOLE_PATH
from emulators.process import EmulatorError
from rowpost.config.errors import ConfigError

_INSERT = """INSERT INTO dbo.Airports (Faa, Name, Lat, Lon, Alt, Tz, Dst, TzName)
VALUES (N'ZZZ', N'Somewhere', 47.5, 8.5, 432, 1, N'A', N'Europe/Zurich');"""

_LOOK_SECONDS = 0.25


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="dev.py start", description="Run the app on the embedded emulators.")
    parser.add_argument("--config", type=Path, default=DEMO_CONFIG, help="a relay.toml (default: the demo's)")
    parser.add_argument("--data", type=Path, default=ROOT / ".local", help="folder of data and logs")
    parser.add_argument("--sql-port", type=int, default=14330)
    parser.add_argument("--port", type=int, default=7071, help="of the app's HTTP API")
    parser.add_argument("--downstream", metavar="URL", help="an API of yours instead of the emulated one")
    parser.add_argument("--speed", type=float, default=1.0, help="run the clock so many times as fast")
    parser.add_argument("--tables", type=Path, help="a script with tables of yours (default: the demo's tables)")
    return parser.parse_args()


def describe(stack: Stack) -> str:
    """Where everything listens, and something to paste."""
    assert stack.host is not None
    lines = [
        "",
        "Everything runs on emulators: no SQL Server, no Azure. Ctrl-C ends it; the next start goes on where it was.",
        "",
        f"  app        {stack.host.url}/api/status",
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
    data: Path = options.data
    data.mkdir(parents=True, exist_ok=True)
    clock = "real" if options.speed == 1 else f"accelerated:{options.speed:g}:{(data / 'clock').resolve()}"
    own_tables = options.config.resolve() != DEMO_CONFIG.resolve()
    stack = Stack(
        data,
        clock,
        config=options.config,
        tables_sql=options.tables or (None if own_tables else TABLES_SQL),
        downstream_url=options.downstream,
        sql_port=options.sql_port,
        port=options.port,
        keep=True,
    )
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
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
    except (ConfigError, EmulatorError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    finally:
        with contextlib.suppress(EmulatorError):
            stack.stop()
    print("stopped", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
