"""Change tracking in the SQL Server emulator: versions, net changes, masks, context, clean-up."""

from __future__ import annotations

import pytest

from emulators.tests.tsql.database import Client, Server

TRACKED = """
ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON);
CREATE TABLE dbo.T (Id int PRIMARY KEY, A int, B int, C int);
ALTER TABLE dbo.T ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON);
"""
THREE = "INSERT dbo.T VALUES (1, 1, 1, 1), (2, 2, 2, 2), (3, 3, 3, 3);"


@pytest.fixture
def tracked(client: Client) -> Client:
    client.rows(TRACKED)
    return client


def changes(client: Client, since: str) -> str | None:
    """Each change as key, operation, version/creation version."""
    return client.value(
        "SELECT STRING_AGG(CONCAT(Id, c.SYS_CHANGE_OPERATION, c.SYS_CHANGE_VERSION, '/', "
        "c.SYS_CHANGE_CREATION_VERSION), ' ') WITHIN GROUP (ORDER BY Id) "
        f"FROM CHANGETABLE(CHANGES dbo.T, {since}) AS c"
    )


@pytest.mark.parametrize(
    ("writes", "since", "expected"),
    [
        ("", "0", "1I1/1 2I1/1 3I1/1"),
        ("", "NULL", "1I1/1 2I1/1 3I1/1"),
        ("", "1", None),
        ("", "-1", None),
        ("UPDATE T SET A = 9 WHERE Id = 1", "0", "1I2/1 2I1/1 3I1/1"),  # an insert stays one, relative to 0
        ("UPDATE T SET A = 9 WHERE Id = 1", "1", "1U2/"),
        ("UPDATE T SET A = A WHERE Id = 1", "1", "1U2/"),  # equal values count too
        ("UPDATE T SET A = 9 WHERE 1 = 0", "1", None),
        ("DELETE T WHERE Id = 2", "0", "1I1/1 2D2/1 3I1/1"),
        ("DELETE T WHERE Id = 2", "1", "2D2/"),
        ("INSERT T VALUES (4, 0, 0, 0); DELETE T WHERE Id = 4", "1", "4D3/2"),
        ("DELETE T WHERE Id = 1; INSERT T VALUES (1, 0, 0, 0)", "1", "1U3/3"),
        ("DELETE T WHERE Id = 1; INSERT T VALUES (1, 0, 0, 0)", "2", "1I3/3"),
        ("UPDATE T SET Id = Id + 10 WHERE Id < 3", "1", "1D2/ 2D2/ 11I2/2 12I2/2"),
        ("UPDATE T SET Id = Id + 1", "1", "1D2/ 2U2/2 3U2/2 4I2/2"),
        (
            "MERGE T USING (VALUES (1), (9)) s(k) ON T.Id = s.k WHEN MATCHED THEN UPDATE SET A = 0 WHEN NOT "
            "MATCHED THEN INSERT VALUES (s.k, 0, 0, 0);",
            "1",
            "1U2/ 9I2/2",
        ),
        ("BEGIN TRAN; UPDATE T SET A = 0 WHERE Id = 1; DELETE T WHERE Id = 3; COMMIT", "1", "1U2/ 3D2/"),
        ("BEGIN TRAN; UPDATE T SET A = 0; ROLLBACK", "1", None),
        (
            "BEGIN TRAN; INSERT T VALUES (4, 4, 4, 4); SAVE TRAN s; INSERT T VALUES (5, 5, 5, 5); ROLLBACK TRAN s; COMMIT",
            "1",
            "4I2/2",
        ),
        ("BEGIN TRAN; INSERT T VALUES (4, 4, 4, 4); DELETE T WHERE Id = 4; COMMIT", "1", "4D2/2"),
    ],
)
def test_net_changes(tracked: Client, writes: str, since: str, expected: str | None) -> None:
    tracked.rows(THREE + writes)
    assert changes(tracked, since) == expected


