/*
Make the relay's row in rowpost.Relays and the target's in rowpost.Targets, once, so that every other statement only updates them. A
relay belongs to the app that registers it first.

A relay of this app and target that is not configured any more, and is of the same table by its object id, is the same relay under the
table's former name. It gets the new one, with all that is known of it. Its rows were held by leases of a table that this relay does
not have: they become detached, and recovery redelivers them.

Parameters: 1. @known, a JSON array: the names of the relays that are configured.
Result set: the app that the relay belongs to, the table that it is of, and the former name if it was renamed now.
Locks: the key ranges of these rows, and all records of a relay that is renamed, until COMMIT. If the connection dies: all is made at
the next start.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @known nvarchar(max) = ?, @former nvarchar(261);
BEGIN TRANSACTION;
IF NOT EXISTS (SELECT 1 FROM rowpost.Relays WITH (UPDLOCK, SERIALIZABLE) WHERE Relay = {relay})
BEGIN
    SELECT TOP (1) @former = r.Relay
      FROM rowpost.Relays r WITH (UPDLOCK)
     WHERE r.App = {app} AND r.Target = {target} AND r.TableId = OBJECT_ID({table_literal})
       AND NOT EXISTS (SELECT 1 FROM OPENJSON(@known) WITH (name nvarchar(261) '$') k WHERE k.name = r.Relay)
     ORDER BY r.Relay;
    IF @former IS NULL
        -- The trigger begins with the oldest change that is valid at its first start. What retention takes until then is a gap too.
        INSERT INTO rowpost.Relays (Relay, App, TableName, Target, TableId, Epoch, EpochHandled, Covered)
        SELECT {relay}, {app}, {relayed_table}, {target}, OBJECT_ID({table_literal}), n.Epoch, n.Epoch,
               CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID({table_literal}))
          FROM (SELECT DATEDIFF_BIG(second, '1970-01-01', SYSUTCDATETIME()) AS Epoch) n;
    ELSE
    BEGIN
        UPDATE rowpost.Relays
           SET Relay = {relay}, TableName = {relayed_table}, WatchBase = NULL, StillCursor = NULL, StillLeased = NULL,
               StillSince = NULL, StillSeen = NULL
         WHERE Relay = @former;
        UPDATE rowpost.Ledger
           SET Relay = {relay}, State = CASE WHEN State IN ({from_lease_lost}, 'exhausted') THEN {to_lease_lost} ELSE State END
         WHERE Relay = @former;
        UPDATE rowpost.Incidents SET Relay = {relay} WHERE Relay = @former;
        UPDATE rowpost.IncidentHistory SET Relay = {relay} WHERE Relay = @former;
        UPDATE rowpost.IncidentRows SET Relay = {relay} WHERE Relay = @former;
        UPDATE rowpost.Notices SET Relay = {relay} WHERE Relay = @former;
        UPDATE rowpost.Resyncs SET Relay = {relay} WHERE Relay = @former;
        UPDATE rowpost.Audit SET Relay = {relay} WHERE Relay = @former;
        -- Of a relay that once had this name something may be left.
        DELETE FROM rowpost.Attempts WHERE Relay = {relay};
        DELETE FROM rowpost.Samples WHERE Relay = {relay};
        UPDATE rowpost.Attempts SET Relay = {relay} WHERE Relay = @former;
        UPDATE rowpost.Samples SET Relay = {relay} WHERE Relay = @former;
    END;
END;
-- A relay with a name of its own keeps it when its table is renamed.
UPDATE rowpost.Relays
   SET TableName = {relayed_table}
 WHERE Relay = {relay} AND App = {app} AND TableName <> {relayed_table} AND TableId = OBJECT_ID({table_literal});
-- A migration does not know the app; and an operator gives a relay to another app by taking the name away.
UPDATE rowpost.Relays SET App = {app} WHERE Relay = {relay} AND App IS NULL;
UPDATE rowpost.Relays SET Target = {target} WHERE Relay = {relay} AND App = {app} AND (Target IS NULL OR Target <> {target});
IF NOT EXISTS (SELECT 1 FROM rowpost.Targets WITH (UPDLOCK, SERIALIZABLE) WHERE App = {app} AND Target = {target})
    INSERT INTO rowpost.Targets (App, Target) VALUES ({app}, {target});
COMMIT;
SELECT App, TableName, @former FROM rowpost.Relays WHERE Relay = {relay};
