package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// LabelAllowedFor is on each Secret that an MCPServer may use; its value is the name
// of the MCPServer, or AllowedForAny. Who may write MCPServers need not be allowed to
// read Secrets, and could have an identity provider of their own told what is in one.
const LabelAllowedFor = "mcp.vestibule.dev/allowed-for"

// AllowedForAny lets every MCPServer of the namespace use a Secret.
const AllowedForAny = "any"

// MayUse says whether the server may be given what is in a Secret of its namespace.
func (s *MCPServer) MayUse(secret metav1.Object) bool {
	allowed := secret.GetLabels()[LabelAllowedFor]
	//rule:secret-of-anybody
	return allowed == s.Name || allowed == AllowedForAny
}
