"""``python -m emulators.downstream``: run the emulator of the HTTP API."""

from __future__ import annotations

from pathlib import Path

from emulators.clock import clock_from_spec
from emulators.downstream.api import Downstream
from emulators.http_server import command_line, serve_until_terminated
from emulators.one_sentence import one_sentence


def main() -> None:
    options = command_line("emulators.downstream", "Emulator of the HTTP API that rows are posted to.").parse_args()
    downstream = Downstream(clock_from_spec(options.clock), Path(options.data) if options.data else None, host=options.host)
    serve_until_terminated(downstream.start, downstream.close, options.port)


if __name__ == "__main__":
    with one_sentence():
        main()
