package config

import (
	"slices"
	"strings"
)

// Backend is an MCP server behind the gateway.
type Backend struct {
	// URL is scheme, host and port, without a path. It names the backend in the Host
	// header, whatever address is called.
	URL string `json:"url"`
	// H2C says that it speaks HTTP/2 without TLS. With TLS, HTTP/2 is spoken if it is
	// offered.
	H2C bool `json:"h2c,omitempty"`
	// CABundleFile, when set, replaces the system's roots. It and ServerName are for https.
	CABundleFile string `json:"caBundleFile,omitempty"`
	// ServerName, when set, is the name in its certificate, in place of URL's host.
	ServerName string `json:"serverName,omitempty"`
	// Pods, if set, names those behind URL. Then each session stays with one of them;
	// otherwise URL alone is called.
	Pods *BackendPods `json:"pods,omitempty"`
	// Identity, if set, says how it learns who calls.
	Identity *Identity `json:"identity,omitempty"`
}

// BackendPods are those of a Service in the gateway's namespace.
type BackendPods struct {
	Service string `json:"service"`
	// Port is the name of the Service's port, which has none if it has but one.
	Port string `json:"port,omitempty"`
}

// Route is one path, protected unless it is public.
type Route struct {
	Name string `json:"name"`
	// Path is what clients call, under PublicURL: it begins with a slash, and does
	// not end in one unless it is PublicURL itself.
	Path string `json:"path"`
	// Transport is how the backend speaks: one of the constants below.
	Transport string `json:"transport"`
	// Public lets everybody in. Then the route is no resource.
	Public bool `json:"public,omitempty"`
	// BackendPath is where the backend serves this route.
	BackendPath string `json:"backendPath"`
	// Backend, when set, is who serves this route, in place of the Config's.
	Backend *Backend `json:"backend,omitempty"`
}

// The transports: that of MCP revisions from 2025-03-26, that of 2024-11-05, and none
// of MCP's, where all below the path is passed on, too.
const (
	TransportStreamableHTTP = "StreamableHTTP"
	TransportSSE            = "SSE"
	TransportHTTP           = "HTTP"
)

// RouteURL is where clients find a route: the identifier of its resource, and the
// audience of its tokens. That of the path / is publicURL as people write it, without a
// slash.
func RouteURL(publicURL, path string) string { return publicURL + strings.TrimSuffix(path, "/") }

// BackendOf is who serves a route.
func (c *Config) BackendOf(r *Route) *Backend {
	//rule:backend-of-another-route
	if r.Backend != nil {
		return r.Backend
	}
	return &c.Backend
}

// FollowsPods says whether the pods of some backend are told apart.
func (c *Config) FollowsPods() bool {
	return slices.ContainsFunc(c.Routes, func(r Route) bool { return c.BackendOf(&r).Pods != nil })
}

// Protected are the routes that need a token, in their order.
func (c *Config) Protected() []Route {
	var protected []Route
	for _, r := range c.Routes {
		//rule:public-resource
		if !r.Public {
			protected = append(protected, r)
		}
	}
	return protected
}

// Exposes says whether r leads past what guards other, if one backend serves both: past
// its token, or past its sessions and rules, which only MCP has. Many servers tell
// neither capitals nor a slash at the end apart.
func (r *Route) Exposes(other *Route) bool {
	around := r.Transport == TransportHTTP && other.Transport != TransportHTTP
	//rule:route-exposed
	if other.Public || !r.Public && !around {
		return false
	}
	//rule:route-exposed-in-capitals
	plain := func(path string) string { return strings.ToLower(strings.TrimSuffix(path, "/")) + "/" }
	if r.Transport == TransportHTTP {
		return strings.HasPrefix(plain(other.BackendPath), plain(r.BackendPath))
	}
	return plain(other.BackendPath) == plain(r.BackendPath)
}
