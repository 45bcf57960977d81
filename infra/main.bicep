// Everything that Rowpost needs in a subscription: one resource group, or one less the SQL server if there is one already.
targetScope = 'subscription'

@minLength(1)
@maxLength(64)
@description('Name of the azd environment; part of the names of all resources.')
param environmentName string

@minLength(1)
@description('Region of all resources. Flex Consumption must be available there.')
@metadata({ azd: { type: 'location' } })
param location string

@description('Object id of whoever deploys: the Entra administrator of a new SQL server.')
param principalId string = deployer().objectId

@allowed(['User', 'Group', 'ServicePrincipal'])
@description('What principalId is.')
param principalType string = 'User'

@minLength(1)
@description('Where rows are posted to: the app setting DOWNSTREAM_URL.')
param downstreamUrl string

@secure()
@minLength(1)
@description('The API key that relay.toml sends along; kept in Key Vault.')
param downstreamApiKey string

@secure()
@minLength(1)
@description('The webhook that is told of alarms and dead letters; kept in Key Vault, since such addresses often hold a token.')
param alertWebhookUrl string

@description('Whom Azure Monitor mails when an alert fires: addresses separated by commas. Empty: alerts show in the portal only.')
param alertEmails string = ''

@description('Resource id of an Azure SQL server to use. Empty: a new one, with Entra-only authentication.')
param existingSqlServerId string = ''

@description('The database with the tracked tables. It is made only together with a new server.')
param sqlDatabaseName string = 'rowpost'

@allowed(['Africa', 'Asia Pacific', 'Australia', 'Brazil', 'Canada', 'Europe', 'France', 'Germany', 'India', 'Japan', 'Korea', 'Norway', 'Switzerland', 'UAE', 'UK', 'United States'])
@description('Where Communication Services keeps mail data at rest; fixed once made.')
param emailDataLocation string = 'Europe'

@allowed([512, 2048, 4096])
@description('Memory of an instance in MB. The database-wide lock makes instances wait, not compute, so the smallest does.')
param instanceMemoryMB int = 512

@minValue(5)
@description('Minutes that a change may wait untouched before the lag alert fires.')
param lagMinutes int = 15

var abbreviations = loadJsonContent('abbreviations.json')
var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }
var newSqlServer = empty(existingSqlServerId)
var sqlServerName = newSqlServer ? '${abbreviations.sqlServer}${token}' : last(split(existingSqlServerId, '/'))

resource group 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: '${abbreviations.resourceGroup}${environmentName}'
  location: location
  tags: tags
}

module identity 'br/public:avm/res/managed-identity/user-assigned-identity:0.6.0' = {
  scope: group
  name: 'identity'
  params: {
    name: '${abbreviations.managedIdentity}rowpost-${token}'
    location: location
    tags: tags
  }
}

module monitoring 'app/monitoring.bicep' = {
  scope: group
  name: 'monitoring'
  params: {
    applicationInsightsName: '${abbreviations.applicationInsights}${token}'
    location: location
    principalId: identity.outputs.principalId
    tags: tags
    workspaceName: '${abbreviations.logAnalyticsWorkspace}${token}'
  }
}

module storage 'app/storage.bicep' = {
  scope: group
  name: 'storage'
  params: {
    location: location
    name: '${abbreviations.storageAccount}${token}'
    principalId: identity.outputs.principalId
    tags: tags
  }
}

module secrets 'app/secrets.bicep' = {
  scope: group
  name: 'secrets'
  params: {
    alertWebhookUrl: alertWebhookUrl
    downstreamApiKey: downstreamApiKey
    location: location
    name: '${abbreviations.keyVault}${token}'
    principalId: identity.outputs.principalId
    tags: tags
  }
}

module email 'app/email.bicep' = {
  scope: group
  name: 'email'
  params: {
    dataLocation: emailDataLocation
    name: '${abbreviations.emailService}${token}'
    communicationServiceName: '${abbreviations.communicationService}${token}'
    principalId: identity.outputs.principalId
    tags: tags
  }
}

module sql 'app/sql.bicep' = if (newSqlServer) {
  scope: group
  name: 'sql'
  params: {
    administratorId: principalId
    administratorType: principalType
    databaseName: sqlDatabaseName
    location: location
    name: sqlServerName
    tags: tags
  }
}

module network 'app/network.bicep' = {
  scope: group
  name: 'network'
  params: {
    location: location
    name: '${abbreviations.virtualNetwork}${token}'
    privateEndpointName: '${abbreviations.privateEndpoint}${sqlServerName}'
    sqlServerId: newSqlServer ? sql!.outputs.resourceId : existingSqlServerId
    tags: tags
  }
}

module app 'app/functions.bicep' = {
  scope: group
  name: 'functions'
  params: {
    alertWebhookUrlSecretUri: secrets.outputs.alertWebhookUrlUri
    applicationInsightsConnectionString: monitoring.outputs.connectionString
    deploymentContainerUri: storage.outputs.deploymentContainerUri
    downstreamApiKeySecretUri: secrets.outputs.downstreamApiKeyUri
    downstreamUrl: downstreamUrl
    emailEndpoint: email.outputs.endpoint
    emailSender: email.outputs.sender
    identityClientId: identity.outputs.clientId
    identityId: identity.outputs.resourceId
    instanceMemoryMB: instanceMemoryMB
    location: location
    name: '${abbreviations.functionApp}rowpost-${token}'
    planName: '${abbreviations.plan}${token}'
    sqlDatabaseName: sqlDatabaseName
    sqlServerHost: '${sqlServerName}${environment().suffixes.sqlServerHostname}'
    storageEndpoints: storage.outputs.endpoints
    subnetId: network.outputs.appSubnetId
    tags: union(tags, { 'azd-service-name': 'rowpost' })
  }
}

module alerts 'app/alerts.bicep' = {
  scope: group
  name: 'alerts'
  params: {
    actionGroupName: '${abbreviations.actionGroup}${token}'
    emails: empty(alertEmails) ? [] : split(alertEmails, ',')
    lagMinutes: lagMinutes
    location: location
    namePrefix: '${abbreviations.queryRule}rowpost-'
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
  }
}

module workbook 'app/workbook.bicep' = {
  scope: group
  name: 'workbook'
  params: {
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
  }
}

// azd hands these to the hooks as environment variables.
output AZURE_RESOURCE_GROUP string = group.name
output APP_IDENTITY_NAME string = identity.outputs.name
output APP_IDENTITY_CLIENT_ID string = identity.outputs.clientId
output SQL_SERVER_ID string = newSqlServer ? sql!.outputs.resourceId : existingSqlServerId
output SQL_SERVER_HOST string = '${sqlServerName}${environment().suffixes.sqlServerHostname}'
output SQL_DATABASE string = sqlDatabaseName
output SERVICE_ROWPOST_NAME string = app.outputs.name
output SERVICE_ROWPOST_URI string = app.outputs.uri
