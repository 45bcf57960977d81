/*
Since when a row must have been made that the target never had: since the trigger's cursor, up to which all is delivered. Changes behind
the cursor may be delivered too, as long as others hold it: then there is doubt.
Needs: @base. Gives: @recent, @doubt.
*/
DECLARE @recent bigint = {cursor}, @doubt int = 0;
IF @recent IS NULL OR @recent < @base SET @recent = @base;
IF EXISTS (SELECT 1
             FROM {leases}
            WHERE _az_func_ChangeVersion > @recent
              AND _az_func_ChangeVersion < {redelivered_version}
              AND (_az_func_AttemptCount <> 1 OR _az_func_LeaseExpirationTime IS NULL OR _az_func_LeaseExpirationTime < SYSDATETIME()))
    SET @doubt = 1;
