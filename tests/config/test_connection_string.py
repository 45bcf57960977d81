"""The connection string: what SqlClient's keywords become for the ODBC driver, and what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rowpost.config.connection_string import OdbcConnection, translate
from rowpost.config.errors import ConfigError

BASE = "Server=sql.example;Database=rowpost;"
SECRET = "hidden-Pa55"


def read(text: str) -> OdbcConnection:
    return translate(text, "SqlConnectionString", "ODBC Driver 18 for SQL Server")


def odbc(text: str) -> dict[str, str]:
    return parse_odbc(read(text).text)


def parse_odbc(text: str) -> dict[str, str]:
    """Read an ODBC connection string by its rules: braces end at a brace that is not doubled; other values lose outer blanks."""
    pairs: dict[str, str] = {}
    position = 0
    while position < len(text):
        equals = text.index("=", position)
        keyword = text[position:equals]
        position = equals + 1
        if text[position : position + 1] == "{":
            value, position = "", position + 1
            while True:
                end = text.index("}", position)
                value += text[position:end]
                position = end + 1
                if text[position : position + 1] != "}":
                    break
                value, position = value + "}", position + 1
            assert text[position : position + 1] in ("", ";"), "nothing stands between a closing brace and the semicolon"
        else:
            end = text.find(";", position)
            end = len(text) if end < 0 else end
            value, position = text[position:end].strip(), end
        assert keyword not in pairs, "each keyword once: drivers differ in which one wins"
        pairs[keyword] = value
        position += 1
    return pairs


def ado_net_quoted(value: str, quote: str) -> str:
    return quote + value.replace(quote, quote * 2) + quote


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        read(text)
    error, told = refused.value, str(refused.value)
    assert told.startswith("SqlConnectionString: ") and "\n" not in told and SECRET not in told
    assert error.__context__ is None or error.__suppress_context__, "no second message that could quote the value"
    return told


SYNONYMS = [
    ("Server", "Server", "sql.example"),
    ("Data Source", "Server", "sql.example"),
    ("DataSource", "Server", "sql.example"),
    ("Address", "Server", "sql.example"),
    ("Addr", "Server", "sql.example"),
    ("Network Address", "Server", "tcp:sql.example,1433"),
    ("Database", "Database", "rowpost"),
    ("Initial Catalog", "Database", "rowpost"),
    ("User ID", "UID", "sa"),
    ("UID", "UID", "sa"),
    ("User", "UID", "sa"),
    ("Password", "PWD", SECRET),
    ("PWD", "PWD", SECRET),
    ("Application Name", "APP", "relay"),
    ("App", "APP", "relay"),
    ("Workstation ID", "WSID", "host-1"),
    ("WSID", "WSID", "host-1"),
    ("Current Language", "Language", "us_english"),
    ("Language", "Language", "us_english"),
    ("Host Name In Certificate", "HostNameInCertificate", "*.database.windows.net"),
    ("HostNameInCertificate", "HostNameInCertificate", "sql.example"),
    ("Server Certificate", "ServerCertificate", "/certificates/sql.pem"),
    ("ServerSPN", "ServerSPN", "MSSQLSvc/sql.example:1433"),
    ("Failover Partner", "Failover_Partner", "sql2.example"),
    ("Connect Retry Count", "ConnectRetryCount", "3"),
    ("ConnectRetryInterval", "ConnectRetryInterval", "10"),
]


@pytest.mark.parametrize(("keyword", "expected", "value"), SYNONYMS, ids=[keyword for keyword, *_ in SYNONYMS])
@pytest.mark.parametrize(
    "spelling", [str, str.upper, str.lower, lambda text: f"\n  {text}\t"], ids=["as is", "upper", "lower", "blanks"]
)
def test_every_synonym_in_any_spelling(keyword: str, expected: str, value: str, spelling: type[str]) -> None:
    rest = "".join(part for part in ("Server=sql.example;", "Database=rowpost;") if not part.startswith(f"{expected}="))
    assert odbc(f"{rest}{spelling(keyword)} = {value} ;")[expected] == value


@pytest.mark.parametrize(
    ("pair", "keyword", "value"),
    [
        ("Encrypt=Mandatory", "Encrypt", "yes"),
        ("Encrypt=true", "Encrypt", "yes"),
        ("encrypt=YES", "Encrypt", "yes"),
        ("Encrypt=Optional", "Encrypt", "no"),
        ("Encrypt=False", "Encrypt", "no"),
        ("Encrypt=no", "Encrypt", "no"),
        ("Encrypt=Strict", "Encrypt", "strict"),
        ("Trust Server Certificate=True", "TrustServerCertificate", "yes"),
        ("TrustServerCertificate=false", "TrustServerCertificate", "no"),
        ("Integrated Security=SSPI", "Trusted_Connection", "yes"),
        ("Integrated Security=true", "Trusted_Connection", "yes"),
        ("Trusted_Connection=no", "Trusted_Connection", "no"),
        ("Application Intent=readwrite", "ApplicationIntent", "ReadWrite"),
        ("ApplicationIntent=ReadOnly", "ApplicationIntent", "ReadOnly"),
        ("MultiSubnetFailover=True", "MultiSubnetFailover", "yes"),
        ("Multiple Active Result Sets=true", "MARS_Connection", "yes"),
        ("MultipleActiveResultSets=False", "MARS_Connection", "no"),
        ("Authentication=Sql Password", "Authentication", "SqlPassword"),
        ("Authentication=Active Directory Password", "Authentication", "ActiveDirectoryPassword"),
        ("Authentication=ActiveDirectoryIntegrated", "Authentication", "ActiveDirectoryIntegrated"),
        ("Authentication=Active Directory Interactive", "Authentication", "ActiveDirectoryInteractive"),
        ("Authentication=Active Directory Service Principal", "Authentication", "ActiveDirectoryServicePrincipal"),
        ("Authentication='Active Directory Managed Identity'", "Authentication", "ActiveDirectoryMsi"),
        ("Authentication=active directory msi", "Authentication", "ActiveDirectoryMsi"),
    ],
)
def test_values_that_the_driver_spells_differently(pair: str, keyword: str, value: str) -> None:
    assert odbc(f"{BASE}{pair}")[keyword] == value


def test_nothing_is_added_but_the_driver_and_the_name_of_the_app() -> None:
    assert odbc(BASE) == {
        "Driver": "ODBC Driver 18 for SQL Server",
        "Server": "sql.example",
        "Database": "rowpost",
        "APP": "rowpost",
    }
    path = "/opt/odd {path}/libmsodbcsql-18.so;x"
    assert parse_odbc(translate(BASE, "S", path).text)["Driver"] == path


def test_a_system_assigned_identity_needs_no_user() -> None:
    pairs = odbc(f"{BASE}Authentication=Active Directory Managed Identity;Encrypt=True")
    assert pairs["Authentication"] == "ActiveDirectoryMsi" and "UID" not in pairs and "PWD" not in pairs


def test_a_user_assigned_identity_is_named_by_its_client_id() -> None:
    client = "6f1d6c5e-0a5c-4a44-9c40-8cf0f0f7a001"
    pairs = odbc(f"{BASE}Authentication=Active Directory Managed Identity;User Id={client};Password={SECRET}")
    assert pairs["UID"] == client
    assert "PWD" not in pairs, "the driver refuses a password beside a managed identity"


def test_timeouts_are_pyodbcs_own_arguments() -> None:
    default = read(BASE)
    assert (default.login_timeout_seconds, default.command_timeout_seconds) == (15, 30)
    for keyword in ("Connect Timeout", "Connection Timeout", "ConnectTimeout", "Timeout"):
        found = read(f"{BASE}{keyword}=60;Command Timeout=120")
        assert (found.login_timeout_seconds, found.command_timeout_seconds) == (60, 120)
        assert "imeout" not in found.text
    assert read(f"{BASE}Command Timeout=0").command_timeout_seconds == 0


def test_keywords_of_the_triggers_own_pool_say_nothing_to_the_driver() -> None:
    pool = (
        "Pooling=true;Max Pool Size=50;Min Pool Size=1;Connection Lifetime=0;Load Balance Timeout=0;"
        "Persist Security Info=False;Enlist=false;Pool Blocking Period=Auto"
    )
    assert read(BASE + pool) == read(BASE)


def test_the_last_of_several_wins_as_in_sqlclient() -> None:
    pairs = odbc("Data Source=old;Server=new;Database=a;Initial Catalog=b")
    assert (pairs["Server"], pairs["Database"]) == ("new", "b")


def test_blanks_and_semicolons_around_pairs_are_allowed() -> None:
    assert odbc(f" ;; Server = sql.example ;;\n Database = rowpost ; ; PWD='{SECRET};' ; ;")["PWD"] == f"{SECRET};"


def test_the_server_and_the_database_are_known_for_messages() -> None:
    found = read('Server="tcp:sql.example,1433";Initial Catalog=row post')
    assert (found.server, found.database) == ("tcp:sql.example,1433", "row post")


def test_neither_repr_nor_str_holds_the_password() -> None:
    found = read(f"{BASE}User ID=sa;Password={SECRET}")
    assert SECRET in found.text
    assert SECRET not in repr(found) and SECRET not in str(found) and SECRET not in f"{found}"
    assert "sql.example" in repr(found)


# Printable: no control character, which neither side can write without risk, and none that UTF-16 cannot hold.
PASSWORDS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=24)


@settings(max_examples=300, deadline=None)
@given(password=PASSWORDS, quote=st.sampled_from("\"'"))
@example(password=";", quote='"')
@example(password="}", quote='"')
@example(password="{a}}b};PWD=c", quote="'")
@example(password="\"'=\"'", quote='"')
@example(password=" leading and trailing ", quote="'")
@example(password="]})([,?*!@", quote="'")
def test_any_password_survives_the_way_to_the_driver(password: str, quote: str) -> None:
    text = f"Server=sql.example;Password={ado_net_quoted(password, quote)};User ID=sa;Database=rowpost"
    pairs = odbc(text)
    assert pairs == {
        "Driver": "ODBC Driver 18 for SQL Server",
        "Server": "sql.example",
        "PWD": password,
        "UID": "sa",
        "Database": "rowpost",
        "APP": "rowpost",
    }


@settings(max_examples=200, deadline=None)
@given(password=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=";"), min_size=1, max_size=24))
def test_an_unquoted_password_is_taken_as_it_stands_or_refused(password: str) -> None:
    text = f"{BASE}Password={password};User ID=sa"
    if password[0] in "\"'" or password[-1] in "\"'":  # SqlClient reads a quotation here, or refuses
        quoted = re.fullmatch(r'"((?:[^"]|"")*)"' + r"|'((?:[^']|'')*)'", password)
        if quoted is None:
            with pytest.raises(ConfigError, match="malformed"):
                read(text)
        else:
            value = quoted[1].replace('""', '"') if quoted[1] is not None else quoted[2].replace("''", "'")
            assert odbc(text)["PWD"] == value
    else:
        assert odbc(text)["PWD"] == password


@pytest.mark.parametrize(
    "keyword", ["Column Encryption Setting", "Attestation Protocol", "Type System Version", "Packet Size", "Driver", "DSN"]
)
def test_a_keyword_without_translation_is_refused_by_name(keyword: str) -> None:
    told = refusal(f"{BASE}Password={SECRET};{keyword}={SECRET}")
    assert f"the keyword {keyword!r} is not a keyword that" in told and "remove it" in told


@pytest.mark.parametrize(
    "value",
    [
        "Active Directory Default",
        "ActiveDirectoryDefault",
        "Active Directory Workload Identity",
        "Active Directory Device Code Flow",
        SECRET,
    ],
)
def test_a_way_to_authenticate_that_the_driver_lacks_is_refused_with_the_remedy(value: str) -> None:
    told = refusal(f"{BASE}Authentication={value}")
    assert "the keyword 'Authentication' has no counterpart" in told and "use Active Directory Managed Identity" in told


@pytest.mark.parametrize(
    ("pair", "remedy"),
    [
        (f"Encrypt={SECRET}", "must be true or false"),
        (f"TrustServerCertificate={SECRET}", "must be true or false"),
        (f"MultiSubnetFailover={SECRET}", "must be true or false"),
        (f"Integrated Security={SECRET}", "must be true or false"),
        (f"Application Intent={SECRET}", "must be ReadWrite"),
        (f"Connect Timeout={SECRET}", "must be a whole number"),
        ("Connect Timeout=-1", "must be a whole number"),
        ("Connect Timeout=²", "must be a whole number"),
        ("Command Timeout=1.5", "must be a whole number"),
        ("ConnectRetryCount=many", "must be a whole number"),
    ],
)
def test_a_value_without_translation_is_refused_with_its_keyword(pair: str, remedy: str) -> None:
    told = refusal(f"{BASE}{pair}")
    assert f"the keyword {pair.partition('=')[0]!r} {remedy}" in told


@pytest.mark.parametrize(
    "text",
    [
        f"{BASE}Password",
        f"{BASE}={SECRET}",
        f'{BASE}Password="{SECRET}',
        f"{BASE}Password='{SECRET}",
        f'{BASE}Password="{SECRET}"tail',
        f"{BASE}Password='a'b'",
        SECRET,
    ],
)
def test_a_malformed_string_is_refused_with_the_place(text: str) -> None:
    told = refusal(text)
    assert re.search(r"malformed connection string at part \d+; expected keyword=value pairs", told)


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        (f"Database=rowpost;Password={SECRET}", "Server"),
        (f"Server=sql.example;Password={SECRET}", "Database (Initial Catalog)"),
        ("Server=;Database=rowpost", "Server"),
        ("Server=sql.example;Database=''", "Database (Initial Catalog)"),
        (";", "Server"),
    ],
)
def test_a_string_without_server_or_database_is_refused(text: str, keyword: str) -> None:
    assert f"the keyword {keyword} is missing; add it" in refusal(text)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_setting_is_refused_with_what_it_should_hold(text: str) -> None:
    told = refusal(text)
    assert "the app setting is missing or empty" in told and "Server, Database" in told


@pytest.mark.parametrize("inner", ["SecretUri=https://v/secrets/s", "VaultName=v;SecretName=s"])
def test_a_reference_that_the_platform_did_not_replace_is_told(inner: str) -> None:
    told = refusal(f"@Microsoft.KeyVault({inner})")
    assert "Key Vault reference" in told and "Key Vault Secrets User" in told and "secrets/s" not in told


@pytest.mark.parametrize("place", ["Password={}", "User ID={};Password=x", "Password='{}'", "Server=s;Database={}"])
def test_a_reference_inside_a_string_is_told_since_nobody_replaces_it(place: str) -> None:
    told = refusal("Server=tcp:s,1433;Database=d;" + place.format("@Microsoft.KeyVault(SecretUri=https://v/secrets/s)"))
    assert "Key Vault reference inside a longer text" in told and "secrets/s" not in told
