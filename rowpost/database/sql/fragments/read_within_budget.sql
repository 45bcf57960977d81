/*
Read the rows of keys, but no more than a budget of bytes at once. A row that is larger than the budget comes alone, and one that is
larger than a row may be does not come. Nor does a parked row, since its process may have ended when it read it. The condition of the
relay is part of the statement that reads the values: a row that does not meet it does not come, whatever it was before. Such rows are
named behind the values, if the relay has a condition; a row that is in neither set has changed in between.
Needs: @keys, @budget (-1: nothing is read), @row_bytes.
*/
DECLARE @sizes TABLE (number int NOT NULL PRIMARY KEY, bytes bigint NOT NULL, fits int NOT NULL);
IF @budget >= 0
BEGIN
    INSERT INTO @sizes (number, bytes, fits)
    SELECT s.number, s.bytes, CASE WHEN s.readable = 1 AND (s.up_to <= @budget OR s.up_to = s.bytes) THEN 1 ELSE 0 END
      FROM (SELECT z.number, z.bytes, z.readable,
                   SUM(CASE WHEN z.readable = 1 THEN z.bytes ELSE 0 END)
                       OVER (ORDER BY z.number ROWS UNBOUNDED PRECEDING) AS up_to
              FROM (SELECT m.number, m.bytes, CASE WHEN m.bytes <= @row_bytes AND m.parked = 0 THEN 1 ELSE 0 END AS readable
                      FROM (SELECT k.number, {bytes_of_t} AS bytes,
                                   CASE WHEN l._az_func_AttemptCount < 0 THEN 1 ELSE 0 END AS parked
                              FROM OPENJSON(@keys) WITH ({key_from_item}, number int '$.number') k
                              JOIN {table} t ON {same_key_t_k}
                              LEFT JOIN {leases} l ON {same_key_l_k}
                             WHERE {matching_of_t}) m) z) s;
    SELECT number, bytes, fits FROM @sizes;
    SELECT k.number, {read_columns_of_t}
      FROM OPENJSON(@keys) WITH ({key_from_item}, number int '$.number') k
      JOIN @sizes s ON s.number = k.number AND s.fits = 1
      JOIN {table} t ON {same_key_t_k}
     WHERE {matching_of_t};
{left_rows}
END;
