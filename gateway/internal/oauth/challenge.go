package oauth

import "strings"

// Challenge is the WWW-Authenticate header of a protected resource (RFC 6750
// section 3, RFC 9728 section 5.1).
type Challenge struct {
	// ResourceMetadata is the URL of the resource's metadata document.
	ResourceMetadata string
	// Scope is what a client should ask for.
	Scope Scopes
	// Error and Description are empty if the request had no credentials at all.
	Error, Description string
}

// String is the header's value: the Bearer scheme, then one quoted parameter
// after the other. What the parameters hold is never what a client sent, and
// has neither quotes nor backslashes.
func (c Challenge) String() string {
	var b strings.Builder
	b.WriteString("Bearer")
	sep := " "
	add := func(name, value string) {
		if value != "" {
			b.WriteString(sep + name + `="` + value + `"`)
			sep = ", "
		}
	}
	add("error", c.Error)
	add("error_description", c.Description)
	add("scope", c.Scope.String())
	//rule:challenge-without-metadata
	add("resource_metadata", c.ResourceMetadata)
	return b.String()
}
