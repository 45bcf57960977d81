"""Data definition and the catalogue of the SQL Server emulator."""

from __future__ import annotations

from typing import Any

import pytest

from emulators.tests.tsql.database import Client, Server

ITEM = """CREATE TABLE dbo.Item (
    Id int IDENTITY(1,1) NOT NULL,
    Code nvarchar(50) NOT NULL,
    Kind char(4) NULL CONSTRAINT DF_Kind DEFAULT ('x'),
    Price decimal(18,4) NOT NULL DEFAULT 0,
    At datetime2 NOT NULL DEFAULT SYSUTCDATETIME(),
    Data varbinary(20),
    CONSTRAINT PK_Item PRIMARY KEY CLUSTERED (Id ASC, Code DESC) WITH (FILLFACTOR = 90) ON [PRIMARY],
    CONSTRAINT UQ_Code UNIQUE NONCLUSTERED (Code),
    CHECK (Price >= 0),
    INDEX IX_Kind (Kind)
) ON [PRIMARY]"""


@pytest.fixture
def item(client: Client) -> Client:
    client.rows(ITEM)
    return client


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "SELECT OBJECT_NAME(OBJECT_ID(N'[dbo].[Item]', 'U')), OBJECT_ID('dbo.Item', 'V'), OBJECT_ID('Nope'), "
            "OBJECT_SCHEMA_NAME(OBJECT_ID('Item'))",
            [("Item", None, None, "dbo")],
        ),
        (
            "SELECT i.name, i.type_desc, i.is_unique, i.is_primary_key, i.is_unique_constraint FROM sys.indexes "
            "i WHERE i.object_id = OBJECT_ID('Item') ORDER BY i.index_id",
            [("PK_Item", "CLUSTERED", 1, 1, 0), ("UQ_Code", "NONCLUSTERED", 1, 0, 1), ("IX_Kind", "NONCLUSTERED", 0, 0, 0)],
        ),
        (
            """SELECT c.name, t.name, c.max_length, c.precision, c.scale FROM sys.indexes AS i
            INNER JOIN sys.index_columns AS ic ON i.object_id = ic.object_id AND i.index_id = ic.index_id
            INNER JOIN sys.columns AS c ON ic.object_id = c.object_id AND c.column_id = ic.column_id
            INNER JOIN sys.types AS t ON c.user_type_id = t.user_type_id
            WHERE i.is_primary_key = 1 AND i.object_id = OBJECT_ID(N'dbo.Item') ORDER BY ic.key_ordinal""",
            [("Id", "int", 4, 10, 0), ("Code", "nvarchar", 100, 0, 0)],
        ),
        (
            "SELECT name, column_id, is_nullable, is_identity, collation_name FROM sys.columns WHERE object_id = "
            "OBJECT_ID('Item') ORDER BY column_id",
            [
                ("Id", 1, 0, 1, None),
                ("Code", 2, 0, 0, "SQL_Latin1_General_CP1_CI_AS"),
                ("Kind", 3, 1, 0, "SQL_Latin1_General_CP1_CI_AS"),
                ("Price", 4, 0, 0, None),
                ("At", 5, 0, 0, None),
                ("Data", 6, 1, 0, None),
            ],
        ),
        (
            "SELECT COLUMN_NAME, ORDINAL_POSITION, IS_NULLABLE, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, "
            "NUMERIC_PRECISION, DATETIME_PRECISION FROM INFORMATION_SCHEMA.COLUMNS "
            "WHERE TABLE_SCHEMA = 'dbo' AND TABLE_NAME = 'item' ORDER BY ORDINAL_POSITION",
            [
                ("Id", 1, "NO", "int", None, 10, None),
                ("Code", 2, "NO", "nvarchar", 50, None, None),
                ("Kind", 3, "YES", "char", 4, None, None),
                ("Price", 4, "NO", "decimal", None, 18, None),
                ("At", 5, "NO", "datetime2", None, None, 7),
                ("Data", 6, "YES", "varbinary", 20, None, None),
            ],
        ),
        (
            "SELECT TABLE_CATALOG, TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM INFORMATION_SCHEMA.TABLES",
            [("rowpost", "dbo", "Item", "BASE TABLE")],
        ),
        (
            "SELECT CONSTRAINT_NAME, COLUMN_NAME FROM INFORMATION_SCHEMA.KEY_COLUMN_USAGE WHERE CONSTRAINT_NAME "
            "= 'PK_Item' ORDER BY ORDINAL_POSITION",
            [("PK_Item", "Id"), ("PK_Item", "Code")],
        ),
        (
            "SELECT name, type, type_desc FROM sys.objects WHERE parent_object_id = OBJECT_ID('Item') AND name "
            "NOT LIKE '%[_][_]%' ORDER BY name",
            [
                ("DF_Kind", "D ", "DEFAULT_CONSTRAINT"),
                ("PK_Item", "PK", "PRIMARY_KEY_CONSTRAINT"),
                ("UQ_Code", "UQ", "UNIQUE_CONSTRAINT"),
            ],
        ),
        (
            "SELECT k.name, k.type FROM sys.key_constraints k JOIN sys.tables t ON t.object_id = "
            "k.parent_object_id WHERE t.name = 'Item' ORDER BY k.name",
            [("PK_Item", "PK"), ("UQ_Code", "UQ")],
        ),
        (
            "SELECT s.name, t.name, t.type FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id",
            [("dbo", "Item", "U ")],
        ),
        (
            "SELECT name, compatibility_level, is_read_committed_snapshot_on FROM sys.databases WHERE database_id = DB_ID()",
            [("rowpost", 160, 0)],
        ),
        (
            "SELECT COLUMNPROPERTY(OBJECT_ID('Item'), 'Price', 'ColumnId'), COLUMNPROPERTY(OBJECT_ID('Item'), "
            "'Data', 'AllowsNull'), COL_NAME(OBJECT_ID('Item'), 2)",
            [(4, 1, "Code")],
        ),
        (
            "SELECT SCHEMA_ID('dbo'), SCHEMA_ID('nope'), SCHEMA_NAME(1), DB_NAME(), USER_NAME(), "
            "ORIGINAL_LOGIN(), SUSER_SNAME(), APP_NAME()",
            [(1, None, "dbo", "rowpost", "dbo", "sa", "sa", "tests")],
        ),
        (
            "SELECT CAST(SERVERPROPERTY('EngineEdition') AS int), CAST(DATABASEPROPERTYEX(DB_NAME(), 'Status') AS sysname), "
            "IS_MEMBER('db_owner'), IS_ROLEMEMBER('nope')",
            [(3, "ONLINE", 1, None)],
        ),
        ("SELECT COUNT(*) FROM sys.types WHERE is_assembly_type = 1", [(3,)]),
    ],
)
def test_catalogue(item: Client, sql: str, expected: list[tuple[Any, ...]]) -> None:
    assert item.rows(sql) == expected


