// Communication Services e-mail with a domain that Azure manages: nothing to set up in DNS.
param communicationServiceName string
param dataLocation string
param name string
param principalId string
param tags object

// The only built-in role that may send; Communication Services does not honour narrower custom ones everywhere.
var communicationAndEmailServiceOwner = '09976791-48a7-449e-bb21-39d1a415f350'

module emailService 'br/public:avm/res/communication/email-service:0.4.5' = {
  name: 'email-service'
  params: {
    name: name
    dataLocation: dataLocation
    domains: [
      {
        name: 'AzureManagedDomain'
        domainManagement: 'AzureManaged'
        userEngagementTracking: 'Disabled'
      }
    ]
    tags: tags
  }
}

module communicationService 'br/public:avm/res/communication/communication-service:0.5.0' = {
  name: 'communication-service'
  params: {
    name: communicationServiceName
    dataLocation: dataLocation
    linkedDomains: emailService.outputs.domainResourceIds
    roleAssignments: [
      {
        principalId: principalId
        principalType: 'ServicePrincipal'
        roleDefinitionIdOrName: communicationAndEmailServiceOwner
      }
    ]
    tags: tags
  }
}

output endpoint string = 'https://${communicationService.outputs.endpoint}'
output sender string = 'DoNotReply@${emailService.outputs.domainFromSenderDomains[0]}'
