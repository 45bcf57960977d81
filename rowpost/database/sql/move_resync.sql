/*
Write down how a step of a resync ended. A step that another worker has made already changes nothing.

Parameters: 1. @resync, its id. 2. @from, the state that the step found. 3. @to, the state that follows. 4. @pause, seconds until the
next step. 5. @tries of the present event. 6. @taken, whether the target takes the events; -1 if it is not known. 7. @begun and
8. @completed, what the target said to them; NULL if it was not asked. 9. @problem, why it does not go on.
Locks: its record. If the connection dies: the step is made again.
*/
SET NOCOUNT ON;
DECLARE @resync char(36) = ?, @from varchar(12) = ?, @to varchar(12) = ?, @pause int = ?, @tries int = ?, @taken int = NULLIF(?, -1);
DECLARE @begun nvarchar(200) = ?, @completed nvarchar(200) = ?, @problem nvarchar(400) = ?;
UPDATE rowpost.Resyncs
   SET State = @to,
       NextStep = DATEADD(second, @pause, SYSUTCDATETIME()),
       Tries = @tries,
       EventsTaken = COALESCE(@taken, EventsTaken),
       BegunSaid = COALESCE(@begun, BegunSaid),
       CompletedSaid = COALESCE(@completed, CompletedSaid),
       Problem = @problem
 WHERE Resync = @resync AND State = @from;
