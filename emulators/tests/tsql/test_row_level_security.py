"""Inline table-valued functions and security policies in the SQL Server emulator."""

from __future__ import annotations

import pytest

from emulators.tests.tsql.database import Client, Server

TABLES = """
CREATE TABLE dbo.T (Id int PRIMARY KEY, Owner sysname NOT NULL, A int, B varchar(20));
INSERT dbo.T VALUES (1, 'one', 10, 'x'), (2, 'two', 20, 'y'), (3, 'dbo', 30, 'z'), (4, 'one', 0, 'w');
CREATE TABLE dbo.O (Id int PRIMARY KEY, T int); INSERT dbo.O VALUES (1, 1), (2, 2), (3, 3), (4, 4);
CREATE LOGIN one WITH PASSWORD = 'x'; CREATE USER one FOR LOGIN one;
CREATE LOGIN two WITH PASSWORD = 'x'; CREATE USER two FOR LOGIN two;
GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.T TO one, two; GRANT SELECT ON dbo.O TO one, two;
"""
FUNCTION = "CREATE FUNCTION dbo.own(@o AS sysname) RETURNS TABLE WITH SCHEMABINDING AS RETURN SELECT 1 AS ok WHERE @o = USER_NAME()"
POLICY = "CREATE SECURITY POLICY dbo.P ADD FILTER PREDICATE dbo.own(Owner) ON dbo.T WITH (STATE = ON)"


@pytest.fixture
def admin(client: Client) -> Client:
    for batch in (TABLES, FUNCTION, POLICY):
        client.rows(batch)
    return client


@pytest.fixture
def one(admin: Client, server: Server) -> Client:
    return server.client("one")


def ids(client: Client, sql: str) -> list[int]:
    return [row[0] for row in client.rows(sql)]


def test_each_user_sees_own_rows_and_dbo_is_no_exception(admin: Client, one: Client, server: Server) -> None:
    everything = "SELECT Id FROM dbo.T ORDER BY Id"
    assert (ids(admin, everything), ids(one, everything), ids(server.client("two"), everything)) == ([3], [1, 4], [2])


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT COUNT(*) FROM dbo.T", [2]),
        ("SELECT Id FROM dbo.T WHERE Id = 2", []),
        ("SELECT T.Id FROM dbo.T JOIN dbo.O ON O.T = T.Id ORDER BY 1", [1, 4]),
        ("SELECT O.Id FROM dbo.O LEFT JOIN dbo.T ON O.T = T.Id WHERE T.Id IS NULL ORDER BY 1", [2, 3]),
        ("SELECT Id FROM dbo.O WHERE T IN (SELECT Id FROM dbo.T) ORDER BY 1", [1, 4]),
        ("WITH c AS (SELECT * FROM dbo.T) SELECT COUNT(*) FROM c", [2]),
        ("SELECT x.Id FROM dbo.O CROSS APPLY (SELECT Id FROM dbo.T WHERE T.Id = O.T) x ORDER BY 1", [1, 4]),
        ("SELECT Id FROM dbo.T UNION ALL SELECT Id FROM dbo.T ORDER BY 1", [1, 1, 4, 4]),
        ("SELECT TOP (1) Id FROM dbo.T WITH (NOLOCK) ORDER BY Id DESC", [4]),
        ("EXEC (N'SELECT COUNT(*) FROM dbo.T')", [2]),
    ],
)
def test_every_way_of_reading_is_filtered(one: Client, sql: str, expected: list[int]) -> None:
    assert ids(one, sql) == expected


def test_hidden_rows_are_no_target_but_hold_their_keys(admin: Client, one: Client) -> None:
    assert one.run("UPDATE dbo.T SET A = 9 WHERE Id = 2").counts == [("UPDATE", 0)]
    assert one.run("MERGE dbo.T t USING (VALUES (1)) s(Id) ON t.Id = s.Id WHEN NOT MATCHED BY SOURCE THEN DELETE;").counts == [
        ("MERGE", 1)
    ]
    assert one.error("INSERT dbo.T VALUES (2, 'one', 1, 'q')").number == 2627
    assert one.run("DELETE dbo.T").counts == [("DELETE", 1)]
    one.rows("INSERT dbo.T VALUES (9, 'two', 1, 'q')")  # a filter hinders no insertion
    assert ids(one, "SELECT Id FROM dbo.T") == []
    admin.rows("ALTER SECURITY POLICY dbo.P WITH (STATE = OFF)")
    assert ids(admin, "SELECT Id FROM dbo.T ORDER BY Id") == [2, 3, 9]


