package config

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Cluster names the objects of its own namespace that a gateway shares with its
// controller, besides those of the store.
type Cluster struct {
	Namespace string `json:"namespace"`
	// Policy is the ConfigMap whose key PolicyKey holds the Policy. The gateway
	// watches it.
	Policy string `json:"policy"`
	// Report is the ConfigMap in which each pod writes one key, its UID, with a
	// Report. The gateway patches it.
	Report string `json:"report"`
}

// PolicyKey and TargetsKey are the keys of a Policy and its Targets in their ConfigMap.
const (
	PolicyKey  = "policy.json"
	TargetsKey = "targets.json"
)

// Policy is the Rules as a document of their own.
type Policy struct {
	// Version is the format of this document.
	Version int `json:"version"`
	Rules
}

// Targets are all routes and upstreams that a Policy is for. They are a document of
// their own, which gateways do not read that are older than it. A gateway may run with
// another configuration than the one that the policy was written for: what it calls by a
// name may be something else there, and what the policy does not name has no rules in it.
type Targets struct {
	// Version is the format of this document.
	Version   int              `json:"version"`
	Routes    []TargetRoute    `json:"routes"`
	Upstreams []TargetUpstream `json:"upstreams"`
}

// TargetRoute is a route by the name that the policy has for it.
type TargetRoute struct {
	Name string `json:"name"`
	Path string `json:"path"`
	// Public is Route.Public.
	Public bool `json:"public,omitempty"`
}

// TargetUpstream is an upstream by the name that access rules have for it. A trusted
// issuer is one, too, with IssuerPrefix before its name.
type TargetUpstream struct {
	Name string `json:"name"`
	// Issuer is what the upstream is known as elsewhere.
	Issuer string `json:"issuer"`
}

// IssuerPrefix is before the name of a trusted issuer where it stands for an upstream.
const IssuerPrefix = "id-jag:"

// TargetsOf are all routes and upstreams of a configuration.
func TargetsOf(c *Config) *Targets {
	t := &Targets{Version: Version}
	for _, r := range c.Routes {
		t.Routes = append(t.Routes, TargetRoute{Name: r.Name, Path: r.Path, Public: r.Public})
	}
	for i := range c.Upstreams {
		t.Upstreams = append(t.Upstreams, TargetUpstream{Name: c.Upstreams[i].Name, Issuer: c.Upstreams[i].Issuer()})
	}
	for _, i := range c.TrustedIssuers {
		t.Upstreams = append(t.Upstreams, TargetUpstream{Name: IssuerPrefix + i.Name, Issuer: i.IssuerURL})
	}
	return t
}

// ParseTargets reads the targets of a policy. Members that it does not know are ignored:
// one that is missing here makes a gateway stricter, never more lenient.
func ParseTargets(data []byte) (*Targets, error) {
	var t Targets
	if err := json.Unmarshal(data, &t); err != nil {
		return nil, fmt.Errorf("not a JSON document: %w", err)
	}
	if t.Version != Version {
		return nil, fmt.Errorf("version: this gateway reads version %d, not %d", Version, t.Version)
	}
	return &t, nil
}

// Report is what one gateway pod has found out that only it can know. It is
// written when it changes.
type Report struct {
	// Version is the format of this document.
	Version int `json:"version"`
	// Config is the configuration that the pod runs with, as its controller
	// named it (flag -config-name): a report under another name is of a pod that
	// is about to go.
	Config string `json:"config"`
	// Policy says whether the newest policy is in force, and the newest certificate
	// in use.
	Policy Check `json:"policy"`
	// Store says whether records can be read and written.
	Store Check `json:"store"`
	// Upstreams are checked by name: discovery, and the issuer that it names.
	Upstreams map[string]Check `json:"upstreams,omitempty"`
	// Routes are checked by name: the backend answers in the route's transport.
	Routes map[string]Check `json:"routes,omitempty"`
	// Public says whether PublicURL answers with this server's metadata, as far as that
	// can be seen from the pod. Older gateways do not check that.
	Public Check `json:"public,omitzero"`
	// Keys are those that the pod has loaded. Older gateways do not say.
	Keys *LoadedKeys `json:"keys,omitempty"`
	// FillingClients and FillingGrants ask for more shards: the mean size is above
	// what writes should cost, or no shard has room.
	FillingClients bool `json:"fillingClients,omitempty"`
	FillingGrants  bool `json:"fillingGrants,omitempty"`
}