def test_defaults_fill_what_is_missing(item: Client) -> None:
    item.rows("INSERT Item (Code) VALUES (N'a')")
    assert item.rows("SELECT Kind, Price, At FROM Item") == [("x   ", 0, "2026-03-01 12:00:00.1234560")]


def test_alter_table_add_and_drop(item: Client) -> None:
    item.rows("INSERT Item (Code) VALUES (N'a'), (N'b')")
    item.rows("ALTER TABLE Item ADD Note nvarchar(10) NULL, Flag bit NOT NULL CONSTRAINT DF_Flag DEFAULT 1, Twice AS Price * 2")
    assert item.rows("SELECT Note, Flag, Twice FROM Item") == [(None, 1, 0)] * 2
    assert item.error("ALTER TABLE Item ADD Missing int NOT NULL").number == 4901
    assert item.error("ALTER TABLE Item ADD Note int").number == 2705
    assert item.error("ALTER TABLE Item DROP COLUMN Flag").number == 5074
    item.rows("ALTER TABLE Item DROP CONSTRAINT DF_Flag; ALTER TABLE Item DROP COLUMN Flag, Note")
    assert item.error("SELECT Flag FROM Item").number == 207
    assert item.error("ALTER TABLE Item DROP COLUMN Nope").number == 4924
    assert item.value("SELECT MAX(column_id) FROM sys.columns WHERE object_id = OBJECT_ID('Item')") == 9
    item.rows("ALTER TABLE Item ADD Last int")
    assert item.value("SELECT MAX(column_id) FROM sys.columns WHERE object_id = OBJECT_ID('Item')") == 10  # ids are not used again


