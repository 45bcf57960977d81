#!/bin/sh
# Before anything is made: what relay.toml asks of the deployment, into the environment of azd.
set -eu
cd "$(dirname "$0")/../.."

python3 infra/hook.py infra/describe_app.py
