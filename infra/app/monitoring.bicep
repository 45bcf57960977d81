// Log Analytics and Application Insights; telemetry is accepted from identities only.
param applicationInsightsName string
param location string
param principalId string
param tags object
param workspaceName string

var monitoringMetricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

module workspace 'br/public:avm/res/operational-insights/workspace:0.16.1' = {
  name: 'workspace'
  params: {
    name: workspaceName
    location: location
    dataRetention: 30
    forceCmkForQuery: false // true would ask for storage of one's own behind each alert rule
    tags: tags
  }
}

module applicationInsights 'br/public:avm/res/insights/component:0.8.0' = {
  name: 'application-insights'
  params: {
    name: applicationInsightsName
    location: location
    disableIpMasking: false
    disableLocalAuth: true
    retentionInDays: 30
    roleAssignments: [
      {
        principalId: principalId
        principalType: 'ServicePrincipal'
        roleDefinitionIdOrName: monitoringMetricsPublisher
      }
    ]
    tags: tags
    workspaceResourceId: workspace.outputs.resourceId
  }
}

output connectionString string = applicationInsights.outputs.connectionString
output workspaceId string = workspace.outputs.resourceId
