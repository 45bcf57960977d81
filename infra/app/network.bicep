// The way from the app to the database: a subnet that Flex Consumption joins, and a private endpoint of the SQL server.
param location string
param name string
param privateEndpointName string
param sqlServerId string
param tags object

module virtualNetwork 'br/public:avm/res/network/virtual-network:0.10.1' = {
  name: 'virtual-network'
  params: {
    name: name
    location: location
    addressPrefixes: ['10.20.0.0/24']
    subnets: [
      {
        // No underscore in the name, and nothing else in the subnet: Flex Consumption asks for both.
        name: 'app'
        addressPrefix: '10.20.0.0/26'
        delegation: 'Microsoft.App/environments'
      }
      {
        name: 'endpoints'
        addressPrefix: '10.20.0.64/28'
        privateEndpointNetworkPolicies: 'Disabled'
      }
    ]
    tags: tags
  }
}

module dnsZone 'br/public:avm/res/network/private-dns-zone:0.8.1' = {
  name: 'private-dns-zone'
  params: {
    name: 'privatelink${environment().suffixes.sqlServerHostname}'
    virtualNetworkLinks: [{ virtualNetworkResourceId: virtualNetwork.outputs.resourceId }]
    tags: tags
  }
}

module privateEndpoint 'br/public:avm/res/network/private-endpoint:0.12.1' = {
  name: 'private-endpoint'
  params: {
    name: privateEndpointName
    location: location
    privateDnsZoneGroup: {
      privateDnsZoneGroupConfigs: [{ privateDnsZoneResourceId: dnsZone.outputs.resourceId }]
    }
    privateLinkServiceConnections: [
      {
        name: privateEndpointName
        properties: {
          groupIds: ['sqlServer']
          privateLinkServiceId: sqlServerId
        }
      }
    ]
    subnetResourceId: virtualNetwork.outputs.subnetResourceIds[1]
    tags: tags
  }
}

output appSubnetId string = virtualNetwork.outputs.subnetResourceIds[0]
