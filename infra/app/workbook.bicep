// One page with the state of every table. There is no Azure Verified Module for workbooks.
param location string
param tags object
param workspaceId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'rowpost')
  location: location
  kind: 'shared'
  properties: {
    category: 'workbook'
    displayName: 'Rowpost'
    serializedData: loadTextContent('workbook.json')
    sourceId: workspaceId
    version: 'Notebook/1.0'
  }
  tags: tags
}
