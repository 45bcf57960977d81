#!/bin/sh
# After the database exists: change tracking, the app's tables and role, the app's identity as a user. Safe to repeat:
# azd hooks run postprovision
set -eu
cd "$(dirname "$0")/../.."

python3 infra/hook.py --odbc infra/prepare_database.py --azure
