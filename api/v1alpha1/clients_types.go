package v1alpha1

// GrantType is a way to a token.
//
// +kubebuilder:validation:Enum=AuthorizationCode;ClientCredentials;JWTBearer
type GrantType string

// The grant types.
const (
	// GrantAuthorizationCode lets users log in, and has refresh tokens.
	GrantAuthorizationCode GrantType = "AuthorizationCode"
	// GrantClientCredentials lets the client act for itself.
	GrantClientCredentials GrantType = "ClientCredentials" //nolint:gosec // a name
	// GrantJWTBearer lets the client act for users whom a trusted issuer names.
	GrantJWTBearer GrantType = "JWTBearer"
)

// Client is a client that an administrator has provisioned: it needs no
// registration and never lapses. Removed from here, it loses its tokens.
//
// +kubebuilder:validation:XValidation:rule=`(has(self.clientSecretRef) ? 1 : 0) + (has(self.jwksRef) ? 1 : 0) + (has(self.jwksURL) ? 1 : 0) <= 1`,fieldPath=".clientSecretRef",message="oauth.clients[].clientSecretRef must not be set with jwksRef or jwksURL, nor these together, since a client proves who it is in one way."
// +kubebuilder:validation:XValidation:rule=`has(self.clientSecretRef) || has(self.jwksRef) || has(self.jwksURL) || !has(self.grantTypes) || self.grantTypes.all(g, g == 'AuthorizationCode')`,fieldPath=".grantTypes",message="oauth.clients[].grantTypes must be AuthorizationCode alone without clientSecretRef, jwksRef and jwksURL, since anybody can claim to be a client that proves nothing."
// +kubebuilder:validation:XValidation:rule=`has(self.redirectURIs) || has(self.grantTypes) && !('AuthorizationCode' in self.grantTypes)`,fieldPath=".redirectURIs",message="oauth.clients[].redirectURIs must be set for the grant type AuthorizationCode, since users come back there."
type Client struct {
	// clientID is the client_id: 1 to 128 visible ASCII characters. It does not begin
	// with https:// or vst_cl_, as those of other clients do.
	//
	// +required
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[!-~]+$') && !self.startsWith('https://') && !self.startsWith('vst_cl_')`,message="oauth.clients[].clientID must be visible ASCII characters that begin with neither https:// nor vst_cl_, which are for clients that nobody has provisioned."
	ClientID string `json:"clientID"`

	// name is what users read on the consent page, as given by the administrator. 1
	// to 80 characters.
	//
	// When unset, it is clientID.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=80
	Name string `json:"name,omitempty"`

	// redirectURIs are where the client takes its codes: https URLs, http URLs of
	// localhost, 127.0.0.1 and [::1], for which any port will do, and private-use
	// schemes of apps. clientRegistration does not bound them. 1 to 16, of at most
	// 512 characters each.
	//
	// When unset, no user can log in with this client.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:XValidation:rule=`self.all(u, u.matches('^[a-z][-+.a-z0-9]*:[!-~]+$') && !u.matches('[#*@"<>\\\\]'))`,message="oauth.clients[].redirectURIs must be absolute URIs of visible ASCII characters without user, fragment and wildcard."
	// +kubebuilder:validation:XValidation:rule=`self.all(u, !u.matches('^(javascript|data|file|about|blob|vbscript|ftp|ws|wss):') && (!u.startsWith('http:') || u.matches('^http://(localhost|127\\.0\\.0\\.1|\\[::1\\])([:/?]|$)')))`,message="oauth.clients[].redirectURIs must be https, http on localhost, 127.0.0.1 or [::1], or the scheme of an app."
	RedirectURIs []string `json:"redirectURIs,omitempty"`

	// clientSecretRef is the key of a Secret in this MCPServer's namespace that holds
	// the client's secret, of at least 16 characters. The Secret's label
	// mcp.vestibule.dev/allowed-for is this MCPServer's name, or any.
	//
	// When unset, and jwksRef and jwksURL too, the client is public: it proves
	// nothing, and may use AuthorizationCode alone.
	//
	// +optional
	ClientSecretRef *KeyReference `json:"clientSecretRef,omitempty"`

	// jwksRef is the key of a ConfigMap in this MCPServer's namespace that holds a JWK
	// Set with the client's public keys, by which it proves who it is (RFC 7523).
	//
	// When unset, see clientSecretRef.
	//
	// +optional
	JWKSRef *KeyReference `json:"jwksRef,omitempty"`

	// jwksURL is where the client publishes such a set. It must be https, and may be
	// inside of the cluster. At most 512 characters.
	//
	// When unset, see clientSecretRef.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule=`isURL(self) && self.matches('^https://[^/?#@]+(/[^#]*)?$')`,message="oauth.clients[].jwksURL must be an https URL without user and fragment."
	JWKSURL string `json:"jwksURL,omitempty"`

	// grantTypes are what the client may use. ClientCredentials gives it tokens of its
	// own, without any user: access speaks of users, and does not bound them, since
	// the client is named here; it keeps at most 256 at a time, and the oldest ends.
	// JWTBearer gives it tokens for users whom an issuer of identityAssertion names.
	// Both come without refresh tokens. 1 to 3.
	//
	// When unset, AuthorizationCode alone.
	//
	// +optional
	// +listType=set
	// +kubebuilder:default={AuthorizationCode}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	GrantTypes []GrantType `json:"grantTypes,omitempty"`

	// scopes bound what the client may have of oauth.scopes, in any way and for any
	// user. 1 to 32.
	//
	// When unset, all.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=64
	Scopes []string `json:"scopes,omitempty"`
}

// IdentityAssertion lets clients act for users who have logged in elsewhere, on
// the word of an identity provider (Identity Assertion Authorization Grants, the
// enterprise-managed authorization of MCP): only clients with the grant type
// JWTBearer. access is asked for each assertion, with its claims; email is among
// them only if email_verified is true.
type IdentityAssertion struct {
	// trustedIssuers are those whose word counts. Removed from here, what was issued
	// on their word ends. 1 to 8.
	//
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule=`self.all(i, self.exists_one(other, other.issuerURL == i.issuerURL))`,message="oauth.identityAssertion.trustedIssuers must each have an issuerURL of their own."
	TrustedIssuers []TrustedIssuer `json:"trustedIssuers"`
}

// TrustedIssuer is an identity provider whose signed word is as good as a login.
type TrustedIssuer struct {
	// name is in grants and audit logs. At most 40 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// issuerURL is the iss of its assertions, character by character. At most 256
	// characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`isURL(self) && self.matches('^https://[^/?#@]+(/[^?#]*)?$')`,message="oauth.identityAssertion.trustedIssuers[].issuerURL must be an https URL without user, query and fragment."
	IssuerURL string `json:"issuerURL"`

	// jwksURL is where its keys are. It must be https, and may be inside of the
	// cluster. What the issuer says of its keys elsewhere is not looked at. At most
	// 512 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule=`isURL(self) && self.matches('^https://[^/?#@]+(/[^#]*)?$')`,message="oauth.identityAssertion.trustedIssuers[].jwksURL must be an https URL without user and fragment."
	JWKSURL string `json:"jwksURL"`

	// caBundleRef is the key of a ConfigMap in this MCPServer's namespace that holds
	// PEM certificates. The certificate of jwksURL's host may lead to one of these,
	// besides those of the system.
	//
	// When unset, the system's certificates count.
	//
	// +optional
	CABundleRef *KeyReference `json:"caBundleRef,omitempty"`
}
