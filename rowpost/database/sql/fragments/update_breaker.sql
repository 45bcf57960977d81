/*
The circuit breaker as a batch leaves it. Closing always counts; opening only if no other worker was faster.
Needs: @failures (NULL: it stays as it is), @openings, @open_seconds, @seen_openings; @utc.
*/
UPDATE rowpost.TableState
   SET BreakerFailures = @failures,
       BreakerOpenings = @openings,
       BreakerOpenUntil = CASE WHEN @openings > 0 THEN DATEADD(second, @open_seconds, @utc) END,
       BreakerClosedAt = CASE WHEN @openings = 0 AND BreakerOpenings > 0 THEN @utc ELSE BreakerClosedAt END
 WHERE TableName = {table_name}
   AND @failures IS NOT NULL
   AND ((@openings = 0 AND @failures = 0) OR BreakerOpenings = @seen_openings);
