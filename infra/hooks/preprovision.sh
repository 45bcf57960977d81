#!/bin/sh
# Before anything is made: the tools of the postprovision hook, and the names of the trigger functions for Bicep.
set -eu
cd "$(dirname "$0")/../.."

python3 dev.py setup
.venv/bin/python infra/describe_app.py
