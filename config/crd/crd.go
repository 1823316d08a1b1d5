// Package crd is the CustomResourceDefinition of MCPServer as a Go value, for
// programs that must judge an MCPServer as the API server would. It embeds the
// file that is applied to clusters, so that there is no second truth.
package crd

import _ "embed"

// MCPServers is the CustomResourceDefinition, in YAML.
//
//go:embed bases/mcp.vestibule.dev_mcpservers.yaml
var MCPServers []byte
