#!/bin/sh
# Before the app is deployed: relay.toml is there and has no mistake. What only the database knows is not looked at.
set -eu
cd "$(dirname "$0")/../.."

python3 infra/hook.py -m devtools.check_config relay.toml