// LoadedKeys are the ids of a gateway's newest key, and of all that it knows were dropped:
// what is under those has ended there.
type LoadedKeys struct {
	Newest  int   `json:"newest"`
	Dropped []int `json:"dropped,omitempty"`
}

// Loaded are the ids of a key set.
func (s *KeySet) Loaded() LoadedKeys {
	l := LoadedKeys{Newest: int(s.Newest().ID)}
	for _, d := range s.Dropped {
		l.Dropped = append(l.Dropped, int(d.ID))
	}
	return l
}

// Check is the outcome of one of the gateway's checks. Three failures in a row
// make it False, one success True.
type Check struct {
	// Status is True, False or Unknown, as in conditions.
	Status string `json:"status"`
	// Reason is one of the constants below; empty if Status is True or Unknown.
	Reason string `json:"reason,omitempty"`
	// Message says what was tried and what came of it, for people. It quotes
	// nothing of what was read.
	Message string `json:"message,omitempty"`
}

// Reasons of checks that are False.
const (
	// Policy.
	ReasonPolicyInvalid      = "PolicyInvalid"
	ReasonCertificateInvalid = "CertificateInvalid" // the newest certificate cannot be used, the one before is

	// Store: which step of reading a shard and writing to one fails, and how.
	ReasonStoreForbidden    = "StoreForbidden"    // the API server refuses the service account
	ReasonStoreObjectAbsent = "StoreObjectAbsent" // a shard does not exist
	ReasonStoreUnreachable  = "StoreUnreachable"  // no answer
	ReasonStoreUnwritable   = "StoreUnwritable"   // reads work, writes do not
	ReasonStoreIncomplete   = "StoreIncomplete"   // some records are, or may be, in another store
	ReasonKeysMismatch      = "KeysMismatch"      // records do not open with these keys
	ReasonKeysInvalid       = "KeysInvalid"       // the newest key set cannot be used, the one before is

	// Upstreams.
	ReasonUpstreamUnreachable   = "UpstreamUnreachable"   // no answer, or no discovery document
	ReasonUpstreamUntrusted     = "UpstreamUntrusted"     // its certificate is not good for it
	ReasonUpstreamIssuerDiffers = "UpstreamIssuerDiffers" // it names another issuer
	ReasonUpstreamInsecure      = "UpstreamInsecure"      // an endpoint or a redirect of it is not https
	ReasonUpstreamFiles         = "UpstreamFiles"         // its secret or CA bundle cannot be read
	ReasonUpstreamCredentials   = "UpstreamCredentials"   // it refuses the client id or secret

	// Routes.
	ReasonBackendUnreachable  = "BackendUnreachable"  // no connection, or no answer
	ReasonBackendUntrusted    = "BackendUntrusted"    // its certificate is not good for it
	ReasonBackendNotMCP       = "BackendNotMCP"       // an answer that is not of the route's transport
	ReasonBackendUnauthorized = "BackendUnauthorized" // it asks the gateway for credentials

	// Public. The first two may be so inside of the cluster alone.
	ReasonPublicURLUnreachable     = "PublicURLUnreachable"     // no connection, or no answer
	ReasonPublicURLUntrusted       = "PublicURLUntrusted"       // its certificate is not good for the gateway
	ReasonPublicURLNotServed       = "PublicURLNotServed"       // an answer that is no metadata
	ReasonPublicURLIssuerDiffers   = "PublicURLIssuerDiffers"   // the metadata of another issuer
	ReasonPublicURLMetadataDiffers = "PublicURLMetadataDiffers" // of this issuer, and not of this server
)

// ParsePolicy reads a policy strictly, as Parse does a configuration. The access
// rules are not compiled.
func ParsePolicy(data []byte) (*Policy, error) {
	var p Policy
	if err := decodeStrict(data, &p); err != nil {
		return nil, err
	}
	v := &validator{}
	v.rules(&p.Rules)
	if err := errors.Join(v.errs...); err != nil {
		return nil, err
	}
	return &p, nil
}

// ParseReport reads a report. Members that it does not know are ignored: a newer
// gateway may run under an older controller for a while.
func ParseReport(data []byte) (*Report, error) {
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, err
	}
	return &r, nil
}
