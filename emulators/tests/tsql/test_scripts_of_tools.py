"""Scripts as people bring them: from Management Studio, EF Core and the old sample databases."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from emulators.tests.tsql.database import Client, Server

MANAGEMENT_STUDIO = """
USE [rowpost]
GO
/****** Object:  Table [dbo].[Parts]    Script Date: 1/1/2024 10:00:00 AM ******/
SET ANSI_NULLS ON
GO
SET QUOTED_IDENTIFIER ON
GO
CREATE TABLE [dbo].[Kinds](
	[KindID] [int] IDENTITY(1,1) NOT FOR REPLICATION NOT NULL,
	[Name] [nvarchar](15) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL,
	[Picture] [image] NULL,
 CONSTRAINT [PK_Kinds] PRIMARY KEY CLUSTERED
(
	[KindID] ASC
)WITH (PAD_INDEX = OFF, STATISTICS_NORECOMPUTE = OFF, IGNORE_DUP_KEY = OFF, ALLOW_ROW_LOCKS = ON) ON [PRIMARY]
) ON [PRIMARY] TEXTIMAGE_ON [PRIMARY]
GO
CREATE TABLE [dbo].[Parts](
	[PartID] [int] IDENTITY(1,1) NOT NULL,
	[Name] [nvarchar](40) NOT NULL,
	[KindID] [int] NULL,
	[Price] [money] NULL,
	[Stock] [smallint] NULL,
	[Value]  AS ([Price]*[Stock]) PERSISTED,
	[RowGuid] [uniqueidentifier] ROWGUIDCOL  NOT NULL,
	[Changed] [datetime] NOT NULL,
 CONSTRAINT [PK_Parts] PRIMARY KEY CLUSTERED ([PartID] ASC) ON [PRIMARY]
) ON [PRIMARY]
GO
ALTER TABLE [dbo].[Parts] ADD  CONSTRAINT [DF_Parts_Price]  DEFAULT ($0.50) FOR [Price]
GO
ALTER TABLE [dbo].[Parts] ADD  CONSTRAINT [DF_Parts_RowGuid]  DEFAULT (newid()) FOR [RowGuid]
GO
ALTER TABLE [dbo].[Parts] ADD  DEFAULT (getdate()) FOR [Changed]
GO
ALTER TABLE [dbo].[Parts]  WITH CHECK ADD  CONSTRAINT [FK_Parts_Kinds] FOREIGN KEY([KindID])
REFERENCES [dbo].[Kinds] ([KindID])
ON UPDATE CASCADE
ON DELETE SET NULL
GO
ALTER TABLE [dbo].[Parts] CHECK CONSTRAINT [FK_Parts_Kinds]
GO
ALTER TABLE [dbo].[Parts]  WITH NOCHECK ADD  CONSTRAINT [CK_Parts_Price] CHECK NOT FOR REPLICATION (([Price]>=(0)))
GO
SET ANSI_PADDING ON
GO
CREATE NONCLUSTERED INDEX [IX_Parts_Value] ON [dbo].[Parts] ([Value] ASC) WITH (FILLFACTOR = 80) ON [PRIMARY]
GO
CREATE UNIQUE NONCLUSTERED INDEX [UX_Parts_Name] ON [dbo].[Parts] ([Name]) INCLUDE ([Stock]) WHERE ([KindID] IS NOT NULL)
GO
EXEC sys.sp_addextendedproperty @name=N'MS_Description', @value=N'What we sell' , @level0type=N'SCHEMA',@level0name=N'dbo',
  @level1type=N'TABLE',@level1name=N'Parts'
