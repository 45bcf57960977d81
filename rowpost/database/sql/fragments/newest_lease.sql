/* The newest version under a lease of the trigger's. It moves with each hand-out. */
COALESCE((SELECT MAX(_az_func_ChangeVersion)
                      FROM {leases}
                     WHERE _az_func_ChangeVersion < {redelivered_version}), 0)
