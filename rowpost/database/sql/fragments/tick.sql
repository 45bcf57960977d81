/* A change in a tracked table of ours: the database has a new change version as soon as this is committed. */
UPDATE rowpost.Ticks SET TickedAt = SYSUTCDATETIME() WHERE Relay = {relay};
IF @@ROWCOUNT = 0
    INSERT INTO rowpost.Ticks (Relay, TickedAt)
    SELECT {relay}, SYSUTCDATETIME()
     WHERE NOT EXISTS (SELECT 1 FROM rowpost.Ticks WITH (UPDLOCK, SERIALIZABLE) WHERE Relay = {relay});