GO
set identity_insert "Kinds" on
ALTER TABLE "Parts" NOCHECK CONSTRAINT ALL
INSERT "Kinds"("KindID","Name","Picture") VALUES(7,'Bolts',0x151C2F)
set identity_insert "Kinds" off
ALTER TABLE "Parts" CHECK CONSTRAINT ALL
GO
INSERT Parts (Name, KindID, Price, Stock) VALUES ('M8', 7, $1.25, 40), (N'M10', 7, DEFAULT, 2)
GO
create view "Parts by kind" AS
SELECT Kinds.Name AS Kind, Parts.Name, Parts."Value" FROM Kinds INNER JOIN Parts ON Kinds.KindID = Parts.KindID
GO
if exists (select * from sysobjects where id = object_id('dbo.Old') and sysstat & 0xf = 3)
	drop table "dbo"."Old"
GO
IF  EXISTS (SELECT * FROM sys.foreign_keys WHERE object_id = OBJECT_ID(N'[dbo].[FK_Parts_Kinds]')
  AND parent_object_id = OBJECT_ID(N'[dbo].[Parts]'))
ALTER TABLE [dbo].[Parts] DROP CONSTRAINT [FK_Parts_Kinds]
GO
"""

ENTITY_FRAMEWORK = """
IF OBJECT_ID(N'[__EFMigrationsHistory]') IS NULL
BEGIN
    CREATE TABLE [__EFMigrationsHistory] (
        [MigrationId] nvarchar(150) NOT NULL,
        CONSTRAINT [PK___EFMigrationsHistory] PRIMARY KEY ([MigrationId])
    );
END;
GO

BEGIN TRANSACTION;
GO

IF SCHEMA_ID(N'blog') IS NULL EXEC(N'CREATE SCHEMA [blog];');
GO

CREATE TABLE [blog].[Posts] (
    [Id] uniqueidentifier NOT NULL DEFAULT (NEWSEQUENTIALID()),
    [Title] nvarchar(100) NOT NULL DEFAULT N'',
    [Shown] bit NOT NULL DEFAULT CAST(1 AS bit),
    [Rating] decimal(18,2) NOT NULL DEFAULT 0.0,
    [Version] rowversion NULL,
    CONSTRAINT [PK_Posts] PRIMARY KEY ([Id]),
    CONSTRAINT [AK_Posts_Title] UNIQUE ([Title])
);
GO

ALTER TABLE [blog].[Posts] ADD [Slug] nvarchar(max) NOT NULL DEFAULT N'';
GO

DECLARE @var0 sysname;
SELECT @var0 = [d].[name]
FROM [sys].[default_constraints] [d]
INNER JOIN [sys].[columns] [c] ON [d].[parent_column_id] = [c].[column_id] AND [d].[parent_object_id] = [c].[object_id]
WHERE ([d].[parent_object_id] = OBJECT_ID(N'[blog].[Posts]') AND [c].[name] = N'Slug');
IF @var0 IS NOT NULL EXEC(N'ALTER TABLE [blog].[Posts] DROP CONSTRAINT [' + @var0 + '];');
ALTER TABLE [blog].[Posts] ALTER COLUMN [Slug] nvarchar(200) NOT NULL;
ALTER TABLE [blog].[Posts] ADD DEFAULT N'none' FOR [Slug];
GO

EXEC sp_rename N'[blog].[Posts].[Slug]', N'Handle', N'COLUMN';
GO

EXEC sp_rename N'[blog].[Posts]', N'Articles';
GO

COMMIT;
GO

