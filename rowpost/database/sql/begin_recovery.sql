/*
Take on the start of the relay's next recovery: who changes the number starts the instance of that number.

The number is made from the clock, in milliseconds since 2020. So it is not given twice, even if an older copy of the database is
restored while the instances of the newer one are still known.

Parameters: 1. @seen, the number of the recovery that is to be followed.
Result set: the new number; no row if somebody else was faster.
Locks: the relay's row of rowpost.Relays, for one update. If the connection dies: the number may be given and its instance never
started; half a minute later it is followed by another.
*/
SET NOCOUNT ON;
DECLARE @seen bigint = ?, @utc datetime2(7) = SYSUTCDATETIME();
DECLARE @number bigint = DATEDIFF_BIG(millisecond, '2020-01-01', @utc);
IF @number <= @seen SET @number = @seen + 1;
UPDATE rowpost.Relays
   SET RecoveryNumber = @number,
       RecoveryBegun = @utc,
       RecoveryDue = DATEADD(second, {look_seconds}, @utc)
 WHERE Relay = {relay} AND RecoveryNumber = @seen;
IF @@ROWCOUNT = 1
    SELECT @number AS Number;
ELSE
    SELECT @number AS Number WHERE 1 = 0;
