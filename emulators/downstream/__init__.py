"""An emulator of the HTTP API that rows are posted to."""