def test_alter_table_constraints(item: Client) -> None:
    item.rows("INSERT Item (Code, Price) VALUES (N'a', 5)")
    assert item.error("ALTER TABLE Item ADD CONSTRAINT CK_P CHECK (Price > 5)").number == 547
    item.rows("ALTER TABLE Item WITH CHECK ADD CONSTRAINT CK_P CHECK (Price > 4)")
    assert item.error("UPDATE Item SET Price = 1").number == 547
    assert item.error("ALTER TABLE Item ADD CONSTRAINT CK_P CHECK (Price > 4)").number == 2714
    item.rows("ALTER TABLE Item DROP CONSTRAINT CK_P; UPDATE Item SET Price = 1")
    assert item.error("ALTER TABLE Item DROP CONSTRAINT nope").number == 3728
    item.rows("CREATE TABLE Part (ItemCode nvarchar(50)); INSERT Part VALUES (N'zz')")
    assert item.error("ALTER TABLE Part ADD CONSTRAINT FK_P FOREIGN KEY (ItemCode) REFERENCES Item (Code)").number == 547
    item.rows("DELETE Part; ALTER TABLE Part ADD CONSTRAINT FK_P FOREIGN KEY (ItemCode) REFERENCES Item (Code) ON DELETE CASCADE")
    assert item.error("ALTER TABLE Item DROP CONSTRAINT UQ_Code").number == 3725
    assert item.rows("SELECT name, delete_referential_action_desc FROM sys.foreign_keys") == [("FK_P", "CASCADE")]


def test_alter_column(client: Client) -> None:
    client.rows("CREATE TABLE A (X nvarchar(5), Y int); INSERT A VALUES (N'12345', 7)")
    client.rows("ALTER TABLE A ALTER COLUMN X nvarchar(50) NOT NULL; ALTER TABLE A ALTER COLUMN Y decimal(9,2)")
    assert [(c.type.name, c.type.length) for c in client.columns("SELECT * FROM A")] == [("nvarchar", 50), ("decimal", 0)]
    assert str(client.value("SELECT Y FROM A")) == "7.00"
    assert client.error("INSERT A VALUES (NULL, 1)").number == 515
    assert client.error("ALTER TABLE A ALTER COLUMN X nvarchar(3)").number == 2628
    assert client.error("ALTER TABLE A ALTER COLUMN X date").number == 241
    assert client.value("SELECT X FROM A") == "12345"


def test_indexes(item: Client) -> None:
    item.rows("CREATE UNIQUE NONCLUSTERED INDEX UX ON dbo.Item (Kind ASC, Price DESC) INCLUDE (Data) WHERE Kind IS NOT NULL")
    item.rows("INSERT Item (Code, Kind) VALUES (N'a', 'k'), (N'b', NULL), (N'c', NULL)")
    assert item.error("INSERT Item (Code, Kind) VALUES (N'd', 'K')").number == 2601
    assert item.error("CREATE INDEX UX ON Item (Price)").number == 1913
    assert item.error("CREATE INDEX IX2 ON Item (Nope)").number == 1911
    assert item.error("CREATE UNIQUE INDEX IX3 ON Item (Price)").number == 1505
    assert item.rows("SELECT has_filter, filter_definition FROM sys.indexes WHERE name = 'UX'") == [(1, "Kind IS NOT NULL")]
    item.rows("DROP INDEX UX ON dbo.Item; INSERT Item (Code, Kind) VALUES (N'd', 'K')")
    assert item.error("DROP INDEX PK_Item ON Item").number == 3723
    assert item.error("DROP INDEX nope ON Item").number == 3701


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        (ITEM, 2714),
        ("CREATE TABLE nowhere.X (a int)", 2760),
        ("CREATE TABLE X (a int, A int)", 2705),
        ("CREATE TABLE X (a nosuchtype)", 2715),
        ("CREATE TABLE X (a int PRIMARY KEY, b int PRIMARY KEY)", 1779),
        ("CREATE TABLE X (a int NULL PRIMARY KEY)", 8111),
        ("CREATE TABLE X (a int IDENTITY, b int IDENTITY)", 2744),
        ("CREATE TABLE X (a nvarchar(5) IDENTITY)", 2749),
        ("CREATE TABLE X (a int REFERENCES nosuch (a))", 1767),
        ("CREATE TABLE X (a int REFERENCES Item (Price))", 1776),
        ("CREATE TABLE X (a int, PRIMARY KEY (b))", 1911),
        ("CREATE TABLE X (a int DEFAULT nosuch)", 207),
        ("CREATE TABLE X (a int CHECK (b > 1))", 207),
        ("CREATE TABLE X (a decimal(50))", 2750),
        ("CREATE TABLE X (a geography NULL) x", 102),
        ("CREATE SCHEMA dbo", 2714),
        ("DROP TABLE nosuch", 3701),
        ("DROP SCHEMA nosuch", 15151),
        ("TRUNCATE TABLE nosuch", 4701),
        ("ALTER TABLE nosuch ADD a int", 4902),
        ("ALTER DATABASE nosuch SET CHANGE_TRACKING = ON", 5011),
        ("ALTER DATABASE CURRENT SET TEMPORAL_HISTORY_RETENTION ON", 40517),
        ("BEGIN TRAN; ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON", 226),
        ("USE nosuch", 911),
        ("CREATE TABLE ##g (a int)", 40517),
        ("CREATE TABLE X (a int SPARSE)", 40517),
    ],
)
def test_refused(item: Client, sql: str, number: int) -> None:
    assert item.error(sql).number == number


