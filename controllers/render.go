// Package controllers brings the cluster to what MCPServers ask for.
package controllers

import (
	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

// GatewayInputs is what a gateway's configuration depends on besides the spec.
type GatewayInputs = resources.Inputs

// References are all that the spec of server refers to, with where below
// GatewayInputs.Directory the gateway looks for it.
func References(server *v1alpha1.MCPServer) []resources.Reference {
	return resources.References(server)
}

// GatewayConfig is the configuration that the controller gives to the gateway of
// server, which has the schema's defaults and has passed its rules. It is for
// programs that run a gateway without a controller, as kubectl vestibule run
// does: what works there works in a cluster because it was rendered alike.
func GatewayConfig(server *v1alpha1.MCPServer, in GatewayInputs) *config.Config {
	return resources.GatewayConfig(server, in)
}
