// Package config is the contract between the controller, which renders the
// configuration of a gateway, and the gateway, which loads it. Both sides use
// these types, and a golden test renders and loads the same file.
package config

import "time"

// Version is the format that this package writes. A loader reads it and the one before.
const Version = 1

// Config is everything that one gateway needs to know. It holds no secrets:
// those are in files that it names.
type Config struct {
	// Version is the format of this document.
	Version int `json:"version"`
	// ServerUID names the MCPServer for good. Records are sealed to it, so
	// those of another server, even one of the same name, do not open.
	ServerUID string `json:"serverUID"`
	// PublicURL is the issuer and the base of every URL: https, or http on a
	// loopback host; without a trailing slash, query or fragment.
	PublicURL string `json:"publicURL"`
	// KeysFile is the path of the KeySet.
	KeysFile string `json:"keysFile"`
	// Backend is who serves MCP, on each route that has no other.
	Backend Backend `json:"backend"`
	// Store is where clients and grants live.
	Store Store `json:"store"`
	// MigrateFrom, when set, is where they lived before. What it holds is copied to
	// Store before the gateway serves; no gateway uses it any more.
	MigrateFrom *Store `json:"migrateFrom,omitempty"`
	// Routes are the paths that lead to a backend. Each that is not public is a resource
	// of its own. The first is the default for requests that name no resource. At least one.
	Routes []Route `json:"routes"`
	// Registration bounds dynamic client registration (RFC 7591).
	Registration Registration `json:"registration"`
	// ClientIDMetadataDocuments bounds which clients may name themselves by a URL.
	ClientIDMetadataDocuments ClientIDMetadataDocuments `json:"clientIDMetadataDocuments,omitzero"`
	// Clients are those that an administrator has provisioned.
	Clients []Client `json:"clients,omitempty"`
	// TrustedIssuers are the identity providers whose word lets users in without a
	// login here (Identity Assertion Authorization Grants).
	TrustedIssuers []TrustedIssuer `json:"trustedIssuers,omitempty"`
	// AccessTokenTTLSeconds is how long an access token is accepted.
	AccessTokenTTLSeconds int64 `json:"accessTokenTTLSeconds"`
	// RefreshTokenTTLSeconds is how long a grant lives from login, however
	// often it is refreshed.
	RefreshTokenTTLSeconds int64 `json:"refreshTokenTTLSeconds"`
	// OutageToleranceSeconds is how long tokens that are already known stay
	// good while the store cannot be reached.
	OutageToleranceSeconds int64 `json:"outageToleranceSeconds"`
	// Upstreams are the identity providers to log in with. At least one.
	Upstreams []Upstream `json:"upstreams"`
	// KeepAliveSeconds is after what silence a stream to a client has a comment; 0 is
	// never.
	KeepAliveSeconds int64 `json:"keepAliveSeconds,omitempty"`
	// Metrics says whether the gateway counts what it does, and serves that at /metrics
	// beside its probes.
	Metrics bool `json:"metrics,omitempty"`
	// Tracing, when set, is where traces go.
	Tracing *Tracing `json:"tracing,omitempty"`
	// TLS, when set, is what the gateway serves with. Otherwise TLS ends before it.
	TLS *TLS `json:"tls,omitempty"`
	// TrustedProxies are CIDRs whose X-Forwarded-For is believed.
	TrustedProxies []string `json:"trustedProxies,omitempty"`
	// Rules are in this document where they change only with it. Otherwise they are
	// empty, and in the Policy.
	Rules
	// Cluster is set in a cluster, and then the Rules are in the Policy.
	Cluster *Cluster `json:"cluster,omitempty"`
}