def test_schemas_and_drop(client: Client) -> None:
    client.rows(
        "IF SCHEMA_ID(N'az') IS NULL EXEC (N'CREATE SCHEMA az AUTHORIZATION dbo'); CREATE TABLE az.[odd "
        "name.x] (a int); CREATE TABLE [az].[b]]c] (a int)"
    )
    assert client.rows("SELECT * FROM az.[odd name.x]") == []
    assert client.value("SELECT OBJECT_ID(N'[az].[b]]c]')") is not None
    assert client.error("DROP SCHEMA az").number == 3729
    client.rows("DROP TABLE az.[odd name.x], az.[b]]c]; DROP SCHEMA az; DROP TABLE IF EXISTS az.x")
    assert client.value("SELECT SCHEMA_ID('az')") is None


def test_views(client: Client, server: Server) -> None:
    client.rows("CREATE TABLE A (X int, Y nvarchar(5)); INSERT A VALUES (1, N'a'), (2, N'b')")
    client.rows("EXEC (N'CREATE VIEW dbo.V (Id, Twice) AS SELECT X, X * 2 FROM A WHERE Y <> N''b''')")
    assert client.rows("SELECT v.Twice FROM dbo.V v JOIN A ON A.X = v.Id") == [(2,)]
    assert client.error("EXEC (N'CREATE VIEW dbo.V AS SELECT 1 AS a')").number == 2714
    client.rows("EXEC (N'CREATE OR ALTER VIEW V AS SELECT COUNT(*) AS n FROM A')")
    server.reopen()
    again = server.client()
    assert again.rows("SELECT n FROM V") == [(2,)]
    assert again.rows("SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = 'V'") == [
        ("V", "n", "int")
    ]
    again.rows("DROP VIEW V")
    assert again.error("SELECT * FROM V").number == 208


def test_objects_survive_a_restart(item: Client, server: Server) -> None:
    item.rows("INSERT Item (Code) VALUES (N'a')")
    object_id = item.value("SELECT OBJECT_ID('Item')")
    server.reopen()
    again = server.client()
    assert again.value("SELECT OBJECT_ID('Item')") == object_id
    assert again.error("INSERT Item (Code) VALUES (N'A')").number == 2627
    assert again.value("INSERT Item (Code) OUTPUT inserted.Id VALUES (N'b')") == 3


def test_a_plan_is_not_used_after_the_table_changed(client: Client, server: Server) -> None:
    other = server.client()
    client.rows("CREATE TABLE P (A int); INSERT P VALUES (1)")
    assert other.rows("SELECT * FROM P") == [(1,)]
    client.rows("ALTER TABLE P ADD B nvarchar(3) DEFAULT N'x'; INSERT P (A) VALUES (2)")
    assert other.rows("SELECT * FROM P") == [(1, None), (2, "x")]
    client.rows("DROP TABLE P; CREATE TABLE P (Z date)")
    assert other.rows("SELECT * FROM P") == []
    assert [c.name for c in other.columns("SELECT * FROM P")] == ["Z"]


def test_compatibility_level(client: Client) -> None:
    client.rows("ALTER DATABASE CURRENT SET COMPATIBILITY_LEVEL = 120")
    assert client.value("SELECT compatibility_level FROM sys.databases WHERE name = DB_NAME()") == 120


