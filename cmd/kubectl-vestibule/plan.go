package main

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/cmd/internal/manifest"
	"vestibule.dev/vestibule/cmd/internal/weather"
	"vestibule.dev/vestibule/controllers"
	"vestibule.dev/vestibule/gateway/config"
)

// plan is what a run makes of a file. It is a function of the file and the
// flags alone.
type plan struct {
	// server is the MCPServer with what is overridden.
	server *v1alpha1.MCPServer
	// overridden says so, a field each.
	overridden []override
	// listen is where the gateway listens.
	listen string
	// services are those that the run provides demo MCP servers for, and devIdP says
	// whether it provides an identity provider.
	services []v1alpha1.ServicePort
	devIdP   bool
}

// override is one field that the run does not take from the file.
type override struct{ field, value, why string }

// inspectorOrigins are those of the page that MCP Inspector serves.
var inspectorOrigins = []string{"http://localhost:6274", "http://127.0.0.1:6274"}

// newPlan decides what the run has to provide: of a file that is meant for this
// machine nothing, of one that is meant for a cluster what only a cluster has.
// The demo servers' URLs are set when they listen.
func newPlan(m *manifest.Manifest, o options) (*plan, error) {
	p := &plan{server: m.Server.DeepCopy()}
	spec := &p.server.Spec
	public, err := url.Parse(spec.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("spec.publicURL: %w", err)
	}
	if config.IsLoopback(public.Hostname()) {
		if public.Scheme != "http" {
			return nil, fmt.Errorf("spec.publicURL: %s would need a certificate; on this machine it must be http", spec.PublicURL)
		}
		p.listen = public.Host
		if public.Port() == "" {
			p.listen = net.JoinHostPort(public.Hostname(), "80")
		}
	} else {
		if err := p.overridePublicURL(public, o); err != nil {
			return nil, err
		}
		p.overrideUpstreams(o)
	}
	for _, o := range controllers.GatewayObjects(p.server) {
		if o.Service != nil && !slices.Contains(p.services, *o.Service) {
			p.services = append(p.services, *o.Service)
		}
	}
	if spec.Bindings.OAuthKV.Type != v1alpha1.OAuthKVMemory {
		p.override("spec.bindings.oauthKV", "a file on this machine", "the objects of type "+string(spec.Bindings.OAuthKV.Type)+" are in a cluster")
		spec.Bindings.OAuthKV = v1alpha1.OAuthKV{Type: v1alpha1.OAuthKVMemory}
	}
	spec.Gateway.Metrics = v1alpha1.PolicyDisabled // there is no port for them, and nobody who asks
	if spec.Gateway.TLS != nil {
		p.override("spec.gateway.tls", "no TLS", "the Secret "+spec.Gateway.TLS.SecretRef.Name+" is in a cluster")
		spec.Gateway.TLS = nil
	}
	spec.Gateway.Autoscaling = nil
	if spec.Gateway.Replicas != 1 {
		p.override("spec.gateway.replicas", "1", "it is this process")
		spec.Gateway.Replicas = 1
	}
	return p, nil
}

func (p *plan) override(field, value, why string) {
	p.overridden = append(p.overridden, override{field, value, why})
}

func (p *plan) overridePublicURL(public *url.URL, o options) error {
	if err := config.CheckLoopback("-listen", o.listen, "127.0.0.1:8788"); err != nil {
		return err
	}
	spec := &p.server.Spec
	p.listen = o.listen
	local := "http://" + o.listen + public.Path
	p.override("spec.publicURL", local, spec.PublicURL+" is not this machine")
	spec.PublicURL = local
	p.override("spec.gateway.allowedOrigins", "and "+inspectorOrigins[0], "MCP Inspector's page calls from there")
	spec.Gateway.AllowedOrigins = append(spec.Gateway.AllowedOrigins, inspectorOrigins...)
	return nil
}

// overrideUpstreams puts the development identity provider in the place of those
// that know the gateway under another URL, and would not send anybody here. It has
// the name of the first, which rules may ask for.
func (p *plan) overrideUpstreams(o options) {
	p.devIdP = true
	issuer := "http://" + o.idpListen
	spec := &p.server.Spec
	first := spec.Upstreams[0]
	var names, secrets []string
	for _, u := range spec.Upstreams {
		names = append(names, u.Name)
	}
	for _, r := range controllers.GatewayReferences(p.server) {
		if r.Kind == "Secret" && strings.HasPrefix(r.Field, "upstreams[") {
			secrets = append(secrets, r.Name)
		}
	}
	why := strings.Join(names, " and ") + " would not send users here"
	if len(secrets) > 0 {
		why += fmt.Sprintf("; its Secret %s is not needed", strings.Join(secrets, " or "))
	}
	p.override("spec.upstreams", "the development identity provider at "+issuer+", as "+first.Name, why)
	dev := v1alpha1.Upstream{Name: first.Name, Type: v1alpha1.UpstreamOIDC, OIDC: &v1alpha1.OIDCUpstream{
		IssuerURL: issuer, UpstreamClient: v1alpha1.UpstreamClient{
			ClientID:        "vestibule",
			ClientSecretRef: &v1alpha1.KeyReference{Name: "development", Key: "client-secret"},
			Scopes:          []string{"profile", "email"},
		},
	}}
	if first.OIDC != nil {
		dev.OIDC.Scopes = first.OIDC.Scopes
	}
	spec.Upstreams = []v1alpha1.Upstream{dev}
}

// useBackend has a demo MCP server stand for a Service. It returns how that server knows
// who calls, if the file says wherever it names the Service that it is told, and calls it
// by one name; else nil.
func (p *plan) useBackend(service v1alpha1.ServicePort, addr string) *weather.Callers {
	var audiences []string
	for _, o := range controllers.GatewayObjects(p.server) {
		if o.Service == nil || *o.Service != service {
			continue
		}
		audience := ""
		if o.Identity != nil && o.Identity.Assertion != nil {
			audience = o.Identity.Assertion.Audience
		}
		audiences = append(audiences, audience)
		p.override("spec."+o.Field, "a demo MCP server at http://"+addr,
			fmt.Sprintf("the Service %s is in a cluster; for a server of your own: {type: URL, url: http://127.0.0.1:PORT}", service.Name))
		*o.MCPObject = v1alpha1.MCPObject{Type: v1alpha1.MCPObjectURL, URL: "http://" + addr, Identity: o.Identity}
	}
	if audiences = slices.Compact(audiences); len(audiences) != 1 || audiences[0] == "" {
		return nil
	}
	public := p.server.Spec.PublicURL
	return &weather.Callers{KeysURL: public + "/.well-known/jwks.json", Issuer: public, Audience: audiences[0]}
}
