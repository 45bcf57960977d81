"""App settings: everything that the app reads is provided, nothing else is, and the app takes the forms that Bicep gives them."""

from __future__ import annotations

import ast
import base64
import json
import re
import tomllib
from typing import Any

import pytest

from devtools.data import DEMO_CONFIG
from devtools.stack import API_KEY
from emulators.launch import SqlServer
from infra.describe_app import describe, named_settings
from infra.hook_settings import config_of_hooks
from rowpost.config.connection_string import translate
from rowpost.telemetry.exporters import PLATFORM as PLATFORM_TELEMETRY
from tests.deploy.bicep import MAIN, ROOT, document, verified, walk

RELAY = tomllib.loads(DEMO_CONFIG.read_text(encoding="utf-8"))
LOCAL = json.loads((ROOT / "local.settings.json").read_text(encoding="utf-8"))["Values"]
# Who else reads settings: the host and the extensions, and azure-identity.
PLATFORM = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AZURE_CLIENT_ID",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__queueServiceUri",
    "AzureWebJobsStorage__tableServiceUri",
}
# Without them: the image's driver, relay.toml, any cursor, the identity of the system, and where a machine asks for it.
DEFAULTED = {"ODBC_DRIVER", "ROWPOST_CONFIG", "WEBSITE_SITE_NAME", "WEBSITE_HOSTNAME", "AZURE_CLIENT_ID", "IDENTITY_ENDPOINT"}
DEFAULTED |= {"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_SERVICE_NAME"}  # those of the conventions
DEFAULTED |= {"WEBSITE_AUTH_ENABLED"}  # of the platform
# Flex Consumption has these as properties of the app, or refuses them.
NOT_ON_FLEX = {"FUNCTIONS_WORKER_RUNTIME", "FUNCTIONS_EXTENSION_VERSION", "WEBSITE_RUN_FROM_PACKAGE", "AzureWebJobsStorage"}
NOT_ON_FLEX |= {"SCM_DO_BUILD_DURING_DEPLOYMENT", "ENABLE_ORYX_BUILD", "WEBSITE_CONTENTSHARE", "WEBSITE_TIME_ZONE", "TZ"}


# What `azd env set` and `azd env set-secret` leave in the environment.
AZD = {"DOWNSTREAM_URL": "https://api.example.com/rows"}
AZD |= {name: f"akvs://s/kv-x/{name.lower().replace('_', '-')}" for name in ("DOWNSTREAM_API_KEY", "ALERT_WEBHOOK_URL")}


def provided() -> dict[str, Any]:
    """The settings of the deployed app with the demo's relay.toml, as Bicep expressions: the union that the template makes."""
    app = describe(config_of_hooks(DEMO_CONFIG, {}), named_settings(DEMO_CONFIG), AZD, lambda subscription, vault: "rg")
    variables = document(ROOT / "infra" / "app" / "functions.bicep")["variables"]
    union = variables["settings"]["value"]["function"]["parameters"]
    assert [union["arg_1"], union["arg_2"], union["arg_4"], union["arg_5"]] == ["platformSettings", "database", "secrets", "mail"]
    ((name, connection),) = variables["database"]["value"].items()
    assert name.strip("'") == "${app.connection}"
    reference = variables["secrets"]["value"]["function"]["parameters"]["arg_3"]["detail"]["expression"]
    suffix = reference.replace("${environment().suffixes.keyvaultDns}", ".vault.azure.net")
    secrets = {
        secret["setting"]: suffix.replace("${secret.vault}", secret["vault"]).replace("${secret.secret}", secret["secret"])
        for secret in app["secrets"]
    }
    form = "endpoint=" if app["mail"]["form"] == "connection" else ""
    mail = {app["mail"]["service"]: form + "${emailEndpoint}", app["mail"]["sender"]: "emailSender"}
    return {**variables["platformSettings"]["value"], app["connection"]: connection, **app["settings"], **secrets, **mail}


def provided_for_telemetry() -> dict[str, Any]:
    """Those that are there only with ``opentelemetry = true``."""
    settings: dict[str, Any] = document(ROOT / "infra" / "app" / "functions.bicep")["variables"]["telemetrySettings"]["value"]
    return settings


