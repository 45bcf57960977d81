#!/bin/sh
# Before the app is deployed: relay.toml is there and has no mistake, and what it asks for was provisioned.
set -eu
cd "$(dirname "$0")/../.."

python3 infra/hook.py -m devtools.check_config relay.toml
python3 infra/hook.py infra/describe_app.py --check
