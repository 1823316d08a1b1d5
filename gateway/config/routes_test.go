package config

import "testing"

// pages adds a public route, to another backend if one is given.
func pages(backendPath, backend string) func(*Config) {
	return func(c *Config) {
		r := Route{Name: "pages", Path: "/pages", Transport: TransportHTTP, Public: true, BackendPath: backendPath}
		if backend != "" {
			r.Backend = &Backend{URL: backend}
		}
		c.Routes = append(c.Routes, r)
	}
}

func TestARouteThatCannotWorkIsNamed(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   string // "" for what is good
	}{
		{func(c *Config) { c.Routes[0].Public = true }, "routes[0]: must serve MCP and need a token"},
		{func(c *Config) { c.Routes[0].Transport = TransportHTTP }, "routes[0]: must serve MCP and need a token"},
		{pages("/docs", ""), ""},
		{pages("/admins", ""), ""},
		{pages("/", ""), "routes[2].backendPath: leads past what guards routes[0]\nroutes[2].backendPath: leads past what guards routes[1]"},
		{pages("/mcp", ""), "routes[2].backendPath: leads past what guards routes[0]"},
		{pages("/Admin/", ""), "routes[2].backendPath: leads past what guards routes[1]"},
		{pages("/", "https://pages:8443"), ""},
		{func(c *Config) { pages("/admin", "")(c); c.Routes[2].Public = false }, "routes[2].backendPath: leads past what guards routes[1]"},
		{func(c *Config) {
			pages("/open", "")(c)
			c.Routes[2].Public, c.Routes[1].Public, c.Routes[1].BackendPath = false, true, "/open/mcp"
		}, ""},
		{func(c *Config) {
			pages("/admin", "")(c)
			c.Routes[2].Public, c.Routes[1].Transport = false, TransportHTTP
		}, ""},
		{func(c *Config) { pages("/", "")(c); c.Routes[2].Transport = TransportSSE }, ""},
		{func(c *Config) { pages("/MCP/", "")(c); c.Routes[2].Transport = TransportSSE }, "routes[2].backendPath: leads past what guards routes[0]"},
		{func(c *Config) { c.Routes[1].Backend = &Backend{URL: "http://admin:8080", H2C: true} }, ""},
		{func(c *Config) { c.Routes[1].Backend = &Backend{URL: "admin"} }, "routes[1].backend.url: must be scheme, host and port, without a path"},
		{func(c *Config) { c.Backend = Backend{URL: "https://weather:8443", H2C: true} }, "backend.h2c: must not be set for https, where HTTP/2 is negotiated"},
		{func(c *Config) {
			c.Backend = Backend{URL: "https://weather:8443", CABundleFile: "/etc/ca.crt", ServerName: "weather"}
		}, ""},
		{func(c *Config) { c.Backend.CABundleFile = "/etc/ca.crt" }, "backend.url: must be https if caBundleFile or serverName is set"},
		{func(c *Config) { c.Backend.ServerName = "weather" }, "backend.url: must be https if caBundleFile or serverName is set"},
	} {
		isNamed(t, c.change, c.want)
	}
}