def test_change_tracking_is_not_filtered(client: Client, server: Server) -> None:
    client.rows("ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON")
    client.rows(TABLES + "ALTER TABLE dbo.T ENABLE CHANGE_TRACKING; GRANT VIEW CHANGE TRACKING ON dbo.T TO one")
    client.rows(FUNCTION)
    client.rows(POLICY + "; UPDATE dbo.T SET A = 1 WHERE Id = 3; INSERT dbo.T VALUES (5, 'two', 1, ''), (6, 'one', 1, '')")
    one = server.client("one")
    rows = one.rows("SELECT c.Id, t.Id FROM CHANGETABLE(CHANGES dbo.T, 0) c LEFT JOIN dbo.T t ON t.Id = c.Id ORDER BY 1")
    assert rows == [(3, None), (5, None), (6, 6)]


def test_the_filter_goes_before_conditions_of_the_statement(one: Client, server: Server) -> None:
    two = server.client("two")
    assert ids(two, "SELECT Id FROM dbo.T WHERE Id = 4 AND 1 / A = 1") == []
    assert ids(two, "SELECT COUNT(*) FROM dbo.T WHERE 1 / A > 0") == [0]
    assert one.error("SELECT Id FROM dbo.T WHERE 1 / A = 0").number == 8134


def test_errors_name_no_values(admin: Client, one: Client) -> None:
    text = "Conversion failed when converting the ****** value '******' to data type ******."
    for sql in (
        "SELECT CAST(B AS int) FROM dbo.T",
        "SELECT CAST('abc' AS int) FROM dbo.T",
        "UPDATE dbo.T SET A = CAST(B AS int)",
        "INSERT dbo.T (Id, Owner, A) VALUES (9, 'one', 'abc')",
    ):
        assert one.error(sql).text == text
    cut = one.error("UPDATE dbo.T SET B = REPLICATE('x', 30)")
    assert cut.text == "String or binary data would be truncated in table '******', column '******'. Truncated value: '******'."
    admin.rows("ALTER SECURITY POLICY dbo.P WITH (STATE = OFF)")
    assert "'x'" in one.error("SELECT CAST(B AS int) FROM dbo.T WHERE Id = 1").text


def test_look_up_tables_and_the_session_context(client: Client, server: Server) -> None:
    client.rows(TABLES + "CREATE TABLE dbo.Acl (U sysname, O sysname); INSERT dbo.Acl VALUES ('two', 'one'), ('two', 'two')")
    client.rows(
        "CREATE FUNCTION dbo.listed(@o sysname) RETURNS TABLE WITH SCHEMABINDING AS RETURN ("
        "SELECT 1 AS ok FROM dbo.Acl WHERE U = USER_NAME() AND O = @o "
        "UNION ALL SELECT 1 WHERE @o = CAST(SESSION_CONTEXT(N'o') AS sysname) UNION ALL SELECT 1 WHERE IS_MEMBER('db_owner') = 1 "
        "AND @o = 'one')"
    )
    client.rows("CREATE SECURITY POLICY P ADD FILTER PREDICATE dbo.listed(Owner) ON dbo.T")
    assert ids(server.client("two"), "SELECT Id FROM dbo.T ORDER BY Id") == [1, 2, 4]  # no permission on Acl is needed
    assert ids(client, "EXEC sp_set_session_context N'o', N'dbo'; SELECT Id FROM dbo.T ORDER BY Id") == [1, 3, 4]
    assert client.error("DROP TABLE dbo.Acl").number == 3729
    client.rows("CREATE SECURITY POLICY Q ADD FILTER PREDICATE dbo.listed(U) ON dbo.Acl")
    error = client.error("SELECT * FROM dbo.T")
    assert (error.number, "reads another table with a security policy" in error.text) == (40517, True)


def test_a_predicate_reads_its_own_table_unfiltered(client: Client, server: Server) -> None:
    client.rows(TABLES)
    client.rows(
        "CREATE FUNCTION dbo.again(@id int) RETURNS TABLE WITH SCHEMABINDING AS RETURN SELECT 1 AS ok FROM dbo.T "
        "WHERE T.Id = @id AND T.Owner = USER_NAME()"
    )
    client.rows("CREATE SECURITY POLICY P ADD FILTER PREDICATE dbo.again(Id) ON dbo.T")
    assert ids(server.client("one"), "SELECT Id FROM dbo.T ORDER BY Id") == [1, 4]


