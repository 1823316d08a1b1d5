package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Validate returns an error for each member that the gateway could not work with.
func (c *Config) Validate() error {
	v := &validator{}
	v.check(c.ServerUID != "", "serverUID", "must be set")
	v.publicURL(c.PublicURL)
	v.check(c.KeysFile != "", "keysFile", "must be set")
	v.backend("backend", &c.Backend, c.Cluster)
	v.store("store", &c.Store)
	if c.MigrateFrom != nil {
		v.store("migrateFrom", c.MigrateFrom)
		v.check(c.MigrateFrom.Type != c.Store.Type, "migrateFrom.type", "must not be that of store")
	}
	v.routes(c)
	v.check(c.AccessTokenTTLSeconds > 0, "accessTokenTTLSeconds", "must be positive")
	v.check(c.RefreshTokenTTLSeconds > 0, "refreshTokenTTLSeconds", "must be positive")
	v.check(c.KeepAliveSeconds >= 0, "keepAliveSeconds", "must not be negative")
	v.check(c.OutageToleranceSeconds >= 0, "outageToleranceSeconds", "must not be negative")
	v.check(c.Registration.TTLSeconds > 0, "registration.ttlSeconds", "must be positive")
	v.check(c.Registration.UnusedTTLSeconds > 0, "registration.unusedTTLSeconds", "must be positive")
	v.clientDocuments(&c.ClientIDMetadataDocuments)
	v.upstreams(c.Upstreams)
	v.clients(c.Clients)
	v.trustedIssuers(c.TrustedIssuers)
	v.rules(&c.Rules)
	if c.Cluster != nil {
		v.check(c.Cluster.Namespace != "" && c.Cluster.Policy != "" && c.Cluster.Report != "", "cluster", "namespace, policy and report must be set")
		v.check(c.Scopes == nil && c.AccessRules == nil && c.RequiredScopes == nil && c.AllowedOrigins == nil && c.DenyUnlistedTools == nil && c.Quotas == (Quotas{}),
			"cluster", "must not be set together with rules, which are in the policy then")
	}
	v.cidrs("trustedProxies", c.TrustedProxies)
	if c.Tracing != nil {
		v.baseURL("tracing.endpoint", c.Tracing.Endpoint)
		v.check(c.Tracing.SamplePercent > 0 && c.Tracing.SamplePercent <= 100, "tracing.samplePercent", "must be 1 to 100")
	}
	if c.TLS != nil {
		v.check(c.TLS.CertFile != "" && c.TLS.KeyFile != "", "tls", "certFile and keyFile must be set")
	}
	return errors.Join(v.errs...)
}

