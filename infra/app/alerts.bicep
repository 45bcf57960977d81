// Alerts on what the app logs. The queries read the line that the watchdog writes for each table every five minutes.
param actionGroupName string
param emails string[]
param lagMinutes int
param location string
param namePrefix string
param tags object
param workspaceId string

var rules = [
  {
    name: 'dead-letters'
    description: 'Rows were given up and stand in the dead letters. Mend the cause, then replay them.'
    query: loadTextContent('queries/dead-letters.kql')
    dimension: 'Relay'
    severity: 1
    threshold: 0
    operator: 'GreaterThan'
    window: 'PT15M'
  }
  {
    name: 'lag'
    description: 'Changes wait untouched for longer than ${lagMinutes} minutes: the trigger of that table does not keep up, or does not run.'
    query: replace(loadTextContent('queries/lag.kql'), '{lagMinutes}', string(lagMinutes))
    dimension: 'Relay'
    severity: 2
    threshold: 0
    operator: 'GreaterThan'
    window: 'P1D'
  }
  {
    name: 'long-recovery'
    description: 'Rows have been failing for more than a day.'
    query: loadTextContent('queries/long-recovery.kql')
    dimension: 'Relay'
    severity: 2
    threshold: 0
    operator: 'GreaterThan'
    window: 'PT15M'
  }
  {
    name: 'host-errors'
    description: 'The Functions host, a listener or the watchdog reports errors. Failed deliveries are not counted here.'
    query: loadTextContent('queries/host-errors.kql')
    dimension: 'Category'
    severity: 2
    threshold: 2
    operator: 'GreaterThan'
    window: 'PT15M'
  }
  {
    name: 'silence'
    description: 'The watchdog has written nothing for half an hour: the app does not run, or cannot reach its database.'
    query: loadTextContent('queries/silence.kql')
    dimension: ''
    severity: 1
    threshold: 1
    operator: 'LessThan'
    window: 'PT30M'
  }
]

module actionGroup 'br/public:avm/res/insights/action-group:0.8.0' = {
  name: 'action-group'
  params: {
    name: actionGroupName
    emailReceivers: [
      for (address, index) in emails: {
        name: 'person-${index}'
        emailAddress: trim(address)
        useCommonAlertSchema: true
      }
    ]
    groupShortName: 'rowpost'
    tags: tags
  }
}

module alert 'br/public:avm/res/insights/scheduled-query-rule:0.6.0' = [
  for rule in rules: {
    name: 'alert-${rule.name}'
    params: {
      name: '${namePrefix}${rule.name}'
      location: location
      actions: {
        actionGroupResourceIds: [actionGroup.outputs.resourceId]
      }
      alertDescription: rule.description
      alertDisplayName: 'Rowpost: ${rule.name}'
      autoMitigate: true
      criterias: {
        allOf: [
          {
            dimensions: empty(rule.dimension) ? [] : [{ name: rule.dimension, operator: 'Include', values: ['*'] }]
            failingPeriods: {
              minFailingPeriodsToAlert: 1
              numberOfEvaluationPeriods: 1
            }
            operator: rule.operator
            query: rule.query
            threshold: rule.threshold
            timeAggregation: 'Count'
          }
        ]
      }
      evaluationFrequency: rule.window == 'P1D' ? 'PT15M' : 'PT5M'
      scopes: [workspaceId]
      severity: rule.severity
      skipQueryValidation: true // the first deployment comes before the first telemetry
      tags: tags
      windowSize: rule.window
    }
  }
]