def test_the_catalogue(admin: Client, one: Client, server: Server) -> None:
    admin.rows("CREATE SECURITY POLICY dbo.Q ADD FILTER PREDICATE dbo.own(N'a''b') ON dbo.O WITH (STATE = OFF) NOT FOR REPLICATION")
    server.reopen()
    again = server.client()
    assert again.rows(
        "SELECT name, type, type_desc, is_enabled, is_not_for_replication, uses_database_collation, is_schema_bound "
        "FROM sys.security_policies ORDER BY name"
    ) == [("P", "SP", "SECURITY_POLICY", 1, 0, 1, 1), ("Q", "SP", "SECURITY_POLICY", 0, 1, 1, 1)]
    assert again.rows(
        "SELECT p.name, s.security_predicate_id, OBJECT_NAME(s.target_object_id), s.predicate_definition, s.predicate_type, "
        "s.predicate_type_desc, s.operation, s.operation_desc FROM sys.security_predicates s JOIN sys.security_policies p "
        "ON p.object_id = s.object_id ORDER BY 1"
    ) == [
        ("P", 1, "T", "([dbo].[own]([Owner]))", 0, "FILTER", None, None),
        ("Q", 1, "O", "([dbo].[own](N'a''b'))", 0, "FILTER", None, None),
    ]
    assert again.rows("SELECT name, type FROM sys.objects WHERE type IN ('IF', 'SP') ORDER BY 1") == [
        ("own", "IF"),
        ("P", "SP"),
        ("Q", "SP"),
    ]
    assert again.rows("SELECT definition, is_schema_bound FROM sys.sql_modules") == [(FUNCTION, 1)]
    assert again.value("SELECT OBJECTPROPERTY(OBJECT_ID('dbo.own', 'IF'), 'IsInlineFunction')") == 1


def test_who_sees_a_policy_in_the_catalogue(admin: Client, one: Client) -> None:
    ask = "SELECT COUNT(*) FROM sys.security_policies p JOIN sys.security_predicates s ON s.object_id = p.object_id"
    assert (admin.value(ask), one.value(ask)) == (1, 0)
    for permission in ("VIEW DEFINITION", "ALTER ANY SECURITY POLICY", "VIEW DEFINITION ON dbo.P"):
        admin.rows(f"GRANT {permission} TO one")
        assert one.value(ask) == 1
        admin.rows(f"REVOKE {permission} FROM one")
    assert one.value(ask) == 0


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("CREATE SECURITY POLICY dbo.X ADD FILTER PREDICATE dbo.nofn(Id) ON dbo.O", 33270),
        ("CREATE SECURITY POLICY dbo.X ADD FILTER PREDICATE dbo.own(Id) ON dbo.nope", 33268),
        ("CREATE SECURITY POLICY dbo.X ADD FILTER PREDICATE dbo.own(nope) ON dbo.O", 207),
        ("CREATE SECURITY POLICY dbo.X ADD FILTER PREDICATE dbo.own(Id, T) ON dbo.O", 8144),
        ("CREATE SECURITY POLICY dbo.X ADD FILTER PREDICATE dbo.own() ON dbo.O", 313),
        ("CREATE SECURITY POLICY dbo.X ADD FILTER PREDICATE dbo.own(Id) ON dbo.O, ADD FILTER PREDICATE dbo.own(T) ON dbo.O", 33262),
        ("CREATE SECURITY POLICY dbo.X ADD FILTER PREDICATE own(Id) ON dbo.O", 4512),
        ("CREATE SECURITY POLICY dbo.X ADD FILTER PREDICATE dbo.own(Id) ON O", 4512),
        ("CREATE SECURITY POLICY dbo.X ADD FILTER PREDICATE dbo.own(Id) ON #t", 33269),
        ("DECLARE @v int; CREATE SECURITY POLICY dbo.X ADD FILTER PREDICATE dbo.own(@v) ON dbo.O", 112),
        ("CREATE SECURITY POLICY dbo.X ADD FILTER PREDICATE dbo.own((SELECT 'a')) ON dbo.O", 1046),
        ("CREATE SECURITY POLICY dbo.X ADD FILTER PREDICATE dbo.own(Id) ON dbo.O AFTER INSERT", 102),
        ("CREATE SECURITY POLICY dbo.X ADD FILTER PREDICATE dbo.own(Id) ON dbo.O WITH (STATE = ON, STATE = OFF)", 1039),
        ("CREATE SECURITY POLICY rowpost.dbo.X", 166),
        ("CREATE SECURITY POLICY nosch.X", 2760),
        ("CREATE SECURITY POLICY dbo.X ADD FILTER PREDICATE dbo.own(Owner) ON dbo.T", 33264),
        ("ALTER SECURITY POLICY dbo.nope WITH (STATE = OFF)", 33268),
        ("ALTER SECURITY POLICY dbo.P DROP FILTER PREDICATE ON dbo.O", 33261),
        ("ALTER SECURITY POLICY dbo.P WITH (SCHEMABINDING = OFF)", 102),
        ("CREATE SECURITY POLICY dbo.P", 2714),
        ("DROP SECURITY POLICY dbo.nope", 3701),
        ("DROP FUNCTION dbo.own", 3729),
        ("DROP TABLE dbo.T", 3729),
        ("ALTER TABLE dbo.T ALTER COLUMN Owner nvarchar(200) NOT NULL", 5074),
        ("ALTER TABLE dbo.T DROP COLUMN Owner", 5074),
        ("EXEC sp_rename 'dbo.T', 'U'", 15336),
    ],
)
def test_refusals(admin: Client, sql: str, number: int) -> None:
    assert admin.error(sql).number == number
    assert admin.value("SELECT COUNT(*) FROM sys.security_policies") == 1


