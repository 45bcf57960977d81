/*
What tells whether the change versions of the database go on, or have begun again.

Parameters: 1. @app.
Result set: what tells the database from others; its newest change version, NULL while change tracking is off; the highest epoch of the
app's relays; and what the last look has written: the mark, the token, the number of the look, the version, the epoch.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @app nvarchar(100) = ?, @current bigint = CHANGE_TRACKING_CURRENT_VERSION();
{database_mark}
SELECT @mark, @current, COALESCE((SELECT MAX(Epoch) FROM rowpost.Relays WHERE App = @app), 0),
       l.DatabaseMark, CONVERT(nvarchar(36), l.Token), l.LookNumber, l.Version, l.Epoch
  FROM (SELECT 1 AS One) o
  LEFT JOIN rowpost.Lives l ON l.App = @app;
