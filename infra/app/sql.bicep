// A new Azure SQL server that knows no passwords, and its database. It has no firewall rule: the app comes through the private
// endpoint, and the postprovision hook lets the deployer's address in while it prepares the database.
param administratorId string
param administratorType string
param databaseName string
param location string
param name string
param tags object

module server 'br/public:avm/res/sql/server:0.22.0' = {
  name: 'sql-server'
  params: {
    name: name
    location: location
    administrators: {
      azureADOnlyAuthentication: true
      login: 'rowpost-deployer'
      principalType: administratorType == 'ServicePrincipal' ? 'Application' : administratorType
      sid: administratorId
      tenantId: tenant().tenantId
    }
    databases: [
      {
        name: databaseName
        availabilityZone: -1
        requestedBackupStorageRedundancy: 'Local'
        // Not serverless: the trigger asks every second, so such a database would never pause.
        sku: {
          name: 'S0'
          tier: 'Standard'
        }
        zoneRedundant: false
      }
    ]
    minimalTlsVersion: '1.2'
    publicNetworkAccess: 'Enabled'
    tags: tags
  }
}

output resourceId string = server.outputs.resourceId
