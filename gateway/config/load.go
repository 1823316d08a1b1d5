package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"strings"
)

// Load reads and checks the configuration in the file at path.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	c, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

// Parse reads a configuration strictly: a format that it does not know, a
// member that it does not know, anything after the document, and a value that
// the gateway could not work with are errors that name the member.
func Parse(data []byte) (*Config, error) {
	var c Config
	if err := decodeStrict(data, &c); err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &c, nil
}

func decodeStrict(data []byte, into any) error {
	var head struct {
		Version int `json:"version"`
	}
	// The version comes first: a newer format should say so, not complain of its members.
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("not a JSON document: %w", err)
	}
	if head.Version != Version {
		return fmt.Errorf("version: this gateway reads version %d, not %d", Version, head.Version)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more data after the document")
	}
	return nil
}

// Validate returns an error for each member that the gateway could not work with.
func (c *Config) Validate() error {
	v := &validator{}
	v.check(c.ServerUID != "", "serverUID", "must be set")
	v.publicURL(c.PublicURL)
	v.check(c.KeysFile != "", "keysFile", "must be set")
	v.baseURL("backend.url", c.Backend.URL)
	v.store(&c.Store)
	v.routes(c)
	v.check(c.AccessTokenTTLSeconds > 0, "accessTokenTTLSeconds", "must be positive")
	v.check(c.RefreshTokenTTLSeconds > 0, "refreshTokenTTLSeconds", "must be positive")
	v.check(c.OutageToleranceSeconds >= 0, "outageToleranceSeconds", "must not be negative")
	v.check(c.Registration.TTLSeconds > 0, "registration.ttlSeconds", "must be positive")
	v.check(c.Registration.UnusedTTLSeconds > 0, "registration.unusedTTLSeconds", "must be positive")
	v.upstreams(c.Upstreams)
	for i, cidr := range c.TrustedProxies {
		_, err := netip.ParsePrefix(cidr)
		v.check(err == nil, fmt.Sprintf("trustedProxies[%d]", i), "must be a CIDR such as 10.0.0.0/8")
	}
	return errors.Join(v.errs...)
}

type validator struct{ errs []error }

func (v *validator) check(ok bool, field, message string) {
	if !ok {
		v.errs = append(v.errs, fmt.Errorf("%s: %s", field, message))
	}
}

func (v *validator) publicURL(s string) {
	u, err := url.Parse(s)
	ok := err == nil && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" &&
		!strings.HasSuffix(s, "/") && !strings.ContainsAny(s, "?#")
	v.check(ok, "publicURL", "must be an absolute URL without user, query, fragment or trailing slash")
	if ok {
		v.check(u.Scheme == "https" || u.Scheme == "http" && IsLoopback(u.Hostname()),
			"publicURL", "must be https; http is for loopback hosts only")
	}
}

func (v *validator) baseURL(field, s string) {
	u, err := url.Parse(s)
	v.check(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.Path == "" && u.User == nil && u.RawQuery == "",
		field, "must be scheme, host and port, without a path")
}

func (v *validator) store(s *Store) {
	switch s.Type {
	case StoreKubernetes:
		if s.Kubernetes == nil {
			v.check(false, "store.kubernetes", "must be set for type Kubernetes")
			return
		}
		k := s.Kubernetes
		v.check(k.Kind == "Secret" || k.Kind == "ConfigMap", "store.kubernetes.kind", "must be Secret or ConfigMap")
		v.check(k.Namespace != "" && k.Name != "", "store.kubernetes", "namespace and name must be set")
		v.check(k.ClientShards > 0 && k.GrantShards > 0, "store.kubernetes", "clientShards and grantShards must be positive")
		v.check(k.Replicas > 0, "store.kubernetes.replicas", "must be positive")
	case StoreMemory:
	default:
		v.check(false, "store.type", "must be Kubernetes or Memory")
	}
}

func (v *validator) routes(c *Config) {
	v.check(len(c.Routes) > 0, "routes", "must not be empty")
	known, paths := map[string]bool{}, map[string]bool{}
	for _, s := range c.Scopes {
		known[s.Name] = true
	}
	for i, r := range c.Routes {
		field := fmt.Sprintf("routes[%d]", i)
		v.check(strings.HasPrefix(r.Path, "/") && !strings.HasSuffix(r.Path, "/"), field+".path", "must begin with a slash and not end in one")
		v.check(strings.HasPrefix(r.BackendPath, "/"), field+".backendPath", "must begin with a slash")
		v.check(r.Transport == TransportStreamableHTTP, field+".transport", "must be "+TransportStreamableHTTP)
		v.check(!paths[r.Path], field+".path", "stands twice")
		paths[r.Path] = true
		for _, s := range r.RequiredScopes {
			v.check(known[s], field+".requiredScopes", "names "+s+", which is not in scopes")
		}
	}
}

func (v *validator) upstreams(us []Upstream) {
	v.check(len(us) > 0, "upstreams", "must not be empty")
	for i, u := range us {
		field := fmt.Sprintf("upstreams[%d]", i)
		v.check(u.Name != "", field+".name", "must be set")
		if u.Type != UpstreamOIDC || u.OIDC == nil {
			v.check(false, field, "type must be OIDC, and oidc set")
			continue
		}
		v.check(u.OIDC.IssuerURL != "", field+".oidc.issuerURL", "must be set")
		v.check(u.OIDC.ClientID != "", field+".oidc.clientID", "must be set")
	}
}

// IsLoopback says whether host, without a port, is this machine's own:
// localhost, 127.0.0.0/8 or ::1 (RFC 8252 section 7.3).
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
