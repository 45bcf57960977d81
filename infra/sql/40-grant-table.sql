-- What the app needs on one table: to read it and its changes, never to write it.
-- Variables: $(Schema), $(Table)
GRANT SELECT, VIEW CHANGE TRACKING ON OBJECT::[$(Schema)].[$(Table)] TO rowpost_app;
GO
