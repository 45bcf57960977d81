/* A record g of the ledger, as people read it. */
g.RowKey, g.State, g.ChangeVersion, g.Operation, g.Attempts, g.Rounds, CONVERT(nvarchar(40), g.FirstFailure, 126),
       CONVERT(nvarchar(40), g.LastFailure, 126), CONVERT(nvarchar(40), g.NextAttempt, 126), g.LastStatus, g.LastError,
       COALESCE(g.ErrorClass, 'other'), g.Resync
