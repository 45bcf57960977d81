"""``python -m emulators.sql_server``: run the emulator of SQL Server."""

from __future__ import annotations

import argparse
import json
import signal
import threading
from pathlib import Path

from emulators.clock import clock_from_spec
from emulators.one_sentence import one_sentence
from emulators.sql_server.engine.database import Database
from emulators.sql_server.tds.tls import tls_contexts
from emulators.sql_server.wire.control import ControlPort
from emulators.sql_server.wire.server import Server


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m emulators.sql_server", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the data file; made if missing")
    parser.add_argument("--clock", default="real", help="real, accelerated:<factor>:<file> or virtual:<file>:<host>:<port>")
    parser.add_argument("--port", type=int, default=0, help="TDS port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--control-port", type=int, default=0, help="HTTP port for statistics and faults; 0 takes a free one")
    parser.add_argument("--database", default="rowpost", help="name of the database")
    parser.add_argument("--user", default="sa", help="the one login")
    parser.add_argument("--password", default="Rowpost!2026", help="its password")
    parser.add_argument("--time-zone-offset-minutes", type=int, default=0, help="of SYSDATETIME to UTC")
    parser.add_argument("--certificate", type=Path, help="PEM file with key and certificate; else one is made beside the data")
    arguments = parser.parse_args()
    if arguments.certificate is not None and not arguments.certificate.is_file():
        parser.error(f"--certificate: there is no file {arguments.certificate}")
    return arguments


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    arguments = _arguments()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    clock = clock_from_spec(arguments.clock)
    arguments.data.parent.mkdir(parents=True, exist_ok=True)
    passwords = {arguments.user: arguments.password}
    database = Database(arguments.data, clock, arguments.database, arguments.time_zone_offset_minutes, passwords)
    server = Server(
        database,
        clock,
        database_name=arguments.database,
        tls=tls_contexts(arguments.certificate or arguments.data.with_name(arguments.data.name + ".certificate.pem")),
        port=arguments.port,
    )
    control = ControlPort(server.statistics, server.faults, arguments.control_port, server)
    server.start()
    control.start()
    print(json.dumps({"port": server.port, "control_port": control.port}), flush=True)
    stop.wait()
    control.close()
    server.stop()
    database.close()


if __name__ == "__main__":
    with one_sentence():
        main()