def test_what_is_missing_is_named(admin: Client) -> None:
    for sql, what in (
        ("CREATE SECURITY POLICY dbo.X ADD BLOCK PREDICATE dbo.own(Id) ON dbo.O", "BLOCK PREDICATE"),
        (
            "CREATE SECURITY POLICY dbo.X ADD FILTER PREDICATE dbo.own(Id) ON dbo.O WITH (SCHEMABINDING = OFF)",
            "SCHEMABINDING = OFF",
        ),
        ("CREATE SECURITY POLICY dbo.X ADD FILTER PREDICATE dbo.own(Id + 1) ON dbo.O", "argument of a security predicate"),
        ("CREATE FUNCTION dbo.f() RETURNS int AS BEGIN RETURN 1 END", "functions that are not inline"),
        ("CREATE FUNCTION dbo.f(@a int = 1) RETURNS TABLE AS RETURN SELECT @a AS a", "default of a function's parameter"),
        ("EXEC sp_rename 'dbo.own', 'U'", "sp_rename of a function"),
    ):
        error = admin.error(sql)
        assert (error.number, what in error.text) == (40517, True), error.text


def test_permissions(client: Client, server: Server) -> None:
    client.rows(TABLES)
    client.rows(FUNCTION)
    one = server.client("one")
    assert one.error(POLICY).number == 262
    client.rows("GRANT ALTER ANY SECURITY POLICY TO one")
    assert one.error(POLICY).number == 2760
    client.rows("GRANT ALTER ON SCHEMA::dbo TO one")
    for needed in ("SELECT ON dbo.own", "REFERENCES ON dbo.own", "REFERENCES ON dbo.T"):
        assert one.error(POLICY).number == 229
        client.rows(f"GRANT {needed} TO one")
    one.rows(POLICY)
    client.rows("REVOKE ALTER ON SCHEMA::dbo FROM one")
    assert one.error("DROP SECURITY POLICY dbo.P").number == 3701
    assert client.value("SELECT COUNT(*) FROM sys.security_policies") == 1
    assert one.rows("SELECT ok FROM dbo.own('one')") == [(1,)]


def test_functions_as_sources(admin: Client) -> None:
    assert admin.rows("SELECT o.Id FROM dbo.O CROSS APPLY dbo.own(CASE WHEN o.Id > 2 THEN 'dbo' ELSE 'x' END) f ORDER BY 1") == [
        (3,),
        (4,),
    ]
    admin.rows("CREATE FUNCTION dbo.above(@n int) RETURNS TABLE AS RETURN (SELECT Id FROM dbo.O WHERE Id > @n)")
    assert ids(admin, "DECLARE @x int = 2; SELECT Id FROM dbo.above(@x) ORDER BY Id") == [3, 4]
    admin.rows("CREATE OR ALTER FUNCTION dbo.above(@n int) RETURNS TABLE AS RETURN SELECT Id FROM dbo.O WHERE Id >= @n")
    assert ids(admin, "SELECT Id FROM dbo.above(4)") == [4]
    assert admin.error("CREATE FUNCTION dbo.f() RETURNS TABLE AS RETURN SELECT @x AS a").number == 137
    assert admin.error("CREATE SECURITY POLICY dbo.X ADD FILTER PREDICATE dbo.above(Id) ON dbo.O").number == 4513
    admin.rows("DROP FUNCTION IF EXISTS dbo.above")
    assert admin.error("SELECT * FROM dbo.above(1)").number == 208


def test_a_rollback_brings_the_policy_back(admin: Client, one: Client) -> None:
    admin.rows("BEGIN TRAN; ALTER SECURITY POLICY dbo.P WITH (STATE = OFF); DROP SECURITY POLICY dbo.P; ROLLBACK")
    assert ids(one, "SELECT Id FROM dbo.T ORDER BY Id") == [1, 4]
    admin.rows("ALTER SECURITY POLICY dbo.P DROP FILTER PREDICATE ON dbo.T, ADD FILTER PREDICATE dbo.own('one') ON dbo.O")
    assert ids(one, "SELECT COUNT(*) FROM dbo.T") == [4]
    admin.rows(
        "DROP SECURITY POLICY IF EXISTS dbo.P; DROP SECURITY POLICY IF EXISTS dbo.P; DROP FUNCTION dbo.own; DROP TABLE dbo.T"
    )