@pytest.mark.parametrize(
    ("writes", "version"),
    [
        ("CREATE TABLE U (a int); INSERT U VALUES (1)", 1),
        ("UPDATE T SET A = 1 WHERE 1 = 0", 1),
        ("UPDATE T SET A = 1; UPDATE T SET A = 2", 3),
        ("BEGIN TRAN; UPDATE T SET A = 1; UPDATE T SET A = 2; COMMIT", 2),
        ("BEGIN TRAN; UPDATE T SET A = 1; ROLLBACK", 1),
        ("BEGIN TRAN; SAVE TRAN s; UPDATE T SET A = 1; ROLLBACK TRAN s; COMMIT", 1),
        ("BEGIN TRAN; INSERT #x VALUES (1); SAVE TRAN s; UPDATE T SET A = 1; ROLLBACK TRAN s; COMMIT", 1),
        ("TRUNCATE TABLE T", 1),
        ("BEGIN TRY INSERT T VALUES (9, 9, 9, 9), (1, 1, 1, 1) END TRY BEGIN CATCH END CATCH", 1),
    ],
)
def test_one_version_for_each_transaction_that_changed_something(tracked: Client, writes: str, version: int) -> None:
    tracked.rows(THREE + "CREATE TABLE #x (a int)")
    tracked.rows(writes.replace("BEGIN CATCH END CATCH", "BEGIN CATCH SET NOCOUNT ON END CATCH"))
    assert tracked.value("SELECT CHANGE_TRACKING_CURRENT_VERSION()") == version


def test_a_transaction_does_not_see_its_own_changes(tracked: Client, server: Server) -> None:
    tracked.rows(THREE)
    tracked.rows("BEGIN TRAN; UPDATE T SET A = 5 WHERE Id = 1")
    assert changes(tracked, "1") is None
    assert tracked.value("SELECT CHANGE_TRACKING_CURRENT_VERSION()") == 1
    assert tracked.rows("SELECT SYS_CHANGE_VERSION FROM CHANGETABLE(VERSION T, (Id), (1)) v") == [(None,)]
    assert changes(server.client(), "1") is None
    tracked.rows("COMMIT")
    assert changes(tracked, "1") == "1U2/"
    assert tracked.rows("SELECT SYS_CHANGE_VERSION FROM CHANGETABLE(VERSION T, (Id), (1)) v") == [(2,)]


def test_versions_follow_the_order_of_commits(tracked: Client, server: Server) -> None:
    tracked.rows(
        "CREATE TABLE dbo.U (Id int PRIMARY KEY); ALTER TABLE dbo.U ENABLE CHANGE_TRACKING; INSERT dbo.U "
        "VALUES (1); INSERT T VALUES (1, 1, 1, 1); INSERT dbo.U VALUES (2)"
    )
    assert tracked.rows("SELECT Id, SYS_CHANGE_VERSION FROM CHANGETABLE(CHANGES dbo.U, 0) c ORDER BY Id") == [(1, 1), (2, 3)]
    assert changes(tracked, "0") == "1I2/2"


@pytest.mark.parametrize(
    ("writes", "mask"),
    [
        ("UPDATE T SET B = 5", "0x0000000003000000"),
        ("UPDATE T SET C = 5, A = 3", "0x000000000400000002000000"),
        ("UPDATE T SET B = 5; UPDATE T SET C = 5, A = 3", "0x00000000030000000400000002000000"),
        ("UPDATE T SET B = 5; UPDATE T SET C = 5, A = 3, B = 1", None),  # all columns at once: unknown
        ("UPDATE T SET A = 1; UPDATE T SET B = 1; UPDATE T SET C = 1", "0x00000000020000000300000004000000"),
        ("UPDATE T SET Id = Id", None),
        ("DELETE T", None),
        ("INSERT T VALUES (2, 2, 2, 2); UPDATE T SET A = 5 WHERE Id = 2; DELETE T WHERE Id = 1", None),
    ],
)
def test_mask_of_changed_columns(tracked: Client, writes: str, mask: str | None) -> None:
    tracked.rows("INSERT T VALUES (1, 1, 1, 1)")
    tracked.rows(writes)
    assert {
        row[0] for row in tracked.rows("SELECT CONVERT(varchar(100), SYS_CHANGE_COLUMNS, 1) FROM CHANGETABLE(CHANGES T, 1) c")
    } == {mask}


def test_mask_is_relative_to_the_version(tracked: Client) -> None:
    tracked.rows("INSERT T VALUES (1, 1, 1, 1); UPDATE T SET A = 2; UPDATE T SET B = 2")
    ask = """SELECT CHANGE_TRACKING_IS_COLUMN_IN_MASK(COLUMNPROPERTY(OBJECT_ID(N'dbo.T'), N'{}', 'ColumnId'), SYS_CHANGE_COLUMNS)
             FROM CHANGETABLE(CHANGES T, {}) c"""
    assert [tracked.value(ask.format(column, since)) for since in (1, 2) for column in "ABC"] == [1, 1, 0, 0, 1, 0]
    assert tracked.value(ask.format("C", 0)) == 1  # an insert has no mask: every column counts