// Rules are what can change while a gateway runs.
type Rules struct {
	// Scopes are the scopes that can be granted.
	Scopes []Scope `json:"scopes,omitempty"`
	// AccessRules say who may have a grant: anyone for whom one rule is true.
	// Without rules, everyone whom the upstream lets in.
	AccessRules []AccessRule `json:"accessRules,omitempty"`
	// AccessContact is whom to ask, as those are told who are not let in.
	AccessContact string `json:"accessContact,omitempty"`
	// RequiredScopes are, by the name of the route, the scopes that must all be in
	// a token for any request on it.
	RequiredScopes map[string][]string `json:"requiredScopes,omitempty"`
	// AllowedOrigins are the origins, besides that of PublicURL, from which
	// browsers may call the protected routes.
	AllowedOrigins []string `json:"allowedOrigins,omitempty"`
	// DenyUnlistedTools are the names of the routes on which no tool may be called
	// that no scope names.
	DenyUnlistedTools []string `json:"denyUnlistedTools,omitempty"`
	// Quotas bound what one user and one client may ask of each gateway.
	Quotas Quotas `json:"quotas,omitzero"`
}

// StoreType names a kind of store.
type StoreType string

// The store types.
const (
	StoreKubernetes StoreType = "Kubernetes"
	StoreEtcd       StoreType = "Etcd"
	StoreMemory     StoreType = "Memory"
)

// Store says where clients and grants are kept: the member that Type names is set.
type Store struct {
	Type       StoreType        `json:"type"`
	Kubernetes *KubernetesStore `json:"kubernetes,omitempty"`
	Etcd       *EtcdStore       `json:"etcd,omitempty"`
	Memory     *MemoryStore     `json:"memory,omitempty"`
}

// KubernetesStore keeps records as keys of shard objects.
type KubernetesStore struct {
	// Kind is Secret or ConfigMap.
	Kind string `json:"kind"`
	// Namespace and Name locate the shards: <name>-clients-<n> and <name>-grants-<n>.
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// ClientShards and GrantShards count the objects that exist.
	ClientShards int `json:"clientShards"`
	GrantShards  int `json:"grantShards"`
	// Replicas shares the write budget: each gateway takes its part of it.
	Replicas int `json:"replicas"`
}

