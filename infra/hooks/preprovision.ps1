# Before anything is made: what relay.toml asks of the deployment, into the environment of azd.
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '../..')

$launcher = if (Get-Command py -ErrorAction SilentlyContinue) { 'py' } else { 'python' }
& $launcher infra/hook.py infra/describe_app.py
exit $LASTEXITCODE
