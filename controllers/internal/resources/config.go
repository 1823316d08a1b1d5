// Package resources computes what the controller applies for an MCPServer. Each
// function is pure: of the spec, and of what was observed or decided elsewhere.
package resources

import (
	"path"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/gateway/config"
)

// Inputs is what the gateway's configuration depends on besides the spec.
type Inputs struct {
	// Ports are what the spec's ports of Services stand for. They are not used for a
	// backend of type URL.
	Ports map[v1alpha1.ServicePort]Port
	// Directory is where the gateway finds its files: keys/keyset.json, and what the spec
	// refers to, at Reference.Path.
	Directory string
	// ClientShards and GrantShards are how many shards exist. They are not used
	// for a store of type Memory.
	ClientShards, GrantShards int
	// SealedTo is what records are sealed to. Unset, it is the server's UID.
	SealedTo string
	// Cluster names what the gateway shares with its controller. Unset, there is
	// no controller, and the policy is part of the configuration.
	Cluster *config.Cluster
}

// GatewayConfig is the configuration of the server's gateway. The server has the
// schema's defaults and has passed its rules.
func GatewayConfig(server *v1alpha1.MCPServer, in Inputs) *config.Config {
	spec := &server.Spec
	c := &config.Config{
		Version:                   config.Version,
		ServerUID:                 in.sealedTo(server),
		PublicURL:                 spec.PublicURL,
		KeysFile:                  path.Join(in.Directory, keysDirectory, keysKey),
		Backend:                   backend(server, &spec.Bindings.MCPObject, backendDirectory, in),
		Store:                     store(server, spec.Bindings.OAuthKV.Type, in),
		Registration:              registration(&spec.OAuth.ClientRegistration, in.Directory),
		ClientIDMetadataDocuments: clientDocuments(&spec.OAuth.ClientIDMetadataDocuments, in.Directory),
		AccessTokenTTLSeconds:     int64(spec.OAuth.AccessTokenTTLSeconds),
		RefreshTokenTTLSeconds:    int64(spec.OAuth.RefreshTokenTTLSeconds),
		KeepAliveSeconds:          int64(spec.Gateway.StreamKeepAliveSeconds),
		TrustedProxies:            spec.Gateway.TrustedProxies,
		Metrics:                   spec.Gateway.Metrics == v1alpha1.PolicyEnabled,
	}
	if t := spec.Gateway.Tracing; t != nil {
		c.Tracing = &config.Tracing{Endpoint: t.Endpoint, SamplePercent: int(t.SamplePercent)}
	}
	if spec.Gateway.TLS != nil {
		c.TLS = &config.TLS{
			CertFile: path.Join(in.Directory, tlsDirectory, certKey), KeyFile: path.Join(in.Directory, tlsDirectory, privateKeyKey),
		}
	}
	if tolerance := spec.OAuth.OutageToleranceSeconds; tolerance != nil {
		c.OutageToleranceSeconds = int64(*tolerance)
	}
	for _, r := range spec.Routes {
		served := route(&r)
		if r.MCPObject != nil {
			own := backend(server, r.MCPObject, routeDirectory(r.Name), in)
			served.Backend = &own
		}
		c.Routes = append(c.Routes, served)
	}
	for _, u := range spec.Upstreams {
		c.Upstreams = append(c.Upstreams, upstream(&u, path.Join(in.Directory, upstreamsDirectory, u.Name)))
	}
	if from := spec.Bindings.OAuthKV.MigrateFrom; from != "" {
		old := store(server, v1alpha1.OAuthKVType(from), in)
		c.MigrateFrom = &old
	}
	for _, client := range spec.OAuth.Clients {
		c.Clients = append(c.Clients, provisioned(&client, in.Directory))
	}
	if a := spec.OAuth.IdentityAssertion; a != nil {
		for _, i := range a.TrustedIssuers {
			c.TrustedIssuers = append(c.TrustedIssuers, trustedIssuer(&i, in.Directory))
		}
	}
	c.Cluster = in.Cluster
	if in.Cluster == nil {
		c.Rules = GatewayPolicy(server).Rules
	}
	return c
}

func (in *Inputs) sealedTo(server *v1alpha1.MCPServer) string {
	if in.SealedTo != "" {
		return in.SealedTo
	}
	return string(server.UID)
}

// GatewayPolicy is what may change while the server's gateways run. Nothing of it
// is in the configuration of a gateway in a cluster, which would roll for it.
func GatewayPolicy(server *v1alpha1.MCPServer) *config.Policy {
	spec := &server.Spec
	p := &config.Policy{Version: config.Version}
	p.AllowedOrigins = spec.Gateway.AllowedOrigins
	for _, s := range spec.OAuth.Scopes {
		p.Scopes = append(p.Scopes, config.Scope{
			Name: s.Name, Description: s.Description, Allow: s.Allow, OnDemand: s.OnDemand,
			Tools: s.Tools, Prompts: s.Prompts, Resources: s.Resources, Methods: s.Methods,
		})
	}
	p.Quotas = quotas(&spec.Gateway.Quotas)
	if spec.Access != nil {
		p.AccessContact = spec.Access.Contact
		for _, r := range spec.Access.Rules {
			p.AccessRules = append(p.AccessRules, config.AccessRule{Name: r.Name, Expression: r.Expression})
		}
	}
	for _, r := range spec.Routes {
		if r.UnlistedTools == v1alpha1.PermissionDeny {
			p.DenyUnlistedTools = append(p.DenyUnlistedTools, r.Name)
		}
		if len(r.RequiredScopes) == 0 {
			continue
		}
		if p.RequiredScopes == nil {
			p.RequiredScopes = map[string][]string{}
		}
		p.RequiredScopes[r.Name] = r.RequiredScopes
	}
	return p
}

