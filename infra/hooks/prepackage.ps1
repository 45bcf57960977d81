# Before the package is made: the folder that it is made of, with locked requirements.
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '../..')

$launcher = if (Get-Command py -ErrorAction SilentlyContinue) { 'py' } else { 'python' }
& $launcher infra/package.py
exit $LASTEXITCODE
