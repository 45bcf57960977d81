"""What the infrastructure promises: no secrets in it, no keys, no passwords, no open doors, identity everywhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.bicep import FILES, INFRA, MAIN, document, modules, named, verified, walk

ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
    "4633458b-17de-408a-874b-0445c86b69e6": "Key Vault Secrets User",
    "09976791-48a7-449e-bb21-39d1a415f350": "Communication and Email Service Owner",
}
each_file = pytest.mark.parametrize("path", FILES, ids=named)


@each_file
def test_no_secret_passes_through_the_deployment(path: Path) -> None:
    """The app gets references to secrets of a vault; so there is no parameter to keep from a log."""
    parameters = document(path).get("parameters", {})
    assert not [name for name, given in parameters.items() if "'secure'" in str(given["decorators"])]
    assert "getSecret" not in path.read_text(encoding="utf-8")


def test_the_app_may_read_exactly_the_secrets_that_relay_toml_names() -> None:
    reader = modules(MAIN)["secretReader"]
    assert "app', 'operand_2': 'grants'" in str(document(MAIN)["modules"]["secretReader"]["config"]["loop_type"])
    assert set(reader["params"]) == {"principalId", "secretName", "vaultName"}
    role = document(INFRA / "app" / "secret-reader.bicep")["resources"]["role"]["config"]
    assert role["scope"] == "secret"


@each_file
def test_nothing_in_the_files_is_a_secret_or_asks_for_a_key(path: Path) -> None:
    text = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
    assert not re.search(r"listKeys|list[A-Z]\w*\(|AccountKey|SharedAccess|[Pp]assword|administratorLoginPassword|Pwd=", text)
    for match in re.finditer(r"'([^'\n]{32,})'", text):
        assert not re.fullmatch(r"[A-Za-z0-9+/=]{32,}", match[1]), f"looks like a key: {match[1][:6]}…"


def test_the_storage_account_has_no_keys_and_all_that_durable_functions_needs() -> None:
    file, storage = verified("avm/res/storage/storage-account")
    assert storage["allowSharedKeyAccess"] is False
    assert storage["allowBlobPublicAccess"] is False
    assert storage["supportsHttpsTrafficOnly"] is True
    assert storage["minimumTlsVersion"] == "TLS1_2"
    roles = next(document(path)["variables"]["roles"]["value"] for path in FILES if named(path) == file)
    names = {ROLES[role] for role in roles.values()}
    assert names == {"Storage Blob Data Owner", "Storage Queue Data Contributor", "Storage Table Data Contributor"}
    assert storage["roleAssignments"]["config"]["principalId"] == "principalId"


def test_every_role_is_known_and_given_to_the_identity() -> None:
    given = set()
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        guids = set(re.findall(r"'([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})'", text))
        assert guids <= set(ROLES), f"{named(path)}: a role that this test does not know"
        given |= guids
        for _, value in walk(document(path).get("modules", {})):
            if isinstance(value, dict) and "roleDefinitionIdOrName" in value:
                assert (value["principalId"], value["principalType"]) == ("principalId", "ServicePrincipal")
        for _, value in walk(document(path).get("resources", {})):
            if isinstance(value, dict) and "roleDefinitionId" in value:
                assert (value["principalId"], value["principalType"]) == ("principalId", "ServicePrincipal")
    assert given == set(ROLES)
    for name in ("monitoring", "storage", "secretReader", "email"):
        principal = modules(MAIN)[name]["params"]["principalId"]
        assert "outputs" in str(principal) and "principalId" in str(principal), name


def test_the_sql_server_knows_no_passwords_and_lets_nobody_in() -> None:
    _, server = verified("avm/res/sql/server")
    assert server["administrators"]["azureADOnlyAuthentication"] is True
    assert server["minimalTlsVersion"] in ("1.2", "1.3")
    assert "virtualNetworkRules" not in server
    assert not {"administratorLogin", "administratorLoginPassword"} & set(server)
    rules = server["firewallRules"]["operator"]["operands"]
    assert (rules["condition"], rules["false_value"]) == ("openToAzure", [])
    for path in FILES:
        text = re.sub(r"(?m)^ *firewallRules: openToAzure \?.*$", "", path.read_text(encoding="utf-8"))
        assert "0.0.0.0" not in text and "255.255.255.255" not in text and "firewallRules" not in text


def conditional(value: Any) -> tuple[Any, Any, Any]:
    """Condition, then, else."""
    operands = value["operator"]["operands"]
    return operands["condition"], operands["true_value"], operands["false_value"]


def test_without_a_network_there_is_none_and_azure_alone_reaches_a_new_server() -> None:
    main = document(MAIN)
    network = main["parameters"]["networkAccess"]
    assert network["default"] == "private" and {"type": "allowed", "argument": ["private", "public"]} in network["decorators"]
    assert main["modules"]["network"]["config"]["condition"] == "private"
    condition, subnet, none = conditional(modules(MAIN)["site"]["params"]["subnetId"])
    assert (condition, none) == ("private", "") and "appSubnetId" in str(subnet)
    assert "private" in str(modules(MAIN)["sql"]["params"]["openToAzure"])
    _, site = verified("avm/res/web/site")
    assert site["virtualNetworkSubnetResourceId"]["operator"]["operands"]["true_value"] is None
    network_modules = {"virtual-network", "private-dns-zone", "private-endpoint"}
    for path in FILES:
        used = {module["source"].rpartition("/")[2] for module in modules(path).values()}
        assert not used & network_modules or named(path) == "app/network.bicep"


def test_there_is_no_mail_service_unless_relay_toml_wants_one() -> None:
    main = document(MAIN)
    assert main["modules"]["email"]["config"]["condition"] == "sendsMail"
    for name in ("emailEndpoint", "emailSender"):
        condition, _, none = conditional(modules(MAIN)["site"]["params"][name])
        assert (condition, none) == ("sendsMail", "")
    condition, nothing, _ = conditional(document(INFRA / "app" / "functions.bicep")["variables"]["mail"]["value"])
    assert condition["function"]["type"] == "empty" and nothing == {}


def test_only_regions_that_serve_flex_consumption_can_be_chosen() -> None:
    """The list of Microsoft's own template for such apps; docs/deploy.md names it and its day."""
    decorators = document(MAIN)["parameters"]["location"]["decorators"]
    (regions,) = [each["argument"] for each in decorators if each["type"] == "allowed"]
    assert regions == sorted(set(regions)) and {"northeurope", "westeurope", "eastus", "swedencentral"} <= set(regions)
    assert all(re.fullmatch(r"[a-z]+[0-9]?", region) for region in regions) and "chinanorth3" not in regions
    assert f"{len(regions)} regions" in (INFRA.parent / "docs" / "deploy.md").read_text(encoding="utf-8")


