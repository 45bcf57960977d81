// The storage account of the Functions host and of Durable Functions (which needs blobs, queues and tables), without keys.
param location string
param name string
param principalId string
param tags object

var roles = {
  storageBlobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  storageQueueDataContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  storageTableDataContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
}
var deploymentContainer = 'deployments'

module account 'br/public:avm/res/storage/storage-account:0.33.0' = {
  name: 'storage-account'
  params: {
    name: name
    location: location
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    blobServices: {
      containers: [{ name: deploymentContainer }]
    }
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    // Open to the network, closed to everybody without a role: Flex Consumption fetches the package from here before it joins the subnet.
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: 'Allow'
    }
    publicNetworkAccess: 'Enabled'
    roleAssignments: [
      for role in items(roles): {
        principalId: principalId
        principalType: 'ServicePrincipal'
        roleDefinitionIdOrName: role.value
      }
    ]
    skuName: 'Standard_LRS'
    supportsHttpsTrafficOnly: true
    tags: tags
  }
}

output deploymentContainerUri string = '${account.outputs.primaryBlobEndpoint}${deploymentContainer}'
output endpoints object = account.outputs.serviceEndpoints