def read_by_configuration() -> set[str]:
    """The settings that the demo's relay.toml names."""
    found = {RELAY["database"]["connection"]}
    for _, value in walk(RELAY):
        if isinstance(value, str):
            found |= set(re.findall(r"%([A-Za-z_][A-Za-z0-9_:.-]*)%", value))
    return found


def read_by_code() -> set[str]:
    """The settings that the app's code asks for by a name of its own."""
    found = set()
    for folder in ("rowpost", "triggers", "orchestrators", "activities", "entities"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                key: ast.expr | None = None
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in ("get", "getenv")
                    and node.args
                ):
                    if re.search(r"\b(environ|settings|os)\b", ast.unparse(node.func.value)):
                        key = node.args[0]
                elif isinstance(node, ast.Subscript) and re.search(r"\b(environ|settings)\b", ast.unparse(node.value)):
                    key = node.slice
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    found.add(key.value)
    return found


def test_every_setting_that_the_app_reads_is_provided_and_none_besides() -> None:
    assert read_by_code() == DEFAULTED
    assert set(provided()) == read_by_configuration() | PLATFORM
    assert not set(provided()) & NOT_ON_FLEX


def test_the_settings_of_this_machine_are_those_of_the_deployed_app() -> None:
    machine = {"AzureWebJobsStorage", "FUNCTIONS_WORKER_RUNTIME", "WEBSITE_SITE_NAME"}
    assert set(LOCAL) - (DEFAULTED - machine) == read_by_configuration() | machine


def test_settings_reach_the_app_as_they_are_declared() -> None:
    _, site = verified("avm/res/web/site")
    (configs,) = site["configs"]
    assert (configs["name"], configs["retainCurrentAppSettings"]) == ("appsettings", False)
    names = re.findall(r"[A-Za-z]*[sS]ettings\b", json.dumps(configs["properties"]))
    assert sorted(names) == ["settings", "settings", "telemetrySettings"]


def test_the_settings_for_telemetry_are_those_that_the_app_looks_for() -> None:
    settings = provided_for_telemetry()
    assert settings[PLATFORM_TELEMETRY] == "true" and settings["AzureFunctionsJobHost__telemetryMode"] == "OpenTelemetry"
    off = settings["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"].split(",")
    assert {"requests", "urllib", "urllib3", "azure_sdk"} <= set(off), "they would write paths with keys of rows into spans"
    assert not set(settings) & set(provided())


def test_secrets_are_references_to_the_vault() -> None:
    settings = provided()
    references = {name: value for name, value in settings.items() if str(value).startswith("@Microsoft.KeyVault(")}
    assert references == {
        "ALERT_WEBHOOK_URL": "@Microsoft.KeyVault(SecretUri=https://kv-x.vault.azure.net/secrets/alert-webhook-url)",
        "DOWNSTREAM_API_KEY": "@Microsoft.KeyVault(SecretUri=https://kv-x.vault.azure.net/secrets/downstream-api-key)",
    }


def test_storage_mail_and_telemetry_are_reached_by_identity() -> None:
    settings = provided()
    assert settings["AzureWebJobsStorage__credential"] == "managedidentity"
    assert settings["AzureWebJobsStorage__clientId"] == settings["AZURE_CLIENT_ID"] == "identityClientId"
    assert settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"] == "ClientId=${identityClientId};Authorization=AAD"
    assert "accesskey" not in settings["EMAIL_CONNECTION_STRING"].lower()
    for name in ("blob", "queue", "table"):
        operands = settings[f"AzureWebJobsStorage__{name}ServiceUri"]["operator"]["operands"]
        assert operands == {"operand_1": "storageEndpoints", "operand_2": name}


def test_one_connection_string_serves_the_trigger_and_the_app() -> None:
    text = provided()["SqlConnectionString"]
    for name, value in {
        "sqlServerHost": "sql-x.database.windows.net",
        "sqlDatabaseName": "rowpost",
        "identityClientId": "c-1",
    }.items():
        text = text.replace(f"${{{name}}}", value)
    assert "${" not in text
    odbc = translate(text, "SqlConnectionString", "driver")
    parts = dict(part.split("=", 1) for part in odbc.text.split(";"))
    assert parts["Server"].strip("{}") == "tcp:sql-x.database.windows.net,1433"
    assert (parts["Authentication"], parts["UID"]) == ("ActiveDirectoryMsi", "c-1")
    assert (parts["Encrypt"], parts["TrustServerCertificate"]) == ("yes", "no")
    assert "PWD" not in parts


