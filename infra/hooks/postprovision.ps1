# After the database exists: change tracking, the app's tables and role, the app's identity as a user. Safe to repeat:
# azd hooks run postprovision
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '../..')

$launcher = if (Get-Command py -ErrorAction SilentlyContinue) { 'py' } else { 'python' }
& $launcher infra/hook.py --odbc infra/prepare_database.py --azure
exit $LASTEXITCODE
