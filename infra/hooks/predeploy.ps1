# Before the app is deployed: relay.toml is there and has no mistake. What only the database knows is not looked at.
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '../..')

$launcher = if (Get-Command py -ErrorAction SilentlyContinue) { 'py' } else { 'python' }
& $launcher infra/hook.py -m devtools.check_config relay.toml
exit $LASTEXITCODE
