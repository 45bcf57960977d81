/*
Try what every batch needs: to read the columns of the table, and to write to the app's own tables. Nothing is left of it.

Result set: the columns, without a row.
Locks: one new record, until ROLLBACK. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
SELECT TOP (0) {read_columns_of_t} FROM {table} t WHERE {matching_of_t};
BEGIN TRANSACTION;
INSERT INTO rowpost.Notices (Notice, App, Relay, Kind, Document, CreatedAt)
VALUES (LEFT(N'check ' + {relay}, 200), {app}, {relay}, 'check', N'', SYSUTCDATETIME());
ROLLBACK;