// EtcdStore keeps records as keys of an etcd cluster, which is never the one of
// the Kubernetes cluster itself.
type EtcdStore struct {
	// Endpoints are URLs of its members: scheme, host and port.
	Endpoints []string `json:"endpoints"`
	// Prefix is before every key. It begins with a slash, does not end in one, and
	// is of this MCPServer alone.
	Prefix string `json:"prefix"`
	// CABundleFile, when set, replaces the system's roots.
	CABundleFile string `json:"caBundleFile,omitempty"`
	// CertFile and KeyFile are the gateway's client certificate: both or neither.
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`
	// UserFile and PasswordFile hold what the gateway logs in with: both or neither.
	UserFile     string `json:"userFile,omitempty"`
	PasswordFile string `json:"passwordFile,omitempty"`
}

// MemoryStore keeps records in the process.
type MemoryStore struct {
	// File, when set, keeps them across restarts.
	File string `json:"file,omitempty"`
}

// TLS names the files, PEM, of a certificate and its key. They are read again when
// they change.
type TLS struct {
	CertFile string `json:"certFile"`
	KeyFile  string `json:"keyFile"`
}

// Tracing says where traces go (OTLP over HTTP).
type Tracing struct {
	// Endpoint is scheme, host and port of what takes them.
	Endpoint string `json:"endpoint"`
	// SamplePercent is how many of a hundred requests are traced.
	SamplePercent int `json:"samplePercent"`
}

// Registration bounds dynamic client registration.
type Registration struct {
	Enabled bool `json:"enabled"`
	// TTLSeconds is how long a client that has been used is kept after its last renewal.
	TTLSeconds int64 `json:"ttlSeconds"`
	// UnusedTTLSeconds is how long a client that never got a token is kept.
	UnusedTTLSeconds int64 `json:"unusedTTLSeconds"`
	// PublicClients says whether clients without a secret may register.
	PublicClients bool `json:"publicClients"`
	// InitialAccessTokenFile, when set, holds the token without which nobody may
	// register (RFC 7591 section 3).
	InitialAccessTokenFile string `json:"initialAccessTokenFile,omitempty"`
	// AllowedRedirectHosts are the hosts of https redirect URIs that clients may
	// use which nobody has provisioned: names, or *.example.com for all below one.
	// Without any, all will do.
	AllowedRedirectHosts []string `json:"allowedRedirectHosts,omitempty"`
	// PrivateUseSchemes are the schemes of native apps that these clients may use
	// in redirect URIs, or *.* for all that are reverse domain names.
	PrivateUseSchemes []string `json:"privateUseSchemes,omitempty"`
}

// ClientIDMetadataDocuments bounds which clients may name themselves by the URL
// of a document that describes them, and from where the gateway fetches what
// clients publish.
type ClientIDMetadataDocuments struct {
	Enabled bool `json:"enabled"`
	// AllowedHosts, unless empty, are the only hosts that anything is fetched from:
	// names, *.example.com for all below one, or IP addresses, those of IPv6 in
	// brackets; each with a port if that is not 443. Names and addresses that are
	// not public must be here by themselves.
	AllowedHosts []string `json:"allowedHosts,omitempty"`
	// DeniedCIDRs are addresses to which no connection is made, besides all that
	// are not public. AllowedCIDRs are exceptions from both.
	DeniedCIDRs  []string `json:"deniedCIDRs,omitempty"`
	AllowedCIDRs []string `json:"allowedCIDRs,omitempty"`
	// CABundleFile, when set, holds roots besides the system's.
	CABundleFile string `json:"caBundleFile,omitempty"`
}

// Scope is one scope that can be granted.
type Scope struct {
	Name string `json:"name"`
	// Description is what the consent page says.
	Description string `json:"description,omitempty"`
	// Allow is a CEL expression over claims and upstream. Who it is not true for
	// is not granted the scope. Empty, it is granted to everybody.
	Allow string `json:"allow,omitempty"`
	// OnDemand says that clients are not told of the scope before they need it.
	OnDemand bool `json:"onDemand,omitempty"`
	// Tools, Prompts and Resources are what this scope lets clients use: names and
	// URIs in which each * stands for any characters. Methods are those of JSON-RPC,
	// and may have a * at their end. What several scopes name needs one of them; a
	// method and what the call names are asked for each by itself.
	Tools     []string `json:"tools,omitempty"`
	Prompts   []string `json:"prompts,omitempty"`
	Resources []string `json:"resources,omitempty"`
	Methods   []string `json:"methods,omitempty"`
}

// NamesOperations says whether the scope is needed for more than its routes.
func (s Scope) NamesOperations() bool {
	return len(s.Tools)+len(s.Prompts)+len(s.Resources)+len(s.Methods) > 0
}

// Quotas bound requests to all routes together, on each gateway; 0 is no bound.
type Quotas struct {
	RequestsPerMinutePerUser    int64 `json:"requestsPerMinutePerUser,omitempty"`
	RequestsPerMinutePerClient  int64 `json:"requestsPerMinutePerClient,omitempty"`
	ConcurrentRequestsPerUser   int64 `json:"concurrentRequestsPerUser,omitempty"`
	ConcurrentRequestsPerClient int64 `json:"concurrentRequestsPerClient,omitempty"`
}

// AccessRule is a CEL expression over claims and upstream.
type AccessRule struct {
	Name       string `json:"name"`
	Expression string `json:"expression"`
}

// AccessTokenTTL is AccessTokenTTLSeconds as a duration.
func (c *Config) AccessTokenTTL() time.Duration { return seconds(c.AccessTokenTTLSeconds) }

// RefreshTokenTTL is RefreshTokenTTLSeconds as a duration.
func (c *Config) RefreshTokenTTL() time.Duration { return seconds(c.RefreshTokenTTLSeconds) }

// OutageTolerance is OutageToleranceSeconds as a duration.
func (c *Config) OutageTolerance() time.Duration { return seconds(c.OutageToleranceSeconds) }

// TTL is TTLSeconds as a duration.
func (r Registration) TTL() time.Duration { return seconds(r.TTLSeconds) }

// UnusedTTL is UnusedTTLSeconds as a duration.
func (r Registration) UnusedTTL() time.Duration { return seconds(r.UnusedTTLSeconds) }

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }
