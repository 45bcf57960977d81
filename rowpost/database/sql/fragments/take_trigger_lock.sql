/*
The trigger extension's own lock. Whoever writes leases without it can deadlock the trigger. It ends with the transaction.
Needs: DECLARE @lock int.
*/
EXEC @lock = sp_getapplock @Resource = N'_az_func_Trigger', @LockMode = 'Exclusive', @LockOwner = 'Transaction',
         @LockTimeout = 20000, @DbPrincipal = N'public';
    IF @lock < 0 THROW 50001, N'the lock _az_func_Trigger was not granted within 20 s', 1;
