"""Calls of built-in functions. emulators/docs/sql-server.md names the file of each function."""