def test_assembly_types_hold_nulls(client: Client) -> None:
    client.rows("CREATE TABLE dbo.G (Id int PRIMARY KEY, A geography, B hierarchyid); INSERT dbo.G (Id) VALUES (1)")
    assert client.rows(
        "SELECT c.name, t.name, t.is_assembly_type FROM sys.columns c JOIN sys.types t ON t.user_type_id = "
        "c.user_type_id "
        "WHERE c.object_id = OBJECT_ID('dbo.G') AND t.is_assembly_type = 1 ORDER BY c.column_id"
    ) == [("A", "geography", 1), ("B", "hierarchyid", 1)]


def test_identity_columns(item: Client) -> None:
    item.rows("INSERT Item (Code) VALUES (N'a')")
    assert item.rows("SELECT name, is_identity, seed_value, increment_value, last_value FROM sys.identity_columns") == [
        ("Id", 1, 1, 1, 1)
    ]


def test_collations(client: Client) -> None:
    client.rows(
        "CREATE TABLE dbo.Col (A nvarchar(5) COLLATE Latin1_General_100_CI_AS, B varchar(5) COLLATE Latin1_General_BIN2, "
        "C varchar(5) COLLATE SQL_Latin1_General_CP1_CS_AS, D varchar(5) COLLATE DATABASE_DEFAULT, E int)"
    )
    names = client.rows("SELECT collation_name FROM sys.columns WHERE object_id = OBJECT_ID('dbo.Col') ORDER BY column_id")
    assert names == [
        ("Latin1_General_100_CI_AS",),
        ("Latin1_General_BIN2",),
        ("SQL_Latin1_General_CP1_CS_AS",),
        ("SQL_Latin1_General_CP1_CI_AS",),
        (None,),
    ]
    assert client.value("SELECT CAST(DATABASEPROPERTYEX('rowpost', 'Collation') AS sysname)") == "SQL_Latin1_General_CP1_CI_AS"
    for collation, number in (
        ("Nonsense", 448),
        ("Latin1_General_CI_AI", 40517),
        ("Latin1_General_100_CI_AS_KS_WS", 40517),
        ("Turkish_CI_AS", 40517),
        ("Latin1_General_100_CI_AS_SC", 40517),
        ("Latin1_General_100_CI_AS_SC_UTF8", 40517),
    ):
        assert client.error(f"CREATE TABLE dbo.Bad (A varchar(5) COLLATE {collation})").number == number
        assert client.error(f"ALTER TABLE dbo.Col ALTER COLUMN A nvarchar(5) COLLATE {collation}").number == number
        assert client.error(f"SELECT 'a' COLLATE {collation}").number == number


def test_columns_that_a_plain_select_does_not_give_as_meant(client: Client) -> None:
    client.rows("CREATE TABLE dbo.Plain (A int, B nvarchar(5) MASKED WITH (FUNCTION = 'default()'))")
    assert client.rows(
        "SELECT name, is_filestream, is_sparse, is_column_set, is_hidden, generated_always_type, generated_always_type_desc, "
        "encryption_type, encryption_type_desc, encryption_algorithm_name, column_encryption_key_id, "
        "column_encryption_key_database_name, is_masked FROM sys.columns WHERE object_id = OBJECT_ID('dbo.Plain') ORDER BY name"
    ) == [
        ("A", 0, 0, 0, 0, 0, "NOT_APPLICABLE", None, None, None, None, None, 0),
        ("B", 0, 0, 0, 0, 0, "NOT_APPLICABLE", None, None, None, None, None, 1),
    ]
    assert client.value("SELECT COUNT(*) FROM sys.column_encryption_keys") == 0
    for declaration in (
        "a int SPARSE",
        "a varbinary(max) FILESTREAM",
        "a xml COLUMN_SET FOR ALL_SPARSE_COLUMNS",
        "a datetime2 GENERATED ALWAYS AS ROW START",
        "a int ENCRYPTED WITH (COLUMN_ENCRYPTION_KEY = k, ENCRYPTION_TYPE = RANDOMIZED, ALGORITHM = 'x')",
    ):
        error = client.error(f"CREATE TABLE dbo.Bad ({declaration})")
        assert (error.number, "column option" in error.text) == (40517, True), error.text
    for name in ("json", "vector"):  # they came with the next version
        error = client.error(f"CREATE TABLE dbo.Bad (a {name})")
        assert (error.number, error.text) == (2715, f"Column, parameter, or variable #1: Cannot find data type {name}.")
