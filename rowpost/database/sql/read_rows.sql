/*
Read rows of a batch that its claim has not read: what was beyond the budget, or a part of a set in which a row cannot be read.

Parameters: 1. @keys, a JSON array of objects: number, and key with the key columns. 2. @budget, how many bytes to read. 3. @row_bytes,
the largest row.
Result sets: 1. of each row that exists: the number of its key, its bytes, whether it is among those that follow; 2. rows: the number,
and the columns that may leave; behind them, if the relay has a condition, the numbers of rows that do not meet it; 3. what change
tracking says of rows that are not there, as missing_rows.sql has it; 4. the database's mark, and its newest version before the rows
were read; 5. the columns that are masked.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @keys nvarchar(max) = ?, @budget bigint = ?, @row_bytes bigint = ?;
DECLARE @current bigint = CHANGE_TRACKING_CURRENT_VERSION();
{database_mark}
{read_within_budget}
{missing_rows}
SELECT @mark, @current;
{masked_columns}
