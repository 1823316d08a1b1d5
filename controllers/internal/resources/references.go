package resources

import (
	"path"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// Reference is one key of an object of the user's that the gateway is given.
type Reference struct {
	// Field is where the spec says so.
	Field string
	// Kind is Secret or ConfigMap.
	Kind string
	// Name and Key are what the spec says.
	Name, Key string
	// Path is where the gateway finds it, below Inputs.Directory.
	Path string
	// KeyField is where the spec names the key, or Field where the key is a given one.
	KeyField string `json:"-"`
	// Followed says that the gateway follows what is under the key while it runs, so
	// that a change of it needs no new pods.
	Followed bool `json:"-"`
}

// ID names what is referred to: several references may be to the same.
func (r *Reference) ID() string { return r.Kind + "/" + r.Name + "/" + r.Key }

// Where what is referred to is, and under which keys where the spec names none. The
// certificate of gateway.tls is not with the others: see volumes.
const (
	configDirectory = "config"
	keysDirectory   = "keys"
	tlsDirectory    = "tls"

	references         = "references"
	backendDirectory   = references + "/backend"
	backendsDirectory  = references + "/backends"
	etcdDirectory      = references + "/etcd"
	documentsDirectory = references + "/documents"
	clientsDirectory   = references + "/clients"
	issuersDirectory   = references + "/issuers"
	upstreamsDirectory = references + "/upstreams"
	initialAccessToken = references + "/registration/initial-access-token"

	secretFile = "client-secret"
	caFile     = "ca.crt"
	keysFile   = "jwks.json"

	certKey       = "tls.crt"
	privateKeyKey = "tls.key"
	userKey       = "username"
	passwordKey   = "password"
)

// References are all that the spec refers to, in its order.
func References(server *v1alpha1.MCPServer) []Reference {
	var all []Reference
	for _, o := range Objects(server) {
		if o.TLS != nil {
			all = append(all, key("ConfigMap", o.Field+".tls.caBundleRef", o.TLS.CABundleRef, path.Join(o.directory, caFile))...)
		}
	}
	if e := server.Spec.Bindings.OAuthKV.Etcd; e != nil {
		all = append(all, etcdReferences(e)...)
	}
	if t := server.Spec.Gateway.TLS; t != nil {
		for _, r := range given("gateway.tls.secretRef", &t.SecretRef, tlsDirectory, certKey, privateKeyKey) {
			r.Followed = true
			all = append(all, r)
		}
	}
	all = append(all, key("ConfigMap", "oauth.clientIDMetadataDocuments.caBundleRef",
		server.Spec.OAuth.ClientIDMetadataDocuments.CABundleRef, path.Join(documentsDirectory, caFile))...)
	all = append(all, key("Secret", "oauth.clientRegistration.initialAccessTokenRef",
		server.Spec.OAuth.ClientRegistration.InitialAccessTokenRef, initialAccessToken)...)
	for _, c := range server.Spec.OAuth.Clients {
		field, directory := "oauth.clients["+c.ClientID+"]", clientDirectory(c.ClientID)
		all = append(all, key("Secret", field+".clientSecretRef", c.ClientSecretRef, path.Join(directory, secretFile))...)
		all = append(all, key("ConfigMap", field+".jwksRef", c.JWKSRef, path.Join(directory, keysFile))...)
	}
	if a := server.Spec.OAuth.IdentityAssertion; a != nil {
		for _, i := range a.TrustedIssuers {
			all = append(all, key("ConfigMap", "oauth.identityAssertion.trustedIssuers["+i.Name+"].caBundleRef", i.CABundleRef, path.Join(issuerDirectory(i.Name), caFile))...)
		}
	}
	for i := range server.Spec.Upstreams {
		u := &server.Spec.Upstreams[i]
		name, client, trust := member(u)
		field, directory := "upstreams["+u.Name+"]."+name, path.Join(upstreamsDirectory, u.Name)
		all = append(all, key("Secret", field+".clientSecretRef", client.ClientSecretRef, path.Join(directory, secretFile))...)
		if trust != nil {
			all = append(all, key("ConfigMap", field+".caBundleRef", trust.CABundleRef, path.Join(directory, caFile))...)
		}
	}
	return all
}

// clientDirectory is a client's: its id may have characters that paths have not.
func clientDirectory(clientID string) string {
	return path.Join(clientsDirectory, Digest([]byte(clientID)))
}

// routeDirectory is that of a route's own backend.
func routeDirectory(name string) string { return path.Join(backendsDirectory, name) }

func issuerDirectory(name string) string { return path.Join(issuersDirectory, name) }

func etcdReferences(e *v1alpha1.EtcdKV) []Reference {
	const field = "bindings.oauthKV.etcd"
	all := key("ConfigMap", field+".caBundleRef", e.CABundleRef, path.Join(etcdDirectory, caFile))
	all = append(all, given(field+".tlsSecretRef", e.TLSSecretRef, etcdDirectory, certKey, privateKeyKey)...)
	return append(all, given(field+".userSecretRef", e.UserSecretRef, etcdDirectory, userKey, passwordKey)...)
}

// key is the reference to one key that the spec names, if there is one.
func key(kind, field string, r *v1alpha1.KeyReference, to string) []Reference {
	if r == nil {
		return nil
	}
	return []Reference{{Field: field, Kind: kind, Name: r.Name, Key: r.Key, Path: to, KeyField: field + ".key"}}
}

// given are the references to the keys that a Secret of a given kind has, if there is
// one, which the gateway finds in directory.
func given(field string, r *v1alpha1.ObjectReference, directory string, keys ...string) []Reference {
	if r == nil {
		return nil
	}
	var all []Reference
	for _, key := range keys {
		all = append(all, Reference{Field: field, Kind: "Secret", Name: r.Name, Key: key, Path: path.Join(directory, key), KeyField: field})
	}
	return all
}
