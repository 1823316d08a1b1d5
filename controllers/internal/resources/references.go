package resources

import (
	"path"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// Reference is one key of an object of the user's that the gateway is given.
type Reference struct {
	// Field is where the spec says so.
	Field string
	// Kind is Secret or ConfigMap.
	Kind string
	// Name and Key are what the spec says.
	Name, Key string
	// Path is where the gateway finds it, below Inputs.Directory.
	Path string
}

// References are all that the spec refers to, in its order.
func References(server *v1alpha1.MCPServer) []Reference {
	var all []Reference
	for _, u := range server.Spec.Upstreams {
		field, directory := "upstreams["+u.Name+"].oidc", path.Join("upstreams", u.Name)
		if u.OIDC == nil {
			continue
		}
		if r := u.OIDC.ClientSecretRef; r != nil {
			all = append(all, Reference{field + ".clientSecretRef", "Secret", r.Name, r.Key, path.Join(directory, "client-secret")})
		}
		if r := u.OIDC.CABundleRef; r != nil {
			all = append(all, Reference{field + ".caBundleRef", "ConfigMap", r.Name, r.Key, path.Join(directory, "ca.crt")})
		}
	}
	return all
}