def test_no_mask_without_column_tracking(client: Client) -> None:
    client.rows(TRACKED.replace("WITH (TRACK_COLUMNS_UPDATED = ON)", ""))
    client.rows("INSERT T VALUES (1, 1, 1, 1); UPDATE T SET A = 1")
    assert client.rows("SELECT SYS_CHANGE_COLUMNS FROM CHANGETABLE(CHANGES T, 1) c") == [(None,)]
    assert client.rows("SELECT is_track_columns_updated_on FROM sys.change_tracking_tables") == [(0,)]


def test_masks_of_two_changes_are_told_apart_by_the_version(tracked: Client) -> None:
    """What one transaction wrote is what has changed since the version before it."""
    tracked.rows(THREE)
    tracked.rows("UPDATE dbo.T SET A = 5 WHERE Id = 1; WITH CHANGE_TRACKING_CONTEXT (0x01) UPDATE dbo.T SET B = 5 WHERE Id = 1")
    in_mask = ", ".join(
        f"CHANGE_TRACKING_IS_COLUMN_IN_MASK(COLUMNPROPERTY(OBJECT_ID(N'dbo.T'), '{name}', 'ColumnId'), c.SYS_CHANGE_COLUMNS)"
        for name in "AB"
    )
    text = f"SELECT c.SYS_CHANGE_VERSION, c.SYS_CHANGE_CONTEXT, {in_mask} FROM CHANGETABLE(CHANGES dbo.T, {{}}) c"
    assert tracked.rows(text.format(1)) == [(3, b"\x01", 1, 1)] and tracked.rows(text.format(2)) == [(3, b"\x01", 0, 1)]


def test_context_is_that_of_the_last_statement(tracked: Client) -> None:
    tracked.rows(THREE)
    tracked.rows(
        "DECLARE @c varbinary(8) = 0x0A; BEGIN TRAN; WITH CHANGE_TRACKING_CONTEXT (@c) UPDATE T SET A = 0 "
        "WHERE Id < 3; UPDATE T SET A = 1 WHERE Id = 2; COMMIT"
    )
    assert tracked.rows("SELECT Id, SYS_CHANGE_CONTEXT FROM CHANGETABLE(CHANGES T, 0) c ORDER BY Id") == [
        (1, b"\x0a"),
        (2, None),
        (3, None),
    ]
    assert tracked.error("DECLARE @c varchar(3) = 'a'; WITH CHANGE_TRACKING_CONTEXT (@c) DELETE T").number == 22109


def test_version_of_rows(client: Client) -> None:
    client.rows(
        "ALTER DATABASE rowpost SET CHANGE_TRACKING = ON; CREATE TABLE dbo.K (Id int, S nvarchar(5), A int, "
        "PRIMARY KEY (S, Id)); INSERT dbo.K VALUES (1, N'x', 1);"
        "ALTER TABLE dbo.K ENABLE CHANGE_TRACKING; INSERT dbo.K VALUES (2, N'y', 2), (3, N'z', 3); UPDATE "
        "dbo.K SET A = 5 WHERE Id = 2; DELETE dbo.K WHERE Id = 3"
    )
    outer = """SELECT k.i, v.SYS_CHANGE_VERSION, v.Id FROM OPENJSON(@keys) WITH (i int, s nvarchar(5)) k
               {} APPLY CHANGETABLE(VERSION [dbo].[K], ([Id],[S]), (k.i, k.s)) v ORDER BY k.i"""
    keys = '[{"i":1,"s":"X"},{"i":2,"s":"y"},{"i":3,"s":"z"},{"i":9,"s":"q"}]'
    assert client.rows(outer.format("OUTER"), keys=keys) == [(1, None, 1), (2, 2, 2), (3, 3, 3), (9, None, None)]
    assert client.rows(outer.format("CROSS"), keys=keys) == [(1, None, 1), (2, 2, 2), (3, 3, 3)]
    assert client.rows("SELECT * FROM CHANGETABLE(VERSION dbo.K, (S, Id), (N'q', 9)) v") == []


