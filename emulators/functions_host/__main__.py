"""Command line: ``python -m emulators.functions_host --app DIR --data DIR --clock SPEC``."""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
from pathlib import Path

from emulators.clock import clock_from_spec
from emulators.functions_host.app.signature import IndexingError
from emulators.functions_host.host_log import set_up_logging
from emulators.functions_host.settings import ConfigurationError, load_settings
from emulators.one_sentence import sentence


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m emulators.functions_host", description=__doc__)
    parser.add_argument("--app", type=Path, required=True, help="the directory of function_app.py")
    parser.add_argument("--data", type=Path, required=True, help="the directory of the host's state; made if missing")
    parser.add_argument("--clock", default="real", help="real, accelerated:<factor>:<file> or virtual:<file>:<host>:<port>")
    parser.add_argument(
        "--port", type=int, default=0, help="of the HTTP functions; 0 takes the one of the settings file, or any that is free"
    )
    parser.add_argument("--rpc-port", type=int, default=0, help="of the durable clients' endpoint; 0 takes any that is free")
    parser.add_argument("--settings", help="the settings file (default: local.settings.json of the app, if it is there)")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="an app setting; wins over all others")
    parser.add_argument("--log", type=Path, help="append the log to this file instead of standard error")
    parser.add_argument(
        "--enable-auth", action="store_true", help="ask for access keys (they are in keys.json of the data directory)"
    )
    return parser.parse_args()


def main() -> int:
    """Run the host; the exit code."""
    arguments = _arguments()
    try:
        app, data = arguments.app.resolve(), arguments.data.resolve()
        log = arguments.log.resolve() if arguments.log else None
        clock = clock_from_spec(arguments.clock)
        settings = load_settings(app, arguments.settings, arguments.setting)
        logger = set_up_logging(clock, settings.host_json, log)
        for name in settings.skipped:
            logger.info("local setting %s is skipped: the environment has it already", name)

        async def run() -> None:
            from emulators.functions_host.host import Host  # the SDK is imported once the settings are known to be good

            host = Host(settings, data, clock, logger, enable_auth=arguments.enable_auth)
            await host.run(arguments.port or settings.port, arguments.rpc_port)

        asyncio.run(run())
    except (ConfigurationError, IndexingError, ValueError, OSError, sqlite3.Error) as problem:
        print(f"error: {sentence(problem)}", file=sys.stderr)
        if isinstance(problem, IndexingError) and problem.stack:
            print(problem.stack, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
