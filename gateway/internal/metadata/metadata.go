// Package metadata publishes what clients need to know to use this server: the
// authorization server's metadata (RFC 8414), and that of each protected
// resource (RFC 9728).
package metadata

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/assertion"
	"vestibule.dev/vestibule/gateway/internal/cors"
	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// Well-known URI suffixes.
const (
	wellKnownServer = "/.well-known/oauth-authorization-server"
	wellKnownKeys   = "/.well-known/jwks.json"
)

// PathResource is where the metadata of a protected resource begins (RFC 9728, section 3.1).
// The path of the resource follows.
const PathResource = "/.well-known/oauth-protected-resource"

// Resource is one protected route.
type Resource struct {
	// Name is for people.
	Name string
	// Path is under the public URL.
	Path string
	// Scopes returns those that clients should ask for at first.
	Scopes func() oauth.Scopes
}

// Server is what the documents are made of.
type Server struct {
	// PublicURL is the issuer. Every URL in a document begins with it, whatever
	// host a request names.
	PublicURL string
	// Resources are the protected routes; the first is the default.
	Resources []Resource
	// Scopes returns those that can be granted, without offline_access.
	Scopes func() oauth.Scopes
	// Registration says whether clients may register, and PublicClients whether
	// also those without a secret.
	Registration, PublicClients bool
	// ClientDocuments says whether clients may name themselves by the URL of a document.
	ClientDocuments bool
	// ClientCredentials and IdentityAssertions say whether some client may use these.
	ClientCredentials, IdentityAssertions bool
	// Paths under PublicURL.
	Authorize, Token, Register, Revoke string
	// Keys returns the JWK Set with which backends verify what they are told of users;
	// nil where none is told anything that is signed. No document leads to it: clients
	// verify nothing of this server's, and would take it for the keys of its tokens.
	Keys func() (any, error)
}

// ResourceMetadataURL is where a resource's document is: the well-known suffix
// is inserted between host and path (RFC 9728 section 3.1).
func ResourceMetadataURL(publicURL, path string) string {
	origin, prefix := split(publicURL)
	//rule:resource-metadata-appended
	return origin + PathResource + prefix + strings.TrimSuffix(path, "/")
}

// ServerMetadataURL is where the authorization server's document is (RFC 8414 section 3.1).
func ServerMetadataURL(publicURL string) string {
	origin, prefix := split(publicURL)
	return origin + wellKnownServer + prefix
}

// Document is the authorization server's, as it is served.
func (s Server) Document() ([]byte, error) { return json.Marshal(s.server()) }

// split separates a public URL into its origin and its path.
func split(publicURL string) (origin, path string) {
	u, err := url.Parse(publicURL)
	if err != nil {
		return publicURL, "" // the configuration was checked
	}
	path = u.EscapedPath()
	return publicURL[:len(publicURL)-len(path)], path
}

type serverDocument struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	RegistrationEndpoint  string   `json:"registration_endpoint,omitempty"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	Scopes                []string `json:"scopes_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	TokenMethods          []string `json:"token_endpoint_auth_methods_supported"`
	TokenAlgorithms       []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	RevocationMethods     []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAlgorithms  []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	GrantProfiles         []string `json:"authorization_grant_profiles_supported,omitempty"`
	CodeChallengeMethods  []string `json:"code_challenge_methods_supported"`
	IssParameter          bool     `json:"authorization_response_iss_parameter_supported"`
	ClientDocuments       bool     `json:"client_id_metadata_document_supported"`
	ProtectedResources    []string `json:"protected_resources"`
}

type resourceDocument struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	Scopes               []string `json:"scopes_supported,omitempty"`
	BearerMethods        []string `json:"bearer_methods_supported"`
	Name                 string   `json:"resource_name,omitempty"`
}

// Documents returns the documents by the paths at which clients look for them.
func (s Server) Documents() map[string]http.Handler {
	_, prefix := split(s.PublicURL)
	server := serve(func() (any, error) { return s.server(), nil })
	documents := map[string]http.Handler{
		// Inserted is the rule (RFC 8414 section 3.1); appended is what some try.
		wellKnownServer + prefix: server,
		prefix + wellKnownServer: server,
	}
	if s.Keys != nil {
		documents[prefix+wellKnownKeys] = serve(s.Keys)
	}
	atRoot := s.Resources[0] // which it stands for, unless there is one of the very URL
	for _, r := range s.Resources {
		if r.Path == "/" {
			atRoot = r
			continue
		}
		documents[PathResource+prefix+r.Path] = serve(func() (any, error) { return s.resource(r), nil })
	}
	root := serve(func() (any, error) { return s.resource(atRoot), nil })
	documents[PathResource+prefix], documents[prefix+PathResource] = root, root
	return documents
}

func (s Server) server() serverDocument {
	methods := []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
	if s.PublicClients || s.ClientDocuments {
		methods = append(methods, "none")
	}
	d := serverDocument{
		//rule:issuer-slash
		Issuer:                s.PublicURL,
		AuthorizationEndpoint: s.PublicURL + s.Authorize,
		TokenEndpoint:         s.PublicURL + s.Token,
		RevocationEndpoint:    s.PublicURL + s.Revoke,
		Scopes:                append(slices.Clone(s.Scopes()), oauth.ScopeOfflineAccess),
		ResponseTypes:         []string{"code"},
		ResponseModes:         []string{"query"},
		GrantTypes:            []string{"authorization_code", "refresh_token"},
		TokenMethods:          methods,
		TokenAlgorithms:       assertion.AlgorithmNames(),
		RevocationMethods:     methods,
		RevocationAlgorithms:  assertion.AlgorithmNames(),
		//rule:plain-announced
		CodeChallengeMethods: []string{"S256"},
		//rule:iss-unannounced
		IssParameter:    true,
		ClientDocuments: s.ClientDocuments,
	}
	if s.ClientCredentials {
		d.GrantTypes = append(d.GrantTypes, "client_credentials")
	}
	if s.IdentityAssertions {
		d.GrantTypes = append(d.GrantTypes, "urn:ietf:params:oauth:grant-type:jwt-bearer")
		d.GrantProfiles = []string{"urn:ietf:params:oauth:grant-profile:id-jag"}
	}
	if s.Registration {
		d.RegistrationEndpoint = s.PublicURL + s.Register
	}
	for _, r := range s.Resources {
		d.ProtectedResources = append(d.ProtectedResources, config.RouteURL(s.PublicURL, r.Path))
	}
	return d
}

func (s Server) resource(r Resource) resourceDocument {
	return resourceDocument{
		Resource:             config.RouteURL(s.PublicURL, r.Path),
		AuthorizationServers: []string{s.PublicURL},
		Scopes:               r.Scopes(),
		BearerMethods:        []string{"header"},
		Name:                 r.Name,
	}
}

// Methods are those of the documents.
const Methods = "GET, HEAD, OPTIONS"

// serve answers with a document for any script to read. Clients may keep it for a
// while.
func serve(document func() (any, error)) http.Handler {
	return cors.Anyone(Methods, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			e := oauth.InvalidRequest("the method must be GET")
			e.Status = http.StatusMethodNotAllowed
			w.Header().Set("Allow", Methods)
			oauth.WriteError(w, e)
			return
		}
		d, err := document()
		if err != nil {
			oauth.WriteError(w, oauth.AsError(err))
			return
		}
		body, err := json.Marshal(d)
		if err != nil {
			oauth.WriteError(w, oauth.AsError(err))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "public, max-age=300")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(body) // the client has gone: nobody to tell
	})
}
