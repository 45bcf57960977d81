#!/bin/sh
# Before the package is made: the folder that it is made of, with locked requirements.
set -eu
cd "$(dirname "$0")/../.."

python3 infra/package.py