var (
	scopeToken   = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+$`)
	upstreamName = regexp.MustCompile(`^[a-z0-9-]+$`)
	hostRule     = regexp.MustCompile(`^((\*\.)?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?$`)
	plainPath    = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)
	ownPath      = regexp.MustCompile(`^/(authorize|consent|callback|token|register|revoke|\.well-known)(/|$)`)

	methodPattern = regexp.MustCompile(`^[\x21-\x29\x2b-\x7e]+\*?$`)
)

// isPlainPath says whether a path means the same to everybody who reads it:
// nothing to decode, no dot segments, no empty ones.
func isPlainPath(s string) bool { return plainPath.MatchString(s) && path.Clean(s) == s }

// IsOwnPath says whether the gateway serves a path under its public URL itself.
func IsOwnPath(s string) bool { return ownPath.MatchString(s) }

type validator struct{ errs []error }

func (v *validator) check(ok bool, field, message string) {
	if !ok {
		v.errs = append(v.errs, fmt.Errorf("%s: %s", field, message))
	}
}

func (v *validator) publicURL(s string) {
	u, err := url.Parse(s)
	ok := err == nil && u.Host != "" && u.User == nil && !strings.ContainsAny(s, "?#") &&
		(u.Path == "" || isPlainPath(s[len(u.Scheme+"://"+u.Host):]))
	v.check(ok, "publicURL", "must be an absolute URL without user, query, fragment or trailing slash, its path of plain characters")
	if ok {
		v.check(u.Scheme == "https" || u.Scheme == "http" && IsLoopback(u.Hostname()),
			"publicURL", "must be https; http is for loopback hosts only")
	}
}

func (v *validator) cidrs(field string, cidrs []string) {
	for i, cidr := range cidrs {
		_, err := netip.ParsePrefix(cidr)
		v.check(err == nil, fmt.Sprintf("%s[%d]", field, i), "must be a CIDR such as 10.0.0.0/8")
	}
}

func (v *validator) clientDocuments(d *ClientIDMetadataDocuments) {
	const field = "clientIDMetadataDocuments"
	for i, h := range d.AllowedHosts {
		literal, _, _ := strings.Cut(strings.TrimPrefix(h, "["), "]")
		_, err := netip.ParseAddr(literal)
		v.check(hostRule.MatchString(h) && (h[0] != '[' || err == nil), fmt.Sprintf("%s.allowedHosts[%d]", field, i),
			"must be a host such as claude.ai, *.example.com or clients.example.com:8443")
	}
	v.cidrs(field+".deniedCIDRs", d.DeniedCIDRs)
	v.cidrs(field+".allowedCIDRs", d.AllowedCIDRs)
}

func (v *validator) baseURL(field, s string) {
	u, err := url.Parse(s)
	v.check(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.Path == "" && u.User == nil && !strings.ContainsAny(s, "?#"),
		field, "must be scheme, host and port, without a path")
}

func (v *validator) backend(field string, b *Backend, cluster *Cluster) {
	v.baseURL(field+".url", b.URL)
	secure := strings.HasPrefix(b.URL, "https:")
	v.check(!b.H2C || !secure, field+".h2c", "must not be set for https, where HTTP/2 is negotiated")
	v.check(secure || b.CABundleFile == "" && b.ServerName == "", field+".url", "must be https if caBundleFile or serverName is set")
	if b.Pods != nil {
		v.check(b.Pods.Service != "", field+".pods.service", "must be set")
		v.check(cluster != nil, field+".pods", "must not be set without cluster")
	}
	if b.Identity != nil {
		v.identity(field+".identity", b.Identity)
	}
}

func (v *validator) routes(c *Config) {
	v.check(len(c.Routes) > 0, "routes", "must not be empty")
	if len(c.Routes) > 0 {
		v.check(!c.Routes[0].Public && c.Routes[0].Transport != TransportHTTP, "routes[0]", "must serve MCP and need a token")
	}
	paths, names := map[string]bool{}, map[string]bool{}
	for i, r := range c.Routes {
		field := fmt.Sprintf("routes[%d]", i)
		v.check(r.Path == "/" || isPlainPath(r.Path), field+".path", "must begin with a slash and not end in one, and have plain characters only")
		v.check(!IsOwnPath(r.Path), field+".path", "is the gateway's own")
		v.check(strings.HasPrefix(r.BackendPath, "/"), field+".backendPath", "must begin with a slash")
		v.check(r.Transport == TransportStreamableHTTP || r.Transport == TransportSSE || r.Transport == TransportHTTP,
			field+".transport", "must be StreamableHTTP, SSE or HTTP")
		v.check(!paths[r.Path], field+".path", "stands twice")
		v.check(r.Name != "" && !names[r.Name], field+".name", "must be set, and to a name of its own")
		paths[r.Path], names[r.Name] = true, true
		if r.Backend != nil {
			v.backend(field+".backend", r.Backend, c.Cluster)
		}
		for j := range c.Routes {
			other := &c.Routes[j]
			v.check(!r.Exposes(other) || c.BackendOf(&r).URL != c.BackendOf(other).URL,
				field+".backendPath", fmt.Sprintf("leads past what guards routes[%d]", j))
		}
	}
}

// rules checks rules by themselves. A route that they name but that does not
// exist does no harm: the two documents may change one after the other.
func (v *validator) rules(r *Rules) {
	known := map[string]bool{}
	for i, s := range r.Scopes {
		v.check(scopeToken.MatchString(s.Name), fmt.Sprintf("scopes[%d].name", i), "must be a scope token (RFC 6749 section 3.3)")
		known[s.Name] = true
		v.patterns(fmt.Sprintf("scopes[%d]", i), &s)
	}
	for _, route := range slices.Sorted(maps.Keys(r.RequiredScopes)) {
		for _, s := range r.RequiredScopes[route] {
			v.check(known[s], "requiredScopes["+route+"]", "names "+s+", which is not in scopes")
		}
	}
	v.check(min(r.Quotas.RequestsPerMinutePerUser, r.Quotas.RequestsPerMinutePerClient, r.Quotas.ConcurrentRequestsPerUser, r.Quotas.ConcurrentRequestsPerClient) >= 0,
		"quotas", "must not be negative")
}

// patterns insists that each could match something: one that cannot would leave
// open what it was meant to guard.
func (v *validator) patterns(field string, s *Scope) {
	for i, p := range s.Tools {
		v.check(p != "", fmt.Sprintf("%s.tools[%d]", field, i), "must not be empty")
	}
	for i, p := range s.Prompts {
		v.check(p != "", fmt.Sprintf("%s.prompts[%d]", field, i), "must not be empty")
	}
	for i, p := range s.Resources {
		v.check(canMatch(p), fmt.Sprintf("%s.resources[%d]", field, i),
			"must be a URI as URL libraries write it: "+
				"of visible ASCII without backslashes and percent signs, without dot segments and empty ones, user and default port")
	}
	for i, p := range s.Methods {
		v.check(methodPattern.MatchString(p), fmt.Sprintf("%s.methods[%d]", field, i), "must be a method, or its beginning and a *")
	}
}
