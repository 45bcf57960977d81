"""TDS 7.4, the wire protocol of SQL Server, seen from the server: packets, tokens, types and values. Knows no SQL."""
