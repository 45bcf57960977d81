# Before anything is made: the names of the trigger functions for Bicep.
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '../..')

$launcher = if (Get-Command py -ErrorAction SilentlyContinue) { 'py' } else { 'python' }
& $launcher infra/hook.py infra/describe_app.py
exit $LASTEXITCODE
