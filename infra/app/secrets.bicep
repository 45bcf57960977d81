// The secrets that no identity can replace: what the downstream API and the alert webhook ask for.
@secure()
param alertWebhookUrl string
@secure()
param downstreamApiKey string
param location string
param name string
param principalId string
param tags object

var keyVaultSecretsUser = '4633458b-17de-408a-874b-0445c86b69e6'

module vault 'br/public:avm/res/key-vault/vault:0.14.0' = {
  name: 'key-vault'
  params: {
    name: name
    location: location
    enablePurgeProtection: false // holds copies only: the next deployment writes them again
    enableRbacAuthorization: true
    enableVaultForDeployment: false
    enableVaultForDiskEncryption: false
    enableVaultForTemplateDeployment: false
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: 'Allow'
    }
    publicNetworkAccess: 'Enabled'
    roleAssignments: [
      {
        principalId: principalId
        principalType: 'ServicePrincipal'
        roleDefinitionIdOrName: keyVaultSecretsUser
      }
    ]
    secrets: [
      { name: 'downstream-api-key', value: downstreamApiKey }
      { name: 'alert-webhook-url', value: alertWebhookUrl }
    ]
    sku: 'standard'
    softDeleteRetentionInDays: 7
    tags: tags
  }
}

// Without a version: a secret that is changed in the vault reaches the app within a day.
output alertWebhookUrlUri string = '${vault.outputs.uri}secrets/alert-webhook-url'
output downstreamApiKeyUri string = '${vault.outputs.uri}secrets/downstream-api-key'
