package resources

import "vestibule.dev/vestibule/api/v1alpha1"

// Asks is the field by which server asks for a child of a kind that a cluster may not
// have, or "" if it does not.
func Asks(server *v1alpha1.MCPServer, kind string) string {
	g := &server.Spec.Gateway
	if kind == "PodMonitor" && g.PodMonitor != nil {
		return "gateway.podMonitor"
	}
	return ""
}
