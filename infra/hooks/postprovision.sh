#!/bin/sh
# After the database exists: change tracking, the app's tables and role, the app's identity as a user. Safe to repeat:
# azd hooks run postprovision
set -eu
cd "$(dirname "$0")/../.."

python3 dev.py setup
: "${ODBC_DRIVER:=$(.venv/bin/python -c 'from emulators.odbc import odbc_driver; print(odbc_driver())')}"
export ODBC_DRIVER
exec .venv/bin/python infra/prepare_database.py --azure
