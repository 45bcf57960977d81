"""The SQL Server emulator with real clients."""
