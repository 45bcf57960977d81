/*
Make the relay's row in rowpost.Relays and the target's in rowpost.Targets, once, so that every other statement only updates them. A
relay belongs to the app that registers it first.

Result set: the app that the relay belongs to, and the table that it is of.
Locks: the key ranges of these two rows, until COMMIT. If the connection dies: they are made at the next start.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
BEGIN TRANSACTION;
IF NOT EXISTS (SELECT 1 FROM rowpost.Relays WITH (UPDLOCK, SERIALIZABLE) WHERE Relay = {relay})
    INSERT INTO rowpost.Relays (Relay, App, TableName, Target) VALUES ({relay}, {app}, {relayed_table}, {target});
-- A migration does not know the app; and an operator gives a relay to another app by taking the name away.
UPDATE rowpost.Relays SET App = {app} WHERE Relay = {relay} AND App IS NULL;
UPDATE rowpost.Relays SET Target = {target} WHERE Relay = {relay} AND App = {app} AND (Target IS NULL OR Target <> {target});
IF NOT EXISTS (SELECT 1 FROM rowpost.Targets WITH (UPDLOCK, SERIALIZABLE) WHERE App = {app} AND Target = {target})
    INSERT INTO rowpost.Targets (App, Target) VALUES ({app}, {target});
COMMIT;
SELECT App, TableName FROM rowpost.Relays WHERE Relay = {relay};