def test_changes_of_string_keys_ignore_case(client: Client) -> None:
    client.rows(
        "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON; CREATE TABLE dbo.S (K nvarchar(10) PRIMARY KEY, V "
        "int); ALTER TABLE dbo.S ENABLE CHANGE_TRACKING"
    )
    client.rows("INSERT dbo.S VALUES (N'b', 1); UPDATE dbo.S SET K = N'B'; INSERT dbo.S VALUES (N'c', 1)")
    assert client.rows("SELECT K, SYS_CHANGE_OPERATION FROM CHANGETABLE(CHANGES dbo.S, 0) c ORDER BY K") == [("b", "I"), ("c", "I")]
    assert client.rows("SELECT s.V FROM CHANGETABLE(CHANGES dbo.S, 0) c JOIN dbo.S s ON s.K = c.K WHERE s.K = N'B'") == [(1,)]


def test_cascades_are_tracked(client: Client) -> None:
    client.rows(
        "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON; CREATE TABLE P (Id int PRIMARY KEY); CREATE TABLE "
        "C (Id int PRIMARY KEY, P int REFERENCES P ON DELETE CASCADE ON UPDATE CASCADE);"
        "ALTER TABLE C ENABLE CHANGE_TRACKING; INSERT P VALUES (1), (2); INSERT C VALUES (10, 1), (20, 2); "
        "DELETE P WHERE Id = 1; UPDATE P SET Id = 3"
    )
    assert client.rows("SELECT Id, SYS_CHANGE_OPERATION, SYS_CHANGE_VERSION FROM CHANGETABLE(CHANGES C, 1) c ORDER BY Id") == [
        (10, "D", 2),
        (20, "U", 3),
    ]


def test_truncate_starts_the_history_again(tracked: Client) -> None:
    tracked.rows(THREE + "BEGIN TRAN; TRUNCATE TABLE T; ROLLBACK")
    assert changes(tracked, "0") == "1I1/1 2I1/1 3I1/1"
    tracked.rows("TRUNCATE TABLE T")
    assert tracked.rows("SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('T')), CHANGE_TRACKING_CURRENT_VERSION()") == [(1, 1)]
    tracked.rows("INSERT T VALUES (3, 3, 3, 3)")
    assert changes(tracked, "0") == "3I2/2"


def test_disabling_and_enabling(tracked: Client) -> None:
    tracked.rows(THREE + "UPDATE T SET A = 1; ALTER TABLE T DISABLE CHANGE_TRACKING; UPDATE T SET A = 2")
    assert tracked.value("SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('T'))") is None
    assert tracked.error("SELECT * FROM CHANGETABLE(CHANGES T, 0) c").number == 22105
    tracked.rows("BEGIN TRAN; ALTER TABLE T ENABLE CHANGE_TRACKING; ROLLBACK")
    assert tracked.rows("SELECT * FROM sys.change_tracking_tables") == []
    tracked.rows("ALTER TABLE T ENABLE CHANGE_TRACKING; UPDATE T SET A = 3 WHERE Id = 1")
    assert changes(tracked, "0") == "1U3/"
    assert tracked.rows("SELECT min_valid_version, begin_version FROM sys.change_tracking_tables") == [(2, 2)]


def test_the_internal_table_is_made_anew_with_each_enabling(tracked: Client) -> None:
    ask = "SELECT name, object_id, internal_type, internal_type_desc, parent_id, parent_object_id FROM sys.internal_tables"
    ((name, first, *others),) = tracked.rows(ask)
    table = tracked.value("SELECT OBJECT_ID('T')")
    assert (name, others) == (f"change_tracking_{table}", [209, "CHANGE_TRACKING", table, table])
    tracked.rows("ALTER TABLE T DISABLE CHANGE_TRACKING")
    assert tracked.rows(ask) == []
    tracked.rows("ALTER TABLE T ENABLE CHANGE_TRACKING")
    assert tracked.rows(ask)[0][1] != first


