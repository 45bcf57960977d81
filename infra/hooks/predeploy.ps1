# Before the app is deployed: relay.toml is there and has no mistake, and what it asks for was provisioned.
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '../..')

$launcher = if (Get-Command py -ErrorAction SilentlyContinue) { 'py' } else { 'python' }
& $launcher infra/hook.py -m devtools.check_config relay.toml
if ($LASTEXITCODE) { exit $LASTEXITCODE }
& $launcher infra/hook.py infra/describe_app.py --check
exit $LASTEXITCODE
