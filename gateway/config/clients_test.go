package config

import (
	"strings"
	"testing"
)

func TestClientsThatCannotWorkAreNamed(t *testing.T) {
	portal := Client{ID: "portal", RedirectURIs: []string{"https://portal.example.com/cb"}, SecretFile: "/f", GrantTypes: []GrantType{GrantAuthorizationCode, GrantJWTBearer}}
	employer := TrustedIssuer{Name: "employer", IssuerURL: "https://idp.example.com", JWKSURL: "https://idp.example.com/jwks"}
	c := good()
	c.Clients = []Client{portal, {ID: "nightly", JWKSURL: "https://a.svc:8443/jwks", GrantTypes: []GrantType{GrantClientCredentials}}}
	c.TrustedIssuers = []TrustedIssuer{employer}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if !c.May(GrantJWTBearer) || !c.May(GrantClientCredentials) || good().May(GrantAuthorizationCode) || !(Client{}).Public() || portal.Public() {
		t.Error("who may what is wrong")
	}
	const grantTypes = "clients[0].grantTypes: "
	for _, row := range []struct {
		change func(c *Config)
		want   string
	}{
		{func(c *Config) { c.Clients[0].ID = "" }, "clients[0].id: must be 1 to 128 visible characters"},
		{func(c *Config) { c.Clients[0].ID = "a b" }, "clients[0].id: must be 1 to 128 visible characters"},
		{func(c *Config) { c.Clients[0].ID = "https://a.example/c" }, "clients[0].id: must be 1 to 128 visible characters"},
		{func(c *Config) { c.Clients[0].ID = "vst_cl_a" }, "clients[0].id: must be 1 to 128 visible characters"},
		{func(c *Config) { c.Clients = append(c.Clients, portal) }, "clients[1].id: stands twice"},
		{func(c *Config) { c.Clients[0].JWKSFile = "/k" }, "clients[0]: must have at most one of"},
		{func(c *Config) { c.Clients[0].JWKSURL = "https://a.example/" }, "clients[0]: must have at most one of"},
		{func(c *Config) { c.Clients[0].SecretFile, c.Clients[0].JWKSURL = "", "http://a.example/" }, "clients[0].jwksURL: must be an https URL"},
		{func(c *Config) { c.Clients[0].SecretFile = "" }, grantTypes + "must not name JWTBearer for a client that proves nothing"},
		{func(c *Config) { c.Clients[0].GrantTypes = nil }, grantTypes + "must not be empty"},
		{func(c *Config) { c.Clients[0].GrantTypes[0] = "Password" }, grantTypes + "must be AuthorizationCode"},
		{func(c *Config) { c.Clients[0].RedirectURIs = nil }, "clients[0].redirectURIs: must not be empty"},
		{func(c *Config) { c.TrustedIssuers[0].Name = "A" }, "trustedIssuers[0].name: must be set"},
		{func(c *Config) { c.TrustedIssuers = append(c.TrustedIssuers, employer) }, "trustedIssuers[1].name: must be set, to a name of its own"},
		{func(c *Config) { c.TrustedIssuers = append(c.TrustedIssuers, employer) }, "trustedIssuers[1].issuerURL: must be set, to another one"},
		{func(c *Config) { c.TrustedIssuers[0].IssuerURL = "" }, "trustedIssuers[0].issuerURL: must be set"},
		{func(c *Config) { c.TrustedIssuers[0].JWKSURL = "" }, "trustedIssuers[0].jwksURL: must be an https URL"},
		{func(c *Config) { c.TrustedIssuers[0].JWKSURL = "https://u@a.example" }, "trustedIssuers[0].jwksURL: must be an https URL"},
	} {
		c := good()
		c.Clients, c.TrustedIssuers = []Client{portal}, []TrustedIssuer{employer}
		c.Clients[0].GrantTypes = append([]GrantType{}, portal.GrantTypes...)
		row.change(c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%v, want %s", err, row.want)
		}
	}
}