def test_versions_begin_again_when_tracking_of_the_database_was_off(tracked: Client) -> None:
    tracked.rows(THREE + "UPDATE T SET A = 1")
    tracked.rows("ALTER TABLE T DISABLE CHANGE_TRACKING; ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF")
    assert tracked.value("SELECT CHANGE_TRACKING_CURRENT_VERSION()") is None
    tracked.rows("ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON; ALTER TABLE T ENABLE CHANGE_TRACKING")
    assert tracked.value("SELECT CHANGE_TRACKING_CURRENT_VERSION()") == 0
    tracked.rows("UPDATE T SET A = 3 WHERE Id = 1")
    assert changes(tracked, "0") == "1U1/"
    assert tracked.rows("SELECT min_valid_version, begin_version FROM sys.change_tracking_tables") == [(0, 0)]


def test_settings_in_the_catalogue(client: Client, server: Server) -> None:
    ask = """SELECT retention_period, retention_period_units, retention_period_units_desc, is_auto_cleanup_on
             FROM sys.change_tracking_databases WHERE database_id = DB_ID()"""
    assert client.rows(ask) == []
    assert client.value("SELECT CHANGE_TRACKING_CURRENT_VERSION()") is None
    client.rows("ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 14 DAYS, AUTO_CLEANUP = ON)")
    assert client.rows(ask) == [(14, 3, "DAYS", 1)]
    client.rows("ALTER DATABASE [rowpost] SET CHANGE_TRACKING (CHANGE_RETENTION = 90 MINUTES)")
    client.rows("ALTER DATABASE CURRENT SET CHANGE_TRACKING (AUTO_CLEANUP = OFF)")
    server.reopen()
    assert server.client().rows(ask) == [(90, 1, "MINUTES", 0)]


def test_clean_up_by_the_clock(tracked: Client, server: Server) -> None:
    tracked.rows(THREE)
    server.clock.move(hours=47)
    tracked.rows("UPDATE T SET A = 0 WHERE Id = 1")
    assert tracked.value("SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('T'))") == 0
    server.clock.move(hours=2)
    assert tracked.value("SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('T'))") == 1
    assert changes(tracked, "1") == "1U2/"
    assert tracked.rows("SELECT SYS_CHANGE_VERSION FROM CHANGETABLE(VERSION T, (Id), (2)) v") == [(None,)]
    tracked.rows("ALTER DATABASE CURRENT SET CHANGE_TRACKING (AUTO_CLEANUP = OFF)")
    server.clock.move(days=30)
    assert changes(tracked, "1") == "1U2/"
    assert tracked.value("SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('T'))") == 1
    tracked.rows("ALTER DATABASE CURRENT SET CHANGE_TRACKING (AUTO_CLEANUP = ON)")
    server.clock.move(minutes=2)
    assert tracked.value("SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('T'))") == 2
    assert changes(tracked, "2") is None


def test_clean_up_does_not_wait_for_a_writer(tracked: Client, server: Server) -> None:
    tracked.rows(THREE)
    other = server.client()
    other.rows("BEGIN TRAN; UPDATE T SET A = 0")
    server.clock.move(days=5)
    assert tracked.value("SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('T'))") == 0
    other.rows("COMMIT")
    assert tracked.value("SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('T'))") == 1


def test_everything_survives_a_restart(tracked: Client, server: Server) -> None:
    tracked.rows(THREE + "UPDATE T SET B = 9 WHERE Id = 2")
    server.reopen()
    again = server.client()
    assert changes(again, "1") == "2U2/"
    again.rows("DELETE T WHERE Id = 3")
    assert changes(again, "1") == "2U2/ 3D3/"


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("ALTER TABLE T ENABLE CHANGE_TRACKING", 4996),
        ("ALTER TABLE H ENABLE CHANGE_TRACKING", 4997),
        ("ALTER TABLE U DISABLE CHANGE_TRACKING", 4998),
        ("ALTER TABLE nosuch ENABLE CHANGE_TRACKING", 4902),
        ("ALTER TABLE T DROP CONSTRAINT PK_T", 3735),
        ("ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON", 5088),
        ("ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF", 22115),
        ("ALTER DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = 0 DAYS)", 5092),
        ("SELECT * FROM CHANGETABLE(CHANGES U, 0) c", 22105),
        ("SELECT * FROM CHANGETABLE(CHANGES T, 0)", 22104),
        ("SELECT * FROM CHANGETABLE(CHANGES nosuch, 0) c", 208),
        ("SELECT * FROM CHANGETABLE(CHANGES sys.objects, 0) c", 22107),
        ("DECLARE @x int = 0; SELECT * FROM CHANGETABLE(CHANGES T, @x + 1) c", 102),
        ("SELECT * FROM CHANGETABLE(VERSION T, (A), (1)) v", 22111),
        ("SELECT * FROM CHANGETABLE(VERSION T, (Id, A), (1, 1)) v", 22110),
        ("SELECT * FROM CHANGETABLE(VERSION T, (Id), (1, 1)) v", 22103),
        ("SELECT CHANGE_TRACKING_MIN_VALID_VERSION(NULL)", 8116),
    ],
)
def test_refused(client: Client, sql: str, number: int) -> None:
    client.rows(
        TRACKED.replace("Id int PRIMARY KEY", "Id int CONSTRAINT PK_T PRIMARY KEY")
        + "CREATE TABLE U (Id int PRIMARY KEY); CREATE TABLE H (a int)"
    )
    assert client.error(sql).number == number


