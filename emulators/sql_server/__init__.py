"""An emulator of SQL Server: TDS on the wire, T-SQL with change tracking on one SQLite file."""
