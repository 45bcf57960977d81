-- Standard names for the circuit breaker, and "detached" as a state of its own instead of a flag.
IF COL_LENGTH(N'rowpost.TableState', N'GateRound') IS NOT NULL
BEGIN
    EXEC sp_rename N'rowpost.TableState.Failures', N'BreakerFailures', N'COLUMN';
    EXEC sp_rename N'rowpost.TableState.GateRound', N'BreakerOpenings', N'COLUMN';
    EXEC sp_rename N'rowpost.TableState.GateUntil', N'BreakerOpenUntil', N'COLUMN';
    EXEC sp_rename N'rowpost.TableState.GateOpened', N'BreakerClosedAt', N'COLUMN';
END;
GO
IF COL_LENGTH(N'rowpost.Ledger', N'Detached') IS NOT NULL
    EXEC (N'UPDATE rowpost.Ledger SET State = ''detached'' WHERE Detached = 1 AND State IN (''held'', ''retrying'')');
GO
IF COL_LENGTH(N'rowpost.Ledger', N'Detached') IS NOT NULL
   AND EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'rowpost.Ledger') AND name = N'IX_Ledger_NextAttempt')
    DROP INDEX IX_Ledger_NextAttempt ON rowpost.Ledger;
GO
IF COL_LENGTH(N'rowpost.Ledger', N'Detached') IS NOT NULL ALTER TABLE rowpost.Ledger DROP COLUMN Detached;
GO
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'rowpost.Ledger') AND name = N'IX_Ledger_NextAttempt')
    CREATE INDEX IX_Ledger_NextAttempt ON rowpost.Ledger (TableName, State, NextAttempt);