def test_refused_without_tracking_of_the_database(client: Client) -> None:
    client.rows("CREATE TABLE T (Id int PRIMARY KEY)")
    assert client.error("ALTER TABLE T ENABLE CHANGE_TRACKING").number == 1718
    assert client.error("ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF").number == 5089


def test_a_key_that_only_changes_its_case_is_an_update_of_the_row(client: Client) -> None:
    client.rows(
        "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON; CREATE TABLE dbo.S (K nvarchar(10) PRIMARY KEY, V int); "
        "ALTER TABLE dbo.S ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON); INSERT dbo.S VALUES (N'abc', 1)"
    )
    client.rows("UPDATE dbo.S SET K = N'ABC'")
    ask = "SELECT c.SYS_CHANGE_OPERATION, c.SYS_CHANGE_VERSION, c.SYS_CHANGE_COLUMNS, s.K FROM CHANGETABLE(CHANGES dbo.S, {}) c "
    ask += "LEFT JOIN dbo.S s ON s.K = c.K"
    assert client.rows(ask.format(1)) == [("U", 2, None, "ABC")]  # deleted and inserted: all columns
    assert client.rows(ask.format(0)) == [("I", 2, None, "ABC")]
    client.rows(
        "CREATE TABLE dbo.C (K nvarchar(10) COLLATE Latin1_General_CS_AS PRIMARY KEY); ALTER TABLE dbo.C ENABLE CHANGE_TRACKING"
    )
    client.rows("INSERT dbo.C VALUES (N'abc'); UPDATE dbo.C SET K = N'ABC'")
    assert client.rows("SELECT K, SYS_CHANGE_OPERATION FROM CHANGETABLE(CHANGES dbo.C, 3) c ORDER BY 2") == [
        ("abc", "D"),
        ("ABC", "I"),
    ]


def test_instants_as_keys(client: Client) -> None:
    client.rows(
        "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON; CREATE TABLE dbo.M (At datetimeoffset(3) PRIMARY KEY, V int); "
        "ALTER TABLE dbo.M ENABLE CHANGE_TRACKING; INSERT dbo.M VALUES ('2026-01-01 12:00 +00:00', 1); "
        "CREATE TABLE dbo.N (At datetimeoffset(3) NULL REFERENCES dbo.M, Id int); CREATE UNIQUE INDEX n ON dbo.N (At)"
    )
    assert client.error("INSERT dbo.M VALUES ('2026-01-01 14:00 +02:00', 1)").number == 2627
    client.rows("INSERT dbo.N VALUES ('2026-01-01 07:00 -05:00', 1), (NULL, 2)")
    assert client.error("INSERT dbo.N VALUES ('2026-01-01 12:00 +00:00', 3)").number == 2601
    assert client.error("DELETE dbo.M").number == 547
    client.rows("UPDATE dbo.M SET At = '2026-01-01 14:00 +02:00'")
    rows = client.rows(
        "SELECT c.SYS_CHANGE_OPERATION, m.At FROM CHANGETABLE(CHANGES dbo.M, 1) c JOIN dbo.M m ON m.At = c.At "
        "JOIN CHANGETABLE(VERSION dbo.M, (At), ('2026-01-01 00:00 -12:00')) v ON v.SYS_CHANGE_VERSION = c.SYS_CHANGE_VERSION"
    )
    assert rows == [("U", "2026-01-01 14:00:00.000 +02:00")]
    assert client.value("SELECT COUNT(DISTINCT At) FROM dbo.M") == 1
