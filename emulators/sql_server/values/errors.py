"""The message catalogue: number → severity and text, as the real server words them."""

from __future__ import annotations

from typing import Any

from emulators.sql_server.values.results import SqlError

CATALOGUE: dict[int, tuple[int, str]] = {
    102: (15, "Incorrect syntax near '{0}'."),
    104: (15, "ORDER BY items must appear in the select list if the statement contains a UNION, INTERSECT or EXCEPT operator."),
    105: (15, "Unclosed quotation mark after the character string '{0}'."),
    107: (15, "The column prefix '{0}' does not match with a table name or alias name used in the query."),
    109: (
        15,
        "There are more columns in the INSERT statement than values specified in the VALUES clause. "
        "The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.",
    ),
    110: (
        15,
        "There are fewer columns in the INSERT statement than values specified in the VALUES clause. "
        "The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.",
    ),
    113: (15, "Missing end comment mark '*/'."),
    116: (16, "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS."),
    120: (
        15,
        "The select list for the INSERT statement contains fewer items than the insert list. "
        "The number of SELECT values must match the number of INSERT columns.",
    ),
    121: (
        15,
        "The select list for the INSERT statement contains more items than the insert list. "
        "The number of SELECT values must match the number of INSERT columns.",
    ),
    127: (15, "The number of rows provided for a TOP or FETCH clauses row count parameter must not be negative."),
    130: (16, "Cannot perform an aggregate function on an expression containing an aggregate or a subquery."),
    134: (
        15,
        "The variable name '{0}' has already been declared. "
        "Variable names must be unique within a query batch or stored procedure.",
    ),
    137: (15, 'Must declare the scalar variable "{0}".'),
    141: (15, "A SELECT statement that assigns a value to a variable must not be combined with data-retrieval operations."),
    145: (15, "ORDER BY items must appear in the select list if SELECT DISTINCT is specified."),
    144: (
        15,
        "Cannot use an aggregate or a subquery in an expression used for the group by list of a GROUP BY clause.",
    ),
    147: (
        15,
        "An aggregate may not appear in the WHERE clause unless it is in a subquery contained in a HAVING clause or a select "
        "list, and the column being aggregated is an outer reference.",
    ),
    156: (15, "Incorrect syntax near the keyword '{0}'."),
    157: (15, "An aggregate may not appear in the set list of an UPDATE statement."),
    174: (15, "The {0} function requires {1} argument(s)."),
    189: (15, "The {0} function requires {1} arguments."),
    195: (15, "'{0}' is not a recognized built-in function name."),
    201: (16, "Procedure or function '{0}' expects parameter '{1}', which was not supplied."),
    205: (
        16,
        "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of expressions "
        "in their target lists.",
    ),
    206: (16, "Operand type clash: {0} is incompatible with {1}"),
    191: (15, "Some part of your SQL statement is nested too deeply. Rewrite the query or break it up into smaller queries."),
    207: (16, "Invalid column name '{0}'."),
    208: (16, "Invalid object name '{0}'."),
    209: (16, "Ambiguous column name '{0}'."),
    213: (16, "Column name or number of supplied values does not match table definition."),
    214: (16, "Procedure expects parameter '{0}' of type '{1}'."),
    218: (16, "Could not find the type '{0}'. Either it does not exist or you do not have the necessary permission."),
    220: (16, "Arithmetic overflow error for data type {0}, value = {1}."),
    232: (16, "Arithmetic overflow error for type {0}, value = {1}."),
    241: (16, "Conversion failed when converting date and/or time from character string."),
    242: (16, "The conversion of a {0} data type to a {1} data type resulted in an out-of-range value."),
    245: (16, "Conversion failed when converting the {0} value '{1}' to data type {2}."),
    248: (16, "The conversion of the {0} value '{1}' overflowed an int column."),
    295: (16, "Conversion failed when converting character string to smalldatetime data type."),
    264: (
        16,
        "The column name '{0}' is specified more than once in the SET clause or column list of an INSERT. A column cannot be "
        "assigned more than one value in the same clause. Modify the clause to make sure that a column is updated only once.",
    ),
    271: (16, 'The column "{0}" cannot be modified because it is either a computed column or is the result of a UNION operator.'),
    272: (16, "Cannot update a timestamp column."),
    273: (
        16,
        "Cannot insert an explicit value into a timestamp column. Use INSERT with a column list to exclude the timestamp "
        "column, or insert a DEFAULT into the timestamp column.",
    ),
    287: (16, "The {0} statement is not allowed within a trigger."),
    289: (16, "Cannot construct data type {0}, some of the arguments have values which are not valid."),
    266: (
        16,
        "Transaction count after EXECUTE indicates a mismatching number of BEGIN and COMMIT statements. "
        "Previous count = {0}, current count = {1}.",
    ),
    302: (
        16,
        "The newsequentialid() built-in function can only be used in a DEFAULT expression for a column of type 'uniqueidentifier' "
        "in a CREATE TABLE or ALTER TABLE statement. It cannot be combined with other operators to form a complex scalar "
        "expression.",
    ),
    402: (16, "The data types {0} and {1} are incompatible in the {2} operator."),
    468: (16, 'Cannot resolve the collation conflict between "{0}" and "{1}" in the {2} operation.'),
    512: (
        16,
        "Subquery returned more than 1 value. This is not permitted when the subquery follows =, !=, <, <= , >, >= "
        "or when the subquery is used as an expression.",
    ),
    515: (16, "Cannot insert the value NULL into column '{0}', table '{1}'; column does not allow nulls. {2} fails."),
    517: (16, "Adding a value to a '{0}' column caused an overflow."),
    529: (16, "Explicit conversion from data type {0} to {1} is not allowed."),
    530: (16, "The statement terminated. The maximum recursion {0} has been exhausted before statement completion."),
    535: (
        16,
        "The datediff function resulted in an overflow. The number of dateparts separating two date/time instances is too large. "
        "Try to use datediff with a less precise datepart.",
    ),
    536: (16, "Invalid length parameter passed to the {0} function."),
    537: (16, "Invalid length parameter passed to the LEFT or SUBSTRING function."),
    544: (16, "Cannot insert explicit value for identity column in table '{0}' when IDENTITY_INSERT is set to OFF."),
    545: (
        16,
        "Explicit value must be specified for identity column in table '{0}' either when IDENTITY_INSERT is set to ON "
        "or when a replication user is inserting into a NOT FOR REPLICATION identity column.",
    ),
    547: (
        16,
        'The {0} statement conflicted with the {1} constraint "{2}". The conflict occurred in database "{3}", table "{4}"{5}.',
    ),
    911: (16, "Database '{0}' does not exist. Make sure that the name is entered correctly."),
    1013: (
        16,
        'The objects "{0}" and "{1}" in the FROM clause have the same exposed names. Use correlation names to distinguish them.',
    ),
    1033: (
        15,
        "The ORDER BY clause is invalid in views, inline functions, derived tables, subqueries, and common table expressions, "
        "unless TOP, OFFSET or FOR XML is also specified.",
    ),
    1060: (15, "The number of rows provided for a TOP or FETCH clauses row count parameter must be an integer."),
    1087: (15, 'Must declare the table variable "{0}".'),
    1088: (16, 'Cannot find the object "{0}" because it does not exist or you do not have permissions.'),
    1205: (
        13,
        "Transaction (Process ID {0}) was deadlocked on lock resources with another process and has been chosen as the deadlock "
        "victim. Rerun the transaction.",
    ),
    1222: (16, "Lock request time out period exceeded."),
    1505: (
        16,
        "The CREATE UNIQUE INDEX statement terminated because a duplicate key was found for the object name '{0}' "
        "and the index name '{1}'. The duplicate key value is ({2}).",
    ),
    1750: (16, "Could not create constraint or index. See previous errors."),
    1769: (16, "Foreign key '{0}' references invalid column '{1}' in referencing table '{2}'."),
    1770: (16, "Foreign key '{0}' references invalid column '{1}' in referenced table '{2}'."),
    1753: (
        16,
        "Column '{0}' is not the same length or scale as referencing column '{1}' in foreign key '{2}'. Columns participating in a "
        "foreign key relationship must be defined with the same length and scale.",
    ),
    1754: (16, "Defaults cannot be created on columns with an IDENTITY attribute. Table '{0}', column '{1}'."),
    1757: (16, "Column '{0}' is not of same collation as referencing column '{1}' in foreign key '{2}'."),
    1761: (
        16,
        'Cannot create the foreign key "{0}" with the SET NULL referential action, because one or more referencing columns are not '
        "nullable.",
    ),
    1762: (
        16,
        'Cannot create the foreign key "{0}" with the SET DEFAULT referential action, because one or more referencing not-nullable '
        "columns lack a default constraint.",
    ),
    1759: (16, "Computed column '{0}' in table '{1}' is not allowed to be used in another computed-column definition."),
    1767: (16, "Foreign key '{0}' references invalid table '{1}'."),
    1776: (
        16,
        "There are no primary or candidate keys in the referenced table '{0}' that match the referencing column list "
        "in the foreign key '{1}'.",
    ),
    1778: (16, "Column '{0}' is not the same data type as referencing column '{1}' in foreign key '{2}'."),
    1779: (16, "Table '{0}' already has a primary key defined on it."),
    1785: (
        16,
        "Introducing FOREIGN KEY constraint '{0}' on table '{1}' may cause cycles or multiple cascade paths. "
        "Specify ON DELETE NO ACTION or ON UPDATE NO ACTION, or modify other FOREIGN KEY constraints.",
    ),
    1801: (16, "Database '{0}' already exists. Choose a different database name."),
    1911: (16, "Column name '{0}' does not exist in the target table or view."),
    1913: (16, "The operation failed because an index or statistics with name '{0}' already exists on table '{1}'."),
    2501: (16, 'Cannot find a table or object with the name "{0}". Check the system catalog.'),
    2601: (14, "Cannot insert duplicate key row in object '{0}' with unique index '{1}'. The duplicate key value is ({2})."),
    2627: (14, "Violation of {0} constraint '{1}'. Cannot insert duplicate key in object '{2}'. The duplicate key value is ({3})."),
    2628: (16, "String or binary data would be truncated in table '{0}', column '{1}'. Truncated value: '{2}'."),
    2705: (16, "Column names in each table must be unique. Column name '{0}' in table '{1}' is specified more than once."),
    2714: (16, "There is already an object named '{0}' in the database."),
    2715: (16, "Column, parameter, or variable #{0}: Cannot find data type {1}."),
    2716: (16, "Column, parameter, or variable #1: Cannot specify a column width on data type {0}."),
    2738: (
        16,
        "A table can only have one timestamp column. Because table '{0}' already has one, the column '{1}' cannot be added.",
    ),
    2744: (16, "Multiple identity columns specified for table '{0}'. Only one identity column per table is allowed."),
    2749: (
        16,
        "Identity column '{0}' must be of data type int, bigint, smallint, tinyint, or decimal or numeric with a scale of 0, "
        "unencrypted, and constrained to be nonnullable.",
    ),
    2750: (16, "Column or parameter #{0}: Specified column precision {1} is greater than the maximum precision of {2}."),
    2759: (16, "CREATE SCHEMA failed due to previous errors."),
    2760: (16, 'The specified schema name "{0}" either does not exist or you do not have permission to use it.'),
    2812: (16, "Could not find stored procedure '{0}'."),
    3617: (11, "The operation was cancelled by the client."),
    3701: (11, "Cannot drop the {0} '{1}', because it does not exist or you do not have permission."),
    3725: (16, "The constraint '{0}' is being referenced by table '{1}', foreign key constraint '{2}'."),
    3726: (16, "Could not drop object '{0}' because it is referenced by a FOREIGN KEY constraint."),
    3727: (16, "Could not drop constraint. See previous errors."),
    3728: (16, "'{0}' is not a constraint."),
    3729: (16, "Cannot {0} '{1}' because it is being referenced by object '{2}'."),
    3732: (
        16,
        "Cannot drop type '{0}' because it is being referenced by object '{1}'. There may be other objects that reference this "
        "type.",
    ),
    3902: (16, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION."),
    3903: (16, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION."),
    3906: (16, 'Failed to update database "{0}" because the database is read-only.'),
    3930: (
        16,
        "The current transaction cannot be committed and cannot support operations that write to the log file. "
        "Roll back the transaction.",
    ),
    3931: (
        16,
        "The current transaction cannot be committed and cannot be rolled back to a savepoint. Roll back the entire transaction.",
    ),
    3952: (
        16,
        "Snapshot isolation transaction failed accessing database '{0}' because snapshot isolation is not allowed in this "
        "database. Use ALTER DATABASE to allow snapshot isolation.",
    ),
    3960: (
        16,
        "Snapshot isolation transaction aborted due to update conflict. You cannot use snapshot isolation to access table '{0}' "
        "directly or indirectly in database '{1}' to update, delete, or insert the row that has been modified or deleted by "
        "another transaction. Retry the transaction or change the isolation level for the update/delete statement.",
    ),
    3998: (16, "Uncommittable transaction is detected at the end of the batch. The transaction is rolled back."),
    4060: (11, 'Cannot open database "{0}" requested by the login. The login failed.'),
    4104: (16, 'The multi-part identifier "{0}" could not be bound.'),
    4108: (15, "Windowed functions can only appear in the SELECT or ORDER BY clauses."),
    4109: (15, "Windowed functions cannot be used in the context of another windowed function or aggregate."),
    4112: (16, "The function '{0}' must have an OVER clause with ORDER BY."),
    4145: (15, "An expression of non-boolean type specified in a context where a condition is expected, near '{0}'."),
    4701: (16, 'Cannot find the object "{0}" because it does not exist or you do not have permissions.'),
    4712: (16, "Cannot truncate table '{0}' because it is being referenced by a FOREIGN KEY constraint."),
    4901: (
        16,
        "ALTER TABLE only allows columns to be added that can contain nulls, or have a DEFAULT definition specified, or the column "
        "being added is an identity or timestamp column, or alternatively if none of the previous conditions are satisfied the "
        "table must be empty to allow addition of this column. Column '{0}' cannot be added to non-empty table '{1}' because it "
        "does not satisfy these conditions.",
    ),
    4902: (16, 'Cannot find the object "{0}" because it does not exist or you do not have permissions.'),
    4917: (16, "Constraint '{0}' does not exist."),
    4922: (16, "ALTER TABLE {0} {1} failed because one or more objects access this column."),
    4924: (16, "ALTER TABLE {0} failed because column '{1}' does not exist in table '{2}'."),
    4996: (16, "Change tracking is already enabled for table '{0}'."),
    4997: (
        16,
        "Cannot enable change tracking on table '{0}'. Change tracking requires a primary key on the table. "
        "Create a primary key on the table before enabling change tracking.",
    ),
    4998: (16, "Change tracking is not enabled on table '{0}'."),
    5011: (
        14,
        "User does not have permission to alter database '{0}', the database does not exist, or the database is not in a state "
        "that allows access checks.",
    ),
    5070: (16, "Database state cannot be changed while other users are using the database '{0}'"),
    5074: (16, "The {0} '{1}' is dependent on column '{2}'."),
    5088: (16, "Change tracking is already enabled for database '{0}'."),
    5089: (
        16,
        "Change tracking is disabled for database '{0}'. Change tracking must be enabled on a database to modify change tracking "
        "settings.",
    ),
    5115: (16, "Change tracking must be enabled on database '{0}' before it can be enabled on table '{1}'."),
    6401: (16, "Cannot roll back {0}. No transaction or savepoint of that name was found."),
    7997: (16, "'{0}' does not contain an identity column."),
    8101: (
        16,
        "An explicit value for the identity column in table '{0}' can only be specified when a column list is used and "
        "IDENTITY_INSERT is ON.",
    ),
    8102: (16, "Cannot update identity column '{0}'."),
    8106: (16, "Table '{0}' does not have the identity property. Cannot perform SET operation."),
    8107: (16, "IDENTITY_INSERT is already ON for table '{0}'. Cannot perform SET operation for table '{1}'."),
    8111: (16, "Cannot define PRIMARY KEY constraint on nullable column in table '{0}'."),
    8114: (16, "Error converting data type {0} to {1}."),
    8115: (16, "Arithmetic overflow error converting {0} to data type {1}."),
    8116: (16, "Argument data type {0} is invalid for argument {1} of {2} function."),
    8117: (16, "Operand data type {0} is invalid for {1} operator."),
    8120: (
        16,
        "Column '{0}' is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY "
        "clause.",
    ),
    8148: (16, "More than one column DEFAULT constraint specified for column '{0}', table '{1}'."),
    8133: (
        16,
        "At least one of the result expressions in a CASE specification must be an expression other than the NULL constant.",
    ),
    8134: (16, "Divide by zero error encountered."),
    8143: (16, "Parameter '{0}' was supplied multiple times."),
    8144: (16, "Procedure or function {0} has too many arguments specified."),
    8145: (16, "{0} is not a parameter for procedure {1}."),
    8155: (16, "No column name was specified for column {0} of '{1}'."),
    8156: (16, "The column '{0}' was specified multiple times for '{1}'."),
    8158: (16, "'{0}' has more columns than were specified in the column list."),
    8159: (16, "'{0}' has fewer columns than were specified in the column list."),
    8169: (16, "Conversion failed when converting from a character string to uniqueidentifier."),
    8672: (
        16,
        "The MERGE statement attempted to UPDATE or DELETE the same row more than once. This happens when a target row matches "
        "more than one source row. A MERGE statement cannot UPDATE/DELETE the same row of the target table multiple times. Refine "
        "the ON "
        "clause to ensure a target row matches at most one source row, or use the GROUP BY clause to group the source rows.",
    ),
    8992: (16, "Check Catalog Msg: {0}"),
    9809: (16, "The style {0} is not supported for conversions from {1} to {2}."),
    9807: (
        16,
        "The input character string does not follow style {0}, either change the input character string or use a different style.",
    ),
    10735: (15, "Incorrect WHERE clause for filtered index '{0}' on table '{1}'."),
    11703: (16, "The start value for sequence object '{0}' must be between the minimum and maximum value of the sequence object."),
    11415: (16, "Object '{0}' cannot be disabled or enabled. This action applies only to foreign key and check constraints."),
    13607: (16, "JSON path is not properly formatted. Unexpected character '{0}' is found at position {1}."),
    13608: (16, "Property cannot be found on the specified JSON path."),
    13609: (16, "JSON text is not properly formatted. Unexpected character '{0}' is found at position {1}."),
    13624: (16, "Object or array cannot be found in the specified JSON path."),
    13623: (16, "Scalar value cannot be found in the specified JSON path."),
    15007: (16, "'{0}' is not a valid login or you do not have permission."),
    15023: (16, "User, group, or role '{0}' already exists in the current database."),
    15025: (16, "The server principal '{0}' already exists."),
    15151: (16, "Cannot find the {0} '{1}', because it does not exist or you do not have permission."),
    15225: (
        11,
        "No item by the name of '{0}' could be found in the current database '{1}', given that @itemtype was input as '{2}'.",
    ),
    15410: (11, "User, group, or role '{0}' does not exist in this database."),
    16002: (16, "Invalid data masking function in column '{0}'."),
    16003: (16, "The data type of column '{0}' does not support data masking function '{1}'."),
    16004: (16, "Incorrect number of parameters for data masking function '{0}' for column '{1}'."),
    16005: (16, "Invalid argument for data masking function '{0}' for column '{1}'."),
    16006: (16, "Invalid data masking format for function '{0}' in column '{1}'."),
    16007: (16, "The column '{0}' does not have a data masking function."),
    22105: (16, "Change tracking is not enabled on table '{0}'."),
    22115: (
        16,
        "Change tracking is enabled for one or more tables in database '{0}'. Disable change tracking on each table before "
        "disabling it for the database.",
    ),
    229: (14, "The {0} permission was denied on the object '{1}', database '{2}', schema '{3}'."),
    257: (
        16,
        "Implicit conversion from data type {0} to {1} is not allowed. Use the CONVERT function to run this query.",
    ),
    262: (14, "{0} permission denied in database '{1}'."),
    33261: (16, "The security policy '{0}' does not contain a predicate on table '{1}'."),
    33262: (
        16,
        "A {0} predicate for the same operation has already been defined on table '{1}' in the security policy '{2}'.",
    ),
    33264: (
        16,
        "The security policy '{0}' cannot be enabled with a predicate on table '{1}'. Table '{1}' is already referenced by the "
        "enabled security policy '{2}'.",
    ),
    33268: (16, 'Cannot find the object "{0}" because it does not exist or you do not have permissions.'),
    33270: (16, 'Cannot find the object "{0}" or this object is not an inline table-valued function.'),
    40517: (16, "Keyword or statement option '{0}' is not supported in this version of SQL Server."),
}

CANCELLED = 3617
_STATEMENT_TERMINATING = frozenset(
    {220, 232, 512, 515, 517, 535, 547, 1222, 1505, 2601, 2627, 2628, 3609, 3621, 8115, 8134, 8152, 33504}
)
_BATCH_ABORTING = frozenset(
    {210, 235, 241, 242, 245, 248, 293, 295, 1205, 3617, 3930, 3931, 3952, 3960, 3998, 8114, 8169, 9807, 13607, 13609}
)
"""Errors that end the batch and roll the transaction back."""

_SCOPE_ABORTING = frozenset(
    {
        102,
        105,
        191,
        107,
        109,
        110,
        113,
        116,
        120,
        121,
        127,
        134,
        137,
        141,
        145,
        156,
        174,
        189,
        195,
        205,
        206,
        207,
        208,
        209,
        213,
        257,
        264,
        305,
        402,
        529,
        1013,
        1033,
        1087,
        2760,
        4104,
        4112,
        4145,
        8117,
        8120,
        8155,
        8156,
        8158,
        8159,
        22105,
        40517,
    }
)
"""Errors of compilation: the batch ends, the transaction stays."""


def sql_error(number: int, *arguments: Any, state: int = 1) -> SqlError:
    """The error ``number`` with its severity and text."""
    severity, template = CATALOGUE[number]
    return SqlError(number, template.format(*arguments), severity, state)


def unsupported(what: str) -> SqlError:
    """Error 40517, for syntax that exists in SQL Server and not here: never passed over in silence."""
    return sql_error(40517, what)


_REDACTED = {
    232: ("******", "******"),
    220: ("******", "******"),
    245: ("******", "******", "******"),
    248: ("******", "******"),
    2628: ("******", "******", "******"),
}


def redact(error: SqlError) -> None:
    """Take values and names out of an error of a statement that reads through a security policy."""
    if error.number in _REDACTED and error.number in CATALOGUE:
        error.text = CATALOGUE[error.number][1].format(*_REDACTED[error.number])
        error.args = (error.text,)


LONE_SURROGATE = "half of a surrogate pair in nvarchar"
"""SQLite keeps UTF-8, which has none."""


def aborts_batch(error: SqlError) -> bool:
    """Whether the batch ends even without XACT_ABORT."""
    return error.number in _BATCH_ABORTING or error.number in _SCOPE_ABORTING or error.severity >= 20


def rolls_back(error: SqlError) -> bool:
    """Whether the transaction is rolled back even without XACT_ABORT."""
    return (error.number in _BATCH_ABORTING and error.number != CANCELLED) or error.severity >= 20


def terminates_statement(error: SqlError) -> bool:
    """Whether message 3621 follows the error of a statement that changes rows or tables."""
    return error.number in _STATEMENT_TERMINATING


def is_compile_error(error: SqlError) -> bool:
    """Whether the statement never ran."""
    return error.number in _SCOPE_ABORTING
