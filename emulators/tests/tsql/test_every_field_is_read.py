"""Whatever the parser of the SQL Server emulator puts into its tree, a compiler reads: what is not read is passed over in silence.

Statements of every kind run while each read of a field is noted. Reads by the parser itself, and by walks over all fields, do not
count.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest

from emulators.sql_server.parser import tree
from emulators.tests.tsql.database import Server

PARSER = str(Path(tree.__file__).parent.parent)
WALKS = frozenset({"search", "variables_in", "__eq__", "__repr__", "__init__"})
UNREAD = {
    "ConstraintSyntax.with_values": "the parser moves it to the column; for a column that exists WITH VALUES has no effect",
    "Select.into": "the statement has it, see QueryStatement.into",
    "Commit.name": "the real server ignores it",
}

SCRIPT = """
CREATE TABLE dbo.A (Id int IDENTITY(1, 1) NOT NULL PRIMARY KEY, N int NULL CONSTRAINT DF_N DEFAULT 1, T nvarchar(20) COLLATE
Latin1_General_CS_AS,
    C AS N * 2 PERSISTED, M nvarchar(9) MASKED WITH (FUNCTION = 'default()'), CONSTRAINT CK_N CHECK (N > 0), INDEX IX_T UNIQUE
NONCLUSTERED (T DESC)
    INCLUDE (N) WHERE N > 5)