def test_the_app_reaches_the_database_through_a_private_endpoint() -> None:
    _, endpoint = verified("avm/res/network/private-endpoint")
    (connection,) = endpoint["privateLinkServiceConnections"]
    assert connection["properties"] == {"groupIds": ["sqlServer"], "privateLinkServiceId": "sqlServerId"}
    _, zone = verified("avm/res/network/private-dns-zone")
    assert zone["name"].startswith("privatelink")
    _, network = verified("avm/res/network/virtual-network")
    app, endpoints = network["subnets"]
    assert app["delegation"] == "Microsoft.App/environments" and "_" not in app["name"]
    assert "delegation" not in endpoints


def test_the_site_speaks_https_only_and_has_no_basic_credentials() -> None:
    _, site = verified("avm/res/web/site")
    assert site["httpsOnly"] is True
    assert (site["siteConfig"]["minTlsVersion"], site["siteConfig"]["scmMinTlsVersion"]) == ("1.2", "1.2")
    assert site["siteConfig"]["ftpsState"] == "Disabled"
    assert site["basicPublishingCredentialsPolicies"] == [{"name": "ftp", "allow": False}, {"name": "scm", "allow": False}]
    assert site["managedIdentities"] == {"userAssignedResourceIds": ["identityId"]}
    assert site["keyVaultAccessIdentityResourceId"] == "identityId"
    assert site["functionAppConfig"]["deployment"]["storage"]["authentication"]["type"] == "UserAssignedIdentity"


def test_the_site_is_a_python_app_on_flex_consumption() -> None:
    _, plan = verified("avm/res/web/serverfarm")
    assert (plan["skuName"], plan["reserved"], plan["zoneRedundant"]) == ("FC1", True, False)
    _, site = verified("avm/res/web/site")
    assert site["kind"] == "functionapp,linux"
    assert site["functionAppConfig"]["runtime"] == {"name": "python", "version": "3.12"}


def test_each_trigger_and_durable_functions_keep_an_instance() -> None:
    file, site = verified("avm/res/web/site")
    scale = site["functionAppConfig"]["scaleAndConcurrency"]
    assert (scale["alwaysReady"], scale["maximumInstanceCount"]) == ("alwaysReady", "maximumInstanceCount")
    variables = next(document(path)["variables"] for path in FILES if named(path) == file)
    assert variables["maximumInstanceCount"]["value"] == 40
    groups = variables["alwaysReady"]["value"]["function"]["parameters"]
    assert groups["arg_2"] == [{"name": "durable", "instanceCount": 1}]
    per_function = groups["arg_1"]["function"]["parameters"]
    assert per_function["arg_1"]["operator"]["operands"] == {"operand_1": "app", "operand_2": "triggerFunctions"}
    assert per_function["arg_2"]["detail"]["expression"] == {"name": "function:${triggerFunction}", "instanceCount": 1}


def test_telemetry_is_taken_from_identities_only() -> None:
    _, component = verified("avm/res/insights/component")
    assert component["disableLocalAuth"] is True
    _, workspace = verified("avm/res/operational-insights/workspace")
    assert workspace["forceCmkForQuery"] is False, "alert rules would need storage of one's own"


def test_mail_comes_from_a_domain_that_azure_manages() -> None:
    _, service = verified("avm/res/communication/email-service")
    (domain,) = service["domains"]
    assert (domain["domainManagement"], domain["userEngagementTracking"]) == ("AzureManaged", "Disabled")


def test_azd_finds_its_resources() -> None:
    main = document(MAIN)
    assert {key.strip("'"): value for key, value in main["variables"]["tags"]["value"].items()} == {
        "azd-env-name": "environmentName"
    }
    assert "azd-service-name': 'rowpost'" in MAIN.read_text(encoding="utf-8")
    for name, module in modules(MAIN).items():
        assert "tags" in module["params"] or name == "secretReader", name
    location = main["parameters"]["location"]["decorators"]
    assert any("azd" in str(decorator) for decorator in location)
