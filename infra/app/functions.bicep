// The function app on Flex Consumption: identity for everything, settings for every name that the app reads.
param app object
param applicationInsightsConnectionString string
param deploymentContainerUri string
param emailEndpoint string
param emailSender string
param identityClientId string
param identityId string
param instanceMemoryMB int
param location string
param name string
param planName string
param sqlDatabaseName string
param sqlServerHost string
param storageEndpoints object
param subnetId string
param tags object

// A SQL trigger that connects by identity is not woken by the platform (azure-functions-sql-extension issue 1235), so each keeps one
// instance; so does Durable Functions, which otherwise wakes late from a timer.
var alwaysReady = concat(
  map(app.triggerFunctions, triggerFunction => { name: 'function:${triggerFunction}', instanceCount: 1 }),
  [{ name: 'durable', instanceCount: 1 }]
)

// The lowest ceiling that every version of the platform takes. All triggers of a database serialise on one lock, so more than a few
// instances would only wait for it.
var maximumInstanceCount = 40

var platformSettings = {
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsightsConnectionString
  AZURE_CLIENT_ID: identityClientId // which identity azure-identity takes
  AzureWebJobsStorage__blobServiceUri: storageEndpoints.blob
  AzureWebJobsStorage__clientId: identityClientId
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__queueServiceUri: storageEndpoints.queue
  AzureWebJobsStorage__tableServiceUri: storageEndpoints.table
}

// With `opentelemetry = true` in relay.toml. The worker then sends the app's log, metrics and spans itself. Its instrumentations are off:
// they would add a second span to each request, and write the paths of requests into it, which may hold keys of rows.
var telemetrySettings = {
  AzureFunctionsJobHost__telemetryMode: 'OpenTelemetry'
  OTEL_PYTHON_DISABLED_INSTRUMENTATIONS: 'azure_sdk,django,fastapi,flask,httpx,httpx2,psycopg2,requests,urllib,urllib3'
  PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY: 'true'
}
// The rest has the names that relay.toml gives it.
var database = {
  '${app.connection}': 'Server=tcp:${sqlServerHost},1433;Database=${sqlDatabaseName};Authentication=Active Directory Managed Identity;User Id=${identityClientId};Encrypt=True;TrustServerCertificate=False;Connect Timeout=30'
}
// Without a version: a secret that is changed in the vault reaches a new process within a day.
var secrets = toObject(
  app.secrets,
  secret => secret.setting,
  secret => '@Microsoft.KeyVault(SecretUri=https://${secret.vault}${environment().suffixes.keyvaultDns}/secrets/${secret.secret})'
)
var mailService = '${app.mail.?form == 'connection' ? 'endpoint=' : ''}${emailEndpoint}' // no access key: by identity
var mail = empty(app.mail) ? {} : { '${app.mail.service}': mailService, '${app.mail.sender}': emailSender }
var settings = union(platformSettings, database, app.settings, secrets, mail)

module plan 'br/public:avm/res/web/serverfarm:0.7.0' = {
  name: 'plan'
  params: {
    name: planName
    location: location
    kind: 'functionapp'
    reserved: true
    skuName: 'FC1'
    tags: tags
    zoneRedundant: false // would ask for two instances always ready of each group
  }
}

module site 'br/public:avm/res/web/site:0.24.0' = {
  name: 'function-app'
  params: {
    name: name
    location: location
    basicPublishingCredentialsPolicies: [
      { name: 'ftp', allow: false }
      { name: 'scm', allow: false }
    ]
    clientAffinityEnabled: false
    configs: [
      {
        name: 'appsettings'
        properties: app.openTelemetry ? union(settings, telemetrySettings) : settings
        retainCurrentAppSettings: false // what is not declared here is not there
      }
    ]
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: deploymentContainerUri
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.12'
      }
      scaleAndConcurrency: {
        alwaysReady: alwaysReady
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
      }
    }
    httpsOnly: true
    keyVaultAccessIdentityResourceId: identityId
    kind: 'functionapp,linux'
    managedIdentities: {
      userAssignedResourceIds: [identityId]
    }
    publicNetworkAccess: 'Enabled'
    serverFarmResourceId: plan.outputs.resourceId
    siteConfig: {
      alwaysOn: false
      ftpsState: 'Disabled'
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
    }
    tags: tags
    virtualNetworkSubnetResourceId: empty(subnetId) ? null : subnetId
  }
}

output name string = site.outputs.name
output uri string = 'https://${site.outputs.defaultHostname}'
