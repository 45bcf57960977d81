"""What SQLAlchemy's ORM does over pyodbc: relationships, many rows at once, upserts, reflection, isolation levels."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import quote_plus

import pytest
from sqlalchemy import (
    JSON,
    CheckConstraint,
    Computed,
    Engine,
    ForeignKey,
    Index,
    LargeBinary,
    Numeric,
    String,
    Unicode,
    create_engine,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, joinedload, mapped_column, relationship, selectinload

from emulators.launch import SqlServer


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "people"
    __table_args__ = ({"comment": "everybody"},)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(30), unique=True, comment="as it is called")
    nick: Mapped[str | None] = mapped_column(Unicode(30))
    price: Mapped[Decimal] = mapped_column(Numeric(12, 3), default=1)
    active: Mapped[bool] = mapped_column(default=True)
    key: Mapped[uuid.UUID] = mapped_column(default=uuid.uuid4)
    data: Mapped[dict | None] = mapped_column(JSON)
    blob: Mapped[bytes | None] = mapped_column(LargeBinary)
    born: Mapped[dt.date | None]
    made: Mapped[dt.datetime] = mapped_column(server_default=func.sysutcdatetime())
    addresses: Mapped[list[Address]] = relationship(back_populates="person", cascade="all, delete-orphan")


class Address(Base):
    __tablename__ = "addresses"
    id: Mapped[int] = mapped_column(primary_key=True)
    mail: Mapped[str] = mapped_column(Unicode(100), index=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"))
    twice: Mapped[int] = mapped_column(Computed("[person_id] * 2", persisted=True))
    person: Mapped[Person] = relationship(back_populates="addresses")
    __table_args__ = (
        Index("ix_person", "person_id", mssql_where=text("person_id > 0"), mssql_include=["mail"]),
        CheckConstraint("len(mail) > 1", name="ck_mail"),
    )


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with SqlServer(tmp_path_factory.mktemp("sqlalchemy"), "real") as server:
        made = create_engine("mssql+pyodbc:///?odbc_connect=" + quote_plus(server.odbc_connection_string))
        yield made
        made.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    Base.metadata.create_all(engine)
    with Session(engine) as opened:
        yield opened
    Base.metadata.drop_all(engine)


def test_objects_with_relationships_come_back_as_they_were(session: Session) -> None:
    person = Person(name="Ada", data={"x": [1, "ä"]}, blob=b"\0\xff", born=dt.date(1815, 12, 10))
    person.addresses = [Address(mail="a@b"), Address(mail="ä@😀")]
    session.add(person)
    session.commit()
    session.expire_all()
    for option in (selectinload(Person.addresses), joinedload(Person.addresses)):
        found = session.scalars(select(Person).options(option).where(Person.name == "ADA")).unique().one()
        assert [(address.mail, address.twice) for address in found.addresses] == [("a@b", 2), ("ä@😀", 2)]
        assert (found.data, found.blob, found.born, found.price) == ({"x": [1, "ä"]}, b"\0\xff", dt.date(1815, 12, 10), 1)
        assert (found.key, found.active) == (person.key, True)
    session.delete(found)
    session.commit()
    assert session.scalar(select(func.count()).select_from(Address)) == 0


def test_many_rows_at_once_come_back_in_their_order(session: Session) -> None:
    names = [f"n{number}" for number in range(300)]
    rows = session.scalars(insert(Person).returning(Person, sort_by_parameter_order=True), [{"name": name} for name in names]).all()
    assert [row.name for row in rows] == names
    session.execute(update(Person), [{"id": row.id, "nick": row.name.upper()} for row in rows[:50]])
    changed = update(Person).where(Person.id < rows[2].id).values(price=Person.price + 1).returning(Person.nick, Person.price)
    assert sorted(session.execute(changed).all()) == [("N0", Decimal(2)), ("N1", Decimal(2))]
    page = select(Person.name).order_by(Person.id).limit(2).offset(10)
    assert session.scalars(page).all() == ["n10", "n11"]


def test_an_upsert_and_a_savepoint(session: Session) -> None:
    merge = text(
        "MERGE people WITH (HOLDLOCK) AS t USING (SELECT :name AS name, :nick AS nick) AS s ON t.name = s.name "
        "WHEN MATCHED THEN UPDATE SET nick = s.nick "
        "WHEN NOT MATCHED THEN INSERT (name, nick, price, active, [key]) VALUES (s.name, s.nick, 1, 1, NEWID()) "
        "OUTPUT $action, inserted.nick;"
    )
    assert session.execute(merge, {"name": "Ada", "nick": "a"}).all() == [("INSERT", "a")]
    assert session.execute(merge, {"name": "ada", "nick": "b"}).all() == [("UPDATE", "b")]
    savepoint = session.begin_nested()
    session.add(Person(name="ADA"))
    with pytest.raises(IntegrityError):
        session.flush()
    savepoint.rollback()
    session.add(Person(name="Bob"))
    session.commit()
    assert session.scalars(select(Person.name).order_by(Person.name)).all() == ["Ada", "Bob"]


def test_reflection_finds_comments_checks_and_computed_columns(session: Session, engine: Engine) -> None:
    found = inspect(engine)
    assert found.get_table_comment("people") == {"text": "everybody"}
    assert {column["name"]: column["comment"] for column in found.get_columns("people")}["name"] == "as it is called"
    computed = {column["name"]: column.get("computed") for column in found.get_columns("addresses")}["twice"]
    assert computed is not None and computed["persisted"]
    (index,) = [index for index in found.get_indexes("addresses") if index["name"] == "ix_person"]
    assert index["column_names"] == ["person_id"] and index["dialect_options"]["mssql_include"] == ["mail"]
    (key,) = found.get_foreign_keys("addresses")
    assert (key["referred_table"], key["options"]) == ("people", {"ondelete": "CASCADE"})


def test_isolation_levels_are_told_and_put_back(session: Session, engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.get_isolation_level() == "READ COMMITTED"
    with engine.connect().execution_options(isolation_level="SERIALIZABLE") as connection:
        assert connection.get_isolation_level() == "SERIALIZABLE"
    with engine.connect() as connection:
        assert connection.get_isolation_level() == "READ COMMITTED"