SET IMPLICIT_TRANSACTIONS OFF;
SET NOCOUNT ON;
MERGE [blog].[Articles] USING (
VALUES (N'a', 1.0, 0),
(N'b', 2.0, 1)) AS i ([Title], [Rating], _Position) ON 1=0
WHEN NOT MATCHED THEN
INSERT ([Title], [Rating])
VALUES (i.[Title], i.[Rating])
OUTPUT INSERTED.[Handle], i._Position;
GO
"""


def run(client: Client, script: str) -> None:
    for batch in re.split(r"(?m)^GO$", script):
        if batch.strip():
            client.rows(batch)


def test_a_script_of_management_studio(client: Client) -> None:
    run(client, MANAGEMENT_STUDIO)
    assert client.rows('SELECT Kind, Name, Value FROM "Parts by kind" ORDER BY Name') == [
        ("Bolts", "M10", Decimal("1.0000")),
        ("Bolts", "M8", Decimal("50.0000")),
    ]
    assert client.value("SELECT value FROM sys.extended_properties WHERE major_id = OBJECT_ID('Parts')") == "What we sell"
    assert client.value("SELECT name FROM sys.stats WHERE has_filter = 1") == "UX_Parts_Name"
    assert client.error("INSERT Parts (Name, KindID) VALUES ('m8', 7)").number == 2601
    assert client.error("INSERT Parts (Name, Price) VALUES ('m8', -1)").number == 547
    assert client.run("INSERT Parts (Name, KindID) VALUES ('x', 99)").numbers == []  # its foreign key was dropped


def test_migrations_of_entity_framework(client: Client) -> None:
    run(client, ENTITY_FRAMEWORK)
    assert client.rows("SELECT Title, Rating, Handle FROM blog.Articles ORDER BY Title") == [
        ("a", Decimal("1.00"), "none"),
        ("b", Decimal("2.00"), "none"),
    ]


# --- constraints that are switched off ---

STAFF = """
CREATE TABLE Teams (Id int PRIMARY KEY);
CREATE TABLE Staff (Id int CONSTRAINT PK_Staff PRIMARY KEY, Team int CONSTRAINT FK_Team REFERENCES Teams,
    Age int CONSTRAINT CK_Age CHECK (Age > 0));
