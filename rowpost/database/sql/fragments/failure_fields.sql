/* What the ledger will say of a failed row, as settle.sql describes it. */
keyHash char(64) '$.keyHash', rowKey nvarchar(max) '$.rowKey', version bigint '$.version', operation char(1) '$.operation',
             state varchar(10) '$.state', attempts int '$.attempts', waitSeconds int '$.waitSeconds',
             retryAfterSeconds int '$.retryAfterSeconds', status int '$.status', error nvarchar(400) '$.error',
             class varchar(20) '$.class', tried int '$.tried', snapshot char(36) '$.snapshot', milliseconds int '$.milliseconds'
