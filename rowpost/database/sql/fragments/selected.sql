/* Whether a record g is one of those that an order is about. Needs: @hashes, @states, @classes (JSON arrays), @from, @to; NULL is any. */
(@hashes IS NULL OR g.KeyHash IN (SELECT s.keyHash FROM OPENJSON(@hashes) WITH (keyHash char(64) '$') s))
   AND (@states IS NULL OR g.State IN (SELECT s.state FROM OPENJSON(@states) WITH (state varchar(10) '$') s))
   AND (@classes IS NULL OR COALESCE(g.ErrorClass, 'other') IN (SELECT s.class FROM OPENJSON(@classes) WITH (class varchar(20) '$') s))
   AND (@from IS NULL OR g.LastFailure >= @from)
   AND (@to IS NULL OR g.LastFailure < @to)