func quotas(q *v1alpha1.Quotas) config.Quotas {
	return config.Quotas{
		RequestsPerMinutePerUser:    int64(q.RequestsPerMinutePerUser),
		RequestsPerMinutePerClient:  int64(q.RequestsPerMinutePerClient),
		ConcurrentRequestsPerUser:   int64(q.ConcurrentRequestsPerUser),
		ConcurrentRequestsPerClient: int64(q.ConcurrentRequestsPerClient),
	}
}

// Cluster names what the server's gateways share with their controller.
func Cluster(server *v1alpha1.MCPServer) *config.Cluster {
	return &config.Cluster{Namespace: server.Namespace, Policy: PolicyName(server), Report: ReportName(server)}
}

// store is the one of the given type: the server's, or the one that it had before.
func store(server *v1alpha1.MCPServer, t v1alpha1.OAuthKVType, in Inputs) config.Store {
	kv := &server.Spec.Bindings.OAuthKV
	switch t {
	case v1alpha1.OAuthKVKubernetes:
		return config.Store{Type: config.StoreKubernetes, Kubernetes: &config.KubernetesStore{
			Kind:         string(kv.Kubernetes.Kind),
			Namespace:    server.Namespace,
			Name:         Name(server),
			ClientShards: in.ClientShards,
			GrantShards:  in.GrantShards,
			Replicas:     int(MostReplicas(server)),
		}}
	case v1alpha1.OAuthKVEtcd:
		return config.Store{Type: config.StoreEtcd, Etcd: etcd(server, path.Join(in.Directory, etcdDirectory), in.sealedTo(server))}
	}
	return config.Store{Type: config.StoreMemory, Memory: &config.MemoryStore{}}
}

// etcd finds its files in directory. What records are sealed to is in the prefix, since
// those of an earlier server of the same name, whose keys are gone, do not open.
func etcd(server *v1alpha1.MCPServer, directory, sealedTo string) *config.EtcdStore {
	e := server.Spec.Bindings.OAuthKV.Etcd
	c := &config.EtcdStore{Endpoints: e.Endpoints, Prefix: e.Prefix + "/" + sealedTo}
	if e.CABundleRef != nil {
		c.CABundleFile = path.Join(directory, caFile)
	}
	if e.TLSSecretRef != nil {
		c.CertFile, c.KeyFile = path.Join(directory, certKey), path.Join(directory, privateKeyKey)
	}
	if e.UserSecretRef != nil {
		c.UserFile, c.PasswordFile = path.Join(directory, userKey), path.Join(directory, passwordKey)
	}
	return c
}

func route(r *v1alpha1.Route) config.Route {
	backendPath := r.BackendPath
	if backendPath == "" {
		backendPath = r.Path
	}
	return config.Route{
		Name:        r.Name,
		Path:        r.Path,
		Transport:   string(r.Transport),
		Public:      r.Authentication == v1alpha1.AuthenticationNone,
		BackendPath: backendPath,
	}
}

func registration(r *v1alpha1.ClientRegistration, directory string) config.Registration {
	c := config.Registration{
		Enabled:              r.Policy == v1alpha1.PolicyEnabled,
		TTLSeconds:           int64(r.TTLSeconds),
		UnusedTTLSeconds:     int64(r.UnusedTTLSeconds),
		PublicClients:        r.PublicClients == v1alpha1.PermissionAllow,
		AllowedRedirectHosts: r.AllowedRedirectHosts,
		PrivateUseSchemes:    r.PrivateUseSchemes,
	}
	if r.InitialAccessTokenRef != nil {
		c.InitialAccessTokenFile = path.Join(directory, initialAccessToken)
	}
	return c
}

func clientDocuments(d *v1alpha1.ClientIDMetadataDocuments, directory string) config.ClientIDMetadataDocuments {
	c := config.ClientIDMetadataDocuments{
		Enabled:      d.Policy == v1alpha1.PolicyEnabled,
		AllowedHosts: d.AllowedHosts,
		DeniedCIDRs:  d.DeniedCIDRs,
		AllowedCIDRs: d.AllowedCIDRs,
	}
	if d.CABundleRef != nil {
		c.CABundleFile = path.Join(directory, documentsDirectory, caFile)
	}
	return c
}

func provisioned(c *v1alpha1.Client, directory string) config.Client {
	p := config.Client{ID: c.ClientID, Name: c.Name, RedirectURIs: c.RedirectURIs, JWKSURL: c.JWKSURL, Scopes: c.Scopes}
	if c.ClientSecretRef != nil {
		p.SecretFile = path.Join(directory, clientDirectory(c.ClientID), secretFile)
	}
	if c.JWKSRef != nil {
		p.JWKSFile = path.Join(directory, clientDirectory(c.ClientID), keysFile)
	}
	for _, g := range c.GrantTypes {
		p.GrantTypes = append(p.GrantTypes, config.GrantType(g))
	}
	return p
}

func trustedIssuer(i *v1alpha1.TrustedIssuer, directory string) config.TrustedIssuer {
	t := config.TrustedIssuer{Name: i.Name, IssuerURL: i.IssuerURL, JWKSURL: i.JWKSURL}
	if i.CABundleRef != nil {
		t.CABundleFile = path.Join(directory, issuerDirectory(i.Name), caFile)
	}
	return t
}
