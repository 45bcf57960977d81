// A new Azure SQL server that knows no passwords, and its database. Behind a private endpoint it has no firewall rule: the
// postprovision hook lets the deployer's address in while it prepares the database. Without one it must let Azure in, because an app
// on Flex Consumption has no fixed address.
param administratorId string
param administratorType string
param databaseName string
param location string
param name string
param openToAzure bool
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
    // This pair of addresses means every address inside Azure, of any customer; nobody gets in without a login of Entra.
    firewallRules: openToAzure ? [{ name: 'AllowAllWindowsAzureIps', startIpAddress: '0.0.0.0', endIpAddress: '0.0.0.0' }] : []
    minimalTlsVersion: '1.2'
    publicNetworkAccess: 'Enabled'
    tags: tags
  }
}

output resourceId string = server.outputs.resourceId
