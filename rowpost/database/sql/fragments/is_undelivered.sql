/* Whether a change c of the table is not delivered, by its lease l. A change without a lease was not handed out yet. */
l.{first_key} IS NULL OR l._az_func_ChangeVersion <> c.SYS_CHANGE_VERSION OR l._az_func_LeaseExpirationTime IS NOT NULL