def test_the_parameters_file_fills_the_parameters_of_main() -> None:
    given = json.loads((ROOT / "infra" / "main.parameters.json").read_text(encoding="utf-8"))["parameters"]
    declared = document(MAIN)["parameters"]
    assert set(given) <= set(declared)
    assert set(declared) - set(given) == {"principalId"}  # deployer().objectId
    names = set()
    for name, entry in given.items():
        match = re.fullmatch(r"\$\{([A-Z_]+)(=([^}]*))?\}", entry["value"])
        assert match, f"{name}: not an environment variable of azd"
        names.add(match[1])
        if match[3]:  # a default here and one there must not differ
            default = declared[name]["default"]
            assert str(default).strip("'") == match[3], name
        elif match[2] is None and name != "app":  # which the hook writes before Bicep is asked
            assert declared[name].get("default") is None, f"{name}: azd asks for what has no default"
    assert len(names) == len(given)


def test_the_outputs_are_what_the_hooks_read() -> None:
    outputs = set(document(MAIN)["outputs"])
    hooks = (ROOT / "infra" / "azure_sql.py").read_text(encoding="utf-8") + (ROOT / "infra" / "prepare_database.py").read_text(
        encoding="utf-8"
    )
    read = set(re.findall(r'"((?:SQL|APP)_[A-Z_]+)"', hooks))
    assert read == {name for name in outputs if name.startswith(("SQL_", "APP_"))}


# --- local.settings.json, which is in git ---

PUBLIC = {SqlServer.password, API_KEY, base64.b64encode(API_KEY.encode()).decode()}
PLAIN = {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "FUNCTIONS_WORKER_RUNTIME": "python"}
PLAIN |= {"WEBSITE_SITE_NAME": "rowpost-local", "EMAIL_SENDER": "rowpost@example.com"}


def private(values: dict[str, str]) -> list[str]:
    """The settings that may be somebody's own: another machine than this one, or another secret than the emulators publish."""
    found = []
    for name, value in values.items():
        address = re.sub(r"(?i)^(endpoint=)?https?://localhost(:[0-9]+)?/[a-z]*", "", value)
        rest = [part for part in address.split(";") if part]
        connection = {part.partition("=")[0].strip().lower(): part.partition("=")[2] for part in rest}
        known = {"server": {"localhost,1433"}, "database": {"rowpost"}, "user id": {"sa"}, "encrypt": {"true"}}
        known |= {"trustservercertificate": {"true"}, "password": PUBLIC, "accesskey": PUBLIC}
        if PLAIN.get(name) == value or value in PUBLIC:
            continue
        if any(text not in known.get(key, set()) for key, text in connection.items()):
            found.append(name)
    return found


def test_local_settings_hold_only_what_the_emulators_publish() -> None:
    assert private(LOCAL) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DOWNSTREAM_API_KEY", "s3cret"),
        ("DOWNSTREAM_URL", "https://api.example.com/rows"),
        ("DOWNSTREAM_URL", "http://localhost:8080/rows?code=s3cret"),
        ("DOWNSTREAM_URL", "http://user:s3cret@localhost:8080/rows"),
        ("ALERT_WEBHOOK_URL", "http://localhost.example.com/alerts"),
        ("SqlConnectionString", LOCAL["SqlConnectionString"].replace(SqlServer.password, "s3cret")),
        ("SqlConnectionString", LOCAL["SqlConnectionString"].replace("localhost", "db.example.com")),
        ("EMAIL_CONNECTION_STRING", "endpoint=http://localhost:8082/;accesskey=czNjcmV0"),
        ("AzureWebJobsStorage", "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=czNjcmV0"),
        ("MY_TOKEN", "s3cret"),
    ],
)
def test_a_setting_of_somebodys_own_would_be_found(name: str, value: str) -> None:
    assert private({**LOCAL, name: value}) == [name]
