"""``python -m emulators.email_service``: run the emulator of the e-mail service."""

from __future__ import annotations

from pathlib import Path

from emulators.clock import clock_from_spec
from emulators.email_service.service import EmailService
from emulators.http_server import command_line, serve_until_terminated
from emulators.one_sentence import one_sentence


def main() -> None:
    parser = command_line("emulators.email_service", "Emulator of Azure Communication Services e-mail.")
    parser.add_argument("--running-seconds", type=float, default=0.0, help="how long an operation says Running")
    options = parser.parse_args()
    data = Path(options.data) if options.data else None
    service = EmailService(clock_from_spec(options.clock), data, options.running_seconds, options.host)
    serve_until_terminated(service.start, service.close, options.port)


if __name__ == "__main__":
    with one_sentence():
        main()
