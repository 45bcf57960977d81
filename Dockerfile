# syntax=docker/dockerfile:1
# Images for this machine; compose.yaml builds and wires them. Azure itself gets the app as a package, not as an image.

# The Functions host with the app: what .funcignore lets through, in the host's image (which brings Microsoft's ODBC driver 18).
# It does not run as root, so it listens on a port above 1023, and the folders to which the host writes belong to its user.
FROM mcr.microsoft.com/azure-functions/python:4-python3.12 AS app
ENV AzureWebJobsScriptRoot=/home/site/wwwroot \
    AzureFunctionsJobHost__Logging__Console__IsEnabled=true \
    ASPNETCORE_URLS=http://+:8080 \
    HOME=/home
COPY requirements.lock /home/site/wwwroot/requirements.txt
RUN python -m pip install --no-cache-dir --require-hashes --only-binary=:all: -r /home/site/wwwroot/requirements.txt \
    && install --directory --owner 65534 --group 65534 /azure-functions-host/Secrets \
    && find /home /FuncExtensionBundles -maxdepth 2 -type d -exec chown 65534:65534 {} +
COPY function_app.py host.json /home/site/wwwroot/
# Yours, which `python3 dev.py init` makes; compose.yaml takes the demo's instead.
ARG RELAY_TOML=relay.toml
COPY ${RELAY_TOML} /home/site/wwwroot/relay.toml
COPY activities /home/site/wwwroot/activities
COPY entities /home/site/wwwroot/entities
COPY orchestrators /home/site/wwwroot/orchestrators
COPY rowpost /home/site/wwwroot/rowpost
COPY triggers /home/site/wwwroot/triggers
EXPOSE 8080
USER 65534

# The same with a function key that is known beforehand, since outside Azure there is no portal to look it up in.
FROM app AS app-local
ENV AzureWebJobsSecretStorageType=files \
    FUNCTIONS_SECRETS_PATH=/var/rowpost/keys
USER root
RUN install --directory --owner 65534 --group 65534 /var/rowpost/keys
COPY --chown=65534:65534 <<EOF /var/rowpost/keys/host.json
{
  "masterKey": {"name": "master", "value": "local-key", "encrypted": false},
  "functionKeys": [{"name": "default", "value": "local-key", "encrypted": false}],
  "systemKeys": []
}
EOF
USER 65534

# The emulators of the downstream API and the mail service, and the script that prepares the database.
FROM python:3.12-slim-bookworm AS tools
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgssapi-krb5-2 libodbc2 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /rowpost
COPY requirements.txt requirements-dev.txt ./
RUN python -m pip install --no-cache-dir -r requirements.txt -c requirements-dev.txt mssql-python-odbc simplejson
COPY . .
USER 65534
