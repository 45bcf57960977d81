// Everything that Rowpost needs in a subscription: one resource group, or one less the SQL server if there is one already.
targetScope = 'subscription'

@minLength(1)
@maxLength(64)
@description('Name of the azd environment; part of the names of all resources.')
param environmentName string

@description('Region of all resources: one that serves Flex Consumption. docs/deploy.md says where this list is from.')
@allowed([
  'australiaeast'
  'australiasoutheast'
  'brazilsouth'
  'canadacentral'
  'centralindia'
  'centralus'
  'eastasia'
  'eastus'
  'eastus2'
  'francecentral'
  'germanywestcentral'
  'italynorth'
  'japaneast'
  'koreacentral'
  'northcentralus'
  'northeurope'
  'norwayeast'
  'southafricanorth'
  'southcentralus'
  'southeastasia'
  'southindia'
  'spaincentral'
  'swedencentral'
  'uaenorth'
  'uksouth'
  'ukwest'
  'westcentralus'
  'westeurope'
  'westus'
  'westus2'
  'westus3'
])
@metadata({ azd: { type: 'location' } })
param location string

@description('Object id of whoever deploys: the Entra administrator of a new SQL server.')
param principalId string = deployer().objectId

@allowed(['User', 'Group', 'ServicePrincipal'])
@description('What principalId is.')
param principalType string = 'User'

@description('What relay.toml asks of the deployment: triggers, app settings, secrets, mail. infra/describe_app.py writes it; it holds no secret.')
param app object = {
  connection: 'SqlConnectionString'
  grants: []
  mail: {}
  openTelemetry: false
  secrets: []
  settings: {}
  triggerFunctions: []
}

@allowed(['private', 'public'])
@description('private: the app reaches the database through a virtual network and a private endpoint. public: no network is made.')
param networkAccess string = 'private'

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
var private = networkAccess == 'private'
var sendsMail = !empty(app.mail) // relay.toml wants e-mail, and names no service of its own
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

module secretReader 'app/secret-reader.bicep' = [
  for grant in app.grants: {
    scope: resourceGroup(grant.subscription, grant.resourceGroup)
    name: 'rowpost-${uniqueString(environmentName, location, grant.vault, grant.secret)}'
    params: {
      principalId: identity.outputs.principalId
      secretName: grant.secret
      vaultName: grant.vault
    }
  }
]

module email 'app/email.bicep' = if (sendsMail) {
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
    openToAzure: !private
    tags: tags
  }
}

module network 'app/network.bicep' = if (private) {
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

module site 'app/functions.bicep' = {
  scope: group
  name: 'functions'
  params: {
    app: app
    applicationInsightsConnectionString: monitoring.outputs.connectionString
    deploymentContainerUri: storage.outputs.deploymentContainerUri
    emailEndpoint: sendsMail ? email!.outputs.endpoint : ''
    emailSender: sendsMail ? email!.outputs.sender : ''
    identityClientId: identity.outputs.clientId
    identityId: identity.outputs.resourceId
    instanceMemoryMB: instanceMemoryMB
    location: location
    name: '${abbreviations.functionApp}rowpost-${token}'
    planName: '${abbreviations.plan}${token}'
    sqlDatabaseName: sqlDatabaseName
    sqlServerHost: '${sqlServerName}${environment().suffixes.sqlServerHostname}'
    storageEndpoints: storage.outputs.endpoints
    subnetId: private ? network!.outputs.appSubnetId : ''
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
output SERVICE_ROWPOST_NAME string = site.outputs.name
output SERVICE_ROWPOST_URI string = site.outputs.uri
