// Package controllers brings the cluster to what MCPServers ask for.
package controllers

import (
	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

// GatewayInputs is what a gateway's configuration depends on besides the spec.
type GatewayInputs = resources.Inputs

// GatewayPort is what a Service says of one of its ports.
type GatewayPort = resources.Port

// GatewayObject is who serves some of a server's routes, and where the spec says so.
type GatewayObject = resources.Object

// GatewayObjects are all that the spec of server names.
func GatewayObjects(server *v1alpha1.MCPServer) []GatewayObject { return resources.Objects(server) }

// GatewayReference is one key of an object of the user's that a gateway is given,
// in a file below GatewayInputs.Directory.
type GatewayReference = resources.Reference

// GatewayReferences are all that the spec of server refers to, in its order.
func GatewayReferences(server *v1alpha1.MCPServer) []GatewayReference {
	return resources.References(server)
}

// GatewayConfig is the configuration that the controller gives to the gateway of
// server, which has the schema's defaults and has passed its rules. It is for
// programs that run a gateway without a controller, as kubectl vestibule run
// does: what works there works in a cluster because it was rendered alike.
func GatewayConfig(server *v1alpha1.MCPServer, in GatewayInputs) *config.Config {
	return resources.GatewayConfig(server, in)
}