GO
CREATE TABLE dbo.B (Id int REFERENCES dbo.A (Id) ON DELETE CASCADE ON UPDATE SET NULL, V int)
GO
ALTER TABLE dbo.A ADD E int NULL DEFAULT 3 WITH VALUES
GO
ALTER TABLE dbo.A WITH NOCHECK ADD CONSTRAINT CK_E CHECK (E > 0)
GO
ALTER TABLE dbo.A WITH CHECK CHECK CONSTRAINT CK_E
GO
ALTER TABLE dbo.A ALTER COLUMN M ADD MASKED WITH (FUNCTION = 'partial(1, "x", 0)')
GO
ALTER TABLE dbo.A DROP CONSTRAINT IF EXISTS CK_E, CK_None
GO
CREATE UNIQUE CLUSTERED INDEX CX ON dbo.B (V DESC) WHERE V > 1
GO
CREATE INDEX IX ON dbo.B (Id) INCLUDE (V)
GO
ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)
GO
ALTER TABLE dbo.A ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)
GO
ALTER DATABASE CURRENT SET READ_WRITE WITH ROLLBACK IMMEDIATE
GO
WITH CHANGE_TRACKING_CONTEXT (0x01), q AS (SELECT 1 AS N) INSERT TOP (2) dbo.A (N) OUTPUT inserted.Id INTO dbo.B (Id) SELECT N
FROM q
GO
INSERT dbo.A (N, T) VALUES (2, N'x'), (DEFAULT, N'y')
GO
WITH CHANGE_TRACKING_CONTEXT (0x01), q AS (SELECT 1 AS N) UPDATE TOP (1) t SET N += 1 OUTPUT deleted.N FROM dbo.A AS t WHERE
t.N IN (SELECT N FROM q)
GO
WITH CHANGE_TRACKING_CONTEXT (0x01), q (N) AS (SELECT 99) DELETE TOP (1) t OUTPUT deleted.Id FROM dbo.A AS t JOIN q ON q.N =
t.N WHERE t.Id > 5
GO
WITH CHANGE_TRACKING_CONTEXT (0x01), q (N) AS (SELECT 99) MERGE TOP (1) dbo.A WITH (HOLDLOCK) AS t USING q AS s ON s.N = t.N
WHEN MATCHED AND t.N > 1 THEN UPDATE SET N = s.N WHEN NOT MATCHED THEN INSERT (N) VALUES (s.N)
WHEN NOT MATCHED BY SOURCE AND t.N = 77 THEN DELETE OUTPUT $action, inserted.Id;
GO
WITH r (N) AS (SELECT 1 UNION ALL SELECT N + 1 FROM r WHERE N < 3) SELECT DISTINCT TOP (2) r.N AS X, SUM(N) OVER (PARTITION BY
N ORDER BY N DESC
ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM r WHERE N BETWEEN 0 AND 9 AND NOT N = 7 OR N IS NULL OR N IS DISTINCT FROM 3
ORDER BY X DESC
OPTION (MAXRECURSION 5)
GO
SELECT t.N, COUNT(DISTINCT t.Id), STRING_AGG(t.T, N',') WITHIN GROUP (ORDER BY t.Id DESC) FROM dbo.A AS t (NOLOCK) LEFT JOIN
(SELECT 1 AS Q) AS d (Z) ON d.Z = t.N
GROUP BY t.N HAVING COUNT(*) > 0 ORDER BY t.N OFFSET 0 ROWS FETCH NEXT 5 ROWS ONLY
GO
SELECT 1 AS a INTO #into UNION ALL SELECT 2
GO
SELECT A.* FROM dbo.A ORDER BY Id FOR JSON PATH, ROOT('r'), INCLUDE_NULL_VALUES
GO
SELECT 1 AS a FOR JSON PATH, WITHOUT_ARRAY_WRAPPER
GO
SELECT * FROM OPENJSON(N'{"a": [{"b": 1}]}', '$.a') WITH (b int '$.b', c nvarchar(max) '$.c' AS JSON) AS j
GO
SELECT * FROM CHANGETABLE(CHANGES dbo.A, 0) AS c (v, w, o, m, x, k) CROSS APPLY STRING_SPLIT(N'a b', N' ') AS s (part)
GO
SELECT * FROM CHANGETABLE(VERSION dbo.A, (Id), (1)) AS c (v, x, k)
GO
DECLARE @v int = 3, @t TABLE (A int), @s nvarchar(9); SET @v += 1; INSERT @t VALUES (@v); UPDATE x SET A = 1 FROM @t AS x;
SELECT @s = N'q', @v = A FROM @t
SELECT @v = @v + A FROM @t
SELECT CASE @v WHEN 1 THEN 2 ELSE 3 END, CASE WHEN @v = 1 THEN 2 END, CONVERT(varchar(9), GETDATE(), 112), TRY_CAST('x' AS
int), @@ROWCOUNT, -@v, @v % 2
SELECT 1 WHERE N'a' LIKE N'a!%' ESCAPE N'!' AND EXISTS (SELECT 1) AND 1 >= ALL (SELECT 1) AND N'a' COLLATE Latin1_General_CS_AS
NOT IN (N'b', N'c')
SELECT SYSDATETIME() AT TIME ZONE N'UTC', (SELECT 1), NULL, COUNT(*) FROM dbo.A WHERE Id NOT IN (SELECT 5)
GO
IF 1 = 2 PRINT N'x' ELSE BEGIN TRY RAISERROR (N'a %d', 11, 1, 5) WITH NOWAIT END TRY BEGIN CATCH PRINT ERROR_MESSAGE() END CATCH
DECLARE @i int = 0; WHILE @i < 2 BEGIN SET @i += 1; IF @i = 1 CONTINUE; BREAK END
BEGIN TRANSACTION one; SAVE TRANSACTION two; ROLLBACK TRANSACTION two; COMMIT TRANSACTION one
BEGIN TRANSACTION; ROLLBACK
WAITFOR DELAY '00:00:00'
EXEC (N'SELECT 1'); SET NOCOUNT ON; SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET IDENTITY_INSERT dbo.A ON; SET
IDENTITY_INSERT dbo.A OFF
DECLARE @r int; EXEC @r = sp_executesql N'SET @o = @a', N'@a int, @o int OUTPUT', @a = 1, @o = @r OUTPUT
DBCC CHECKIDENT ('dbo.A', RESEED, 50) WITH NO_INFOMSGS
USE rowpost; RETURN
GO
BEGIN TRY THROW 50001, N'x', 1 END TRY BEGIN CATCH PRINT N'y' END CATCH
GO
CREATE SCHEMA other AUTHORIZATION dbo
GO
ALTER AUTHORIZATION ON SCHEMA::other TO dbo
GO
CREATE OR ALTER VIEW dbo.W (Q) WITH SCHEMABINDING AS SELECT V FROM dbo.B
GO
ALTER VIEW dbo.W AS SELECT 1 AS Q
GO
CREATE OR ALTER FUNCTION dbo.F (@a int) RETURNS TABLE WITH SCHEMABINDING AS RETURN SELECT 1 AS ok WHERE @a = 1
GO
ALTER FUNCTION dbo.F (@a int) RETURNS TABLE WITH SCHEMABINDING AS RETURN SELECT 1 AS ok WHERE @a = 1
GO
SELECT * FROM dbo.F(1) AS f (ok2)
GO
CREATE SECURITY POLICY dbo.P ADD FILTER PREDICATE dbo.F(V) ON dbo.B WITH (STATE = ON) NOT FOR REPLICATION
GO
DROP SECURITY POLICY IF EXISTS dbo.P
GO
CREATE LOGIN l WITH PASSWORD = 'Secret!2026'; CREATE USER u FOR LOGIN l; CREATE ROLE r; ALTER ROLE r ADD MEMBER u
GRANT SELECT ON OBJECT::dbo.A TO u; DENY INSERT ON dbo.B TO r; REVOKE INSERT ON dbo.B FROM r; DROP ROLE IF EXISTS none
GO
CREATE SEQUENCE dbo.S AS int START WITH 1; ALTER SEQUENCE dbo.S RESTART; CREATE TYPE dbo.Y FROM int NULL
SELECT NEXT VALUE FOR dbo.S
GO
TRUNCATE TABLE dbo.B; DROP INDEX IX ON dbo.B; DROP TABLE IF EXISTS dbo.B, dbo.None
"""


def node_classes() -> list[type]:
    return [item for item in vars(tree).values() if isinstance(item, type) and dataclasses.is_dataclass(item)]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Class and field of every read outside the parser."""
    found: set[tuple[str, str]] = set()

    def watch(self: Any, name: str) -> Any:
        caller = sys._getframe(1).f_code
        if not caller.co_filename.startswith((PARSER, "<")) and caller.co_name not in WALKS:
            found.add((type(self).__name__, name))
        return object.__getattribute__(self, name)

    for node in node_classes():
        monkeypatch.setattr(node, "__getattribute__", watch, raising=False)
    return found


def test_every_field_of_the_tree_is_read(tmp_path: Path, reads: set[tuple[str, str]]) -> None:
    server = Server(tmp_path)
    client = server.client()
    failed = [(batch, outcome.numbers) for batch in SCRIPT.split("\nGO\n") if (outcome := client.run(batch)).numbers]
    server.database.close()
    fields = {f"{node.__name__}.{item.name}" for node in node_classes() for item in dataclasses.fields(node)}
    fields -= {f"{node.__name__}.{item.name}" for node in node_classes() for item in dataclasses.fields(tree.Statement)}
    unread = fields - {f"{owner}.{name}" for owner, name in reads}
    assert sorted(unread - set(UNREAD)) == []
    assert sorted(set(UNREAD) - unread) == [], "read after all"
    assert failed == []