"""
SWITCHES = (
    "SELECT name, is_disabled, is_not_trusted FROM sys.check_constraints UNION ALL "
    "SELECT name, is_disabled, is_not_trusted FROM sys.foreign_keys ORDER BY name"
)


def test_constraints_can_be_switched_off_and_on(server: Server) -> None:
    session = server.client()
    session.rows(STAFF)
    session.rows("ALTER TABLE Staff NOCHECK CONSTRAINT ALL; INSERT Staff VALUES (1, 99, -5)")
    server.reopen()
    session = server.client()
    assert session.rows(SWITCHES) == [("CK_Age", 1, 1), ("FK_Team", 1, 1)]
    session.rows("ALTER TABLE Staff CHECK CONSTRAINT CK_Age, FK_Team")
    assert session.rows(SWITCHES) == [("CK_Age", 0, 1), ("FK_Team", 0, 1)]
    assert session.error("INSERT Staff VALUES (2, 99, 5)").number == 547
    assert session.error("INSERT Staff VALUES (2, NULL, -5)").number == 547
    assert session.error("ALTER TABLE Staff WITH CHECK CHECK CONSTRAINT CK_Age").number == 547
    session.rows("DELETE Staff; ALTER TABLE Staff WITH CHECK CHECK CONSTRAINT ALL")
    assert session.rows(SWITCHES) == [("CK_Age", 0, 0), ("FK_Team", 0, 0)]


def test_a_disabled_foreign_key_lets_parents_go(client: Client) -> None:
    client.rows(STAFF + "INSERT Teams VALUES (1); INSERT Staff VALUES (1, 1, 1); ALTER TABLE Staff NOCHECK CONSTRAINT FK_Team")
    client.rows("DELETE Teams")
    assert client.rows("SELECT Team FROM Staff") == [(1,)]


def test_a_constraint_added_without_check_holds_for_new_rows(client: Client) -> None:
    client.rows(STAFF + "INSERT Staff VALUES (1, NULL, 70)")
    assert client.error("ALTER TABLE Staff ADD CONSTRAINT CK_Old CHECK (Age < 50)").number == 547
    client.rows("ALTER TABLE Staff WITH NOCHECK ADD CONSTRAINT CK_Old CHECK (Age < 50)")
    assert client.error("INSERT Staff VALUES (2, NULL, 60)").number == 547


@pytest.mark.parametrize(("name", "number"), [("Nope", 4917), ("PK_Staff", 11415)])
def test_only_checks_and_foreign_keys_can_be_switched(client: Client, name: str, number: int) -> None:
    client.rows(STAFF)
    assert client.error(f"ALTER TABLE Staff NOCHECK CONSTRAINT {name}").number == number


@pytest.mark.parametrize(
    ("script", "refused"),
    [
        ("CREATE TABLE A (Id int PRIMARY KEY, B int REFERENCES A ON DELETE CASCADE)", True),
        ("CREATE TABLE A (Id int PRIMARY KEY, B int REFERENCES A)", False),
        (
            "CREATE TABLE A (B int REFERENCES Teams ON DELETE CASCADE, C int REFERENCES Teams ON DELETE SET NULL)",
            True,
        ),
        (
            "CREATE TABLE A (B int REFERENCES Teams ON DELETE CASCADE, C int REFERENCES Teams ON UPDATE CASCADE)",
            False,
        ),
        (
            "CREATE TABLE A (Id int PRIMARY KEY, B int REFERENCES Teams ON DELETE CASCADE);"
            "CREATE TABLE B (Id int PRIMARY KEY, A int REFERENCES A ON DELETE CASCADE, T int REFERENCES Teams ON DELETE CASCADE)",
            True,
        ),
        (
            "CREATE TABLE A (Id int PRIMARY KEY, B int REFERENCES Teams ON DELETE CASCADE);"
            "CREATE TABLE B (Id int PRIMARY KEY, A int REFERENCES A ON DELETE CASCADE, T int REFERENCES Teams)",
            False,
        ),
    ],
)
def test_a_cascade_reaches_each_table_once(client: Client, script: str, refused: bool) -> None:
    client.rows(STAFF)
    assert client.run(script).numbers == ([1785] if refused else [])


@pytest.mark.parametrize(
    "definition",
    ["CHECK (A > B)", "INDEX I (B) WHERE A > 0", "INDEX I (B) INCLUDE (A)", "C AS A + 1"],
)
def test_a_column_that_others_need_stays(client: Client, definition: str) -> None:
    client.rows(f"CREATE TABLE T (Id int PRIMARY KEY, A int, B int, {definition})")
    assert client.error("ALTER TABLE T DROP COLUMN A").number == 5074


# --- views that hold their tables ---


def test_a_schema_bound_view_holds_its_table(client: Client) -> None:
    client.rows("CREATE TABLE T (Id int PRIMARY KEY, A int, B int)")
    client.rows("CREATE VIEW dbo.V WITH SCHEMABINDING AS SELECT Id, A FROM dbo.T")
    assert client.error("DROP TABLE T").number == 3729
    assert client.error("ALTER TABLE T DROP COLUMN A").number == 5074
    assert client.error("EXEC sp_rename 'T.A', 'Z', 'COLUMN'").number == 15336
    client.rows("ALTER TABLE T DROP COLUMN B")
    client.rows("DROP VIEW V")
    client.rows("DROP TABLE T")


@pytest.mark.parametrize(("query", "number"), [("SELECT * FROM dbo.T", 1054), ("SELECT Id FROM (SELECT Id FROM T) d", 4512)])
def test_what_a_schema_bound_view_may_not_say(client: Client, query: str, number: int) -> None:
    client.rows("CREATE TABLE T (Id int PRIMARY KEY)")
    assert client.error(f"CREATE VIEW dbo.V WITH SCHEMABINDING AS {query}").number == number


# --- sp_rename and extended properties ---


def test_sp_rename_of_everything_that_has_a_name(server: Server) -> None:
    session = server.client()
    session.rows(STAFF + "CREATE INDEX IX_Age ON Staff (Age); INSERT Teams VALUES (1); INSERT Staff VALUES (1, 1, 5)")
    outcome = session.run(
        "EXEC sp_rename 'Teams.Id', 'TeamId', 'COLUMN'; EXEC sp_rename 'Staff.Team', 'TeamOfIt', 'COLUMN';"
        "EXEC sp_rename 'dbo.Staff', 'People'; EXEC sp_rename 'PK_Staff', 'PK_People'; EXEC sp_rename 'CK_Age', 'CK_A';"
        "EXEC sp_rename 'People.IX_Age', 'IX_A', 'INDEX'"
    )
    assert outcome.numbers == [] and {message.number for message in outcome.messages} == {15477}
    server.reopen()
    session = server.client()
    assert session.rows("SELECT TeamOfIt FROM People") == [(1,)]
    assert "FK_Team" in str(session.error("INSERT People VALUES (2, 9, 9)"))
    assert session.error("DELETE Teams WHERE TeamId = 1").number == 547
    assert session.error("INSERT People VALUES (1, 1, 1)").number == 2627
    assert session.rows("SELECT name FROM sys.indexes WHERE object_id = OBJECT_ID('People') ORDER BY name") == [
        ("IX_A",),
        ("PK_People",),
    ]


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        ("'Nope', 'X'", 15225),
        ("'Staff', 'teams'", 15335),
        ("'Staff.Nope', 'X', 'COLUMN'", 15248),
        ("'Staff.Team', 'Age', 'COLUMN'", 15335),
        ("'Staff.Age', 'X', 'COLUMN'", 15336),  # its CHECK names it
        ("'rowpost', 'X', 'DATABASE'", 40517),
        ("'Staff'", 201),
    ],
)
def test_names_that_cannot_be_changed(client: Client, arguments: str, number: int) -> None:
    client.rows(STAFF)
    assert client.error(f"EXEC sp_rename {arguments}").number == number


def test_a_renamed_table_stays_tracked(client: Client) -> None:
    client.rows("ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON")
    client.rows(STAFF + "ALTER TABLE Staff ENABLE CHANGE_TRACKING; INSERT Staff VALUES (1, NULL, 5)")
    client.rows("EXEC sp_rename 'Staff', 'People'; EXEC sp_rename 'People.Id', 'No', 'COLUMN'; INSERT People VALUES (2, NULL, 6)")
    assert client.rows("SELECT No FROM CHANGETABLE(CHANGES People, 0) c ORDER BY No") == [(1,), (2,)]


def test_comments_of_tables_and_columns(client: Client) -> None:
    client.rows(STAFF)
    place = "'SCHEMA', 'dbo', 'TABLE', 'Staff'"
    client.rows(f"EXEC sp_addextendedproperty 'MS_Description', 'people', {place}")
    client.rows(f"EXEC sp_addextendedproperty 'MS_Description', 'years', {place}, 'COLUMN', 'Age'")
    assert client.error(f"EXEC sp_addextendedproperty 'MS_Description', 'x', {place}").number == 15233
    client.rows(f"EXEC sp_updateextendedproperty 'MS_Description', 'all people', {place}")
    listed = "SELECT objtype, objname, value FROM fn_listextendedproperty('MS_Description', 'schema', 'dbo', 'table', 'Staff', {})"
    assert client.rows(listed.format("NULL, NULL")) == [("TABLE", "Staff", "all people")]
    assert client.rows(listed.format("'column', default")) == [("COLUMN", "Age", "years")]
    client.rows(f"EXEC sp_dropextendedproperty 'MS_Description', {place}")
    assert client.error(f"EXEC sp_dropextendedproperty 'MS_Description', {place}").number == 15217
    assert client.error("EXEC sp_addextendedproperty 'x', 'y', 'SCHEMA', 'dbo', 'TABLE', 'Nope'").number == 15135
    client.rows("DROP TABLE Staff")
    assert client.rows("SELECT 1 FROM sys.extended_properties") == []


def test_information_schema_of_checks(client: Client) -> None:
    client.rows(STAFF)
    assert client.rows("SELECT CONSTRAINT_NAME, CHECK_CLAUSE FROM INFORMATION_SCHEMA.CHECK_CONSTRAINTS") == [
        ("CK_Age", "(Age > 0)")
    ]
    used = "SELECT COLUMN_NAME FROM INFORMATION_SCHEMA.CONSTRAINT_COLUMN_USAGE WHERE CONSTRAINT_NAME = 'CK_Age'"
    assert client.rows(used) == [("Age",)]


# --- what is refused says what it is ---


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("SELECT * FROM (SELECT 1 AS a, 2 AS b) s PIVOT (SUM(a) FOR b IN ([1])) p", "PIVOT"),
        ("SELECT * FROM (SELECT 1 AS a) s UNPIVOT (v FOR c IN (a)) u", "UNPIVOT"),
        ("SELECT SUM(1) OVER w FROM sys.objects WINDOW w AS (ORDER BY name)", "OVER with the name of a window"),
        ("SELECT JSON_OBJECT('a':1)", "JSON_OBJECT"),
        ("SELECT TRY_PARSE('1' AS int)", "TRY_PARSE"),
        ("SELECT FORMAT(1, 'N2')", "FORMAT"),
        ("SELECT DATE_BUCKET(week, 1, GETDATE())", "DATE_BUCKET"),
        ("SELECT GROUPING(name) FROM sys.objects GROUP BY name", "GROUPING"),
        ("EXEC sp_helptext 'x'", "sp_helptext"),
        ("CREATE SYNONYM s FOR t", "CREATE SYNONYM"),
        ("CREATE TYPE t AS TABLE (A int)", "CREATE TYPE … AS"),
        ("CREATE TABLE t (a sql_variant PRIMARY KEY)", "sql_variant"),
        ("CREATE VIEW v WITH ENCRYPTION AS SELECT 1 AS a", "ENCRYPTION"),
        ("SELECT JSON_VALUE(N'{\"a\":\"\\ud83d\"}', '$.a')", "surrogate"),
        ("SELECT value FROM OPENJSON(N'[\"\\ud83d\"]')", "surrogate"),
    ],
)
def test_refusals_name_what_they_refuse(client: Client, sql: str, named: str) -> None:
    error = client.error(sql)
    assert (error.number, named in str(error)) == (40517, True), str(error)


def test_dbcc_checkident_sets_the_next_identity(server: Server) -> None:
    session = server.client()
    session.rows("CREATE TABLE T (Id int IDENTITY(1, 2) PRIMARY KEY, A int)")
    outcome = session.run("DBCC CHECKIDENT ('T', RESEED, 10)")
    assert [message.number for message in outcome.messages] == [7998, 2528]
    session.rows("INSERT T (A) VALUES (1)")
    assert session.value("SELECT MAX(Id) FROM T") == 10  # a table that never had a row begins with it
    session.rows("DELETE T; DBCC CHECKIDENT (T, RESEED, 0) WITH NO_INFOMSGS")
    server.reopen()
    session = server.client()
    session.rows("INSERT T (A) VALUES (1)")
    assert session.rows("SELECT Id FROM T") == [(2,)]
    assert session.error("DBCC CHECKIDENT ('Nope')").number == 2501
    session.rows("CREATE TABLE U (A int)")
    assert session.error("DBCC CHECKIDENT ('U')").number == 7997
    assert session.error("DBCC CHECKDB").number == 40517


@pytest.mark.parametrize(
    ("condition", "number"),
    [
        ("A IS NOT NULL AND (B > 1) AND C IN (1, 2)", None),
        ("A = 1 OR B = 1", 10735),
        ("A LIKE 'x%'", 10735),
        ("A = B", 10735),
        ("A NOT IN (1)", 10735),
    ],
)
def test_what_a_filtered_index_may_ask(client: Client, condition: str, number: int | None) -> None:
    client.rows("CREATE TABLE T (A int, B int, C int)")
    assert client.run(f"CREATE INDEX I ON T (A) WHERE {condition}").numbers == ([] if number is None else [number])
