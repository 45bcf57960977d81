#!/bin/sh
# Before anything is made: the names of the trigger functions for Bicep.
set -eu
cd "$(dirname "$0")/../.."

python3 infra/hook.py infra/describe_app.py
