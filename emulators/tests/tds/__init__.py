"""The wire protocol of SQL Server."""
