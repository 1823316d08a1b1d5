package v1alpha1

// UpstreamType says which member of Upstream is set.
//
// +kubebuilder:validation:Enum=OIDC
type UpstreamType string

// UpstreamOIDC is an OpenID Connect provider.
const UpstreamOIDC UpstreamType = "OIDC"

// Upstream is an identity provider that users log in with: the member that type
// names is set.
//
// +kubebuilder:validation:XValidation:rule=`(self.type == 'OIDC') == has(self.oidc)`,fieldPath=".oidc",message="upstreams[].oidc must be set if, and only if, upstreams[].type is OIDC."
type Upstream struct {
	// name is in the redirect URI that is registered at the provider, which is
	// publicURL followed by /callback/ and name, and in every grant: an upstream of
	// another name is another one, whose users log in again. At most 40 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// type is the protocol that the provider speaks.
	//
	// +required
	// +unionDiscriminator
	Type UpstreamType `json:"type"`

	// oidc is an OpenID Connect provider. Set for type OIDC, unset for every other.
	//
	// +optional
	OIDC *OIDCUpstream `json:"oidc,omitempty"`
}

// OIDCUpstream is an OpenID Connect provider, and the gateway's client there.
type OIDCUpstream struct {
	// issuerURL is the provider's issuer, exactly as its discovery document writes
	// it; where some end it in a slash, this does too. The gateway finds everything
	// else from there. It must be https; http is for localhost, 127.0.0.1 and [::1]
	// only. No user, query or fragment. At most 256 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`isURL(self) && url(self).getHostname() != '' && !self.matches('[?#]|//[^/]*@')`,message="upstreams[].oidc.issuerURL must be an absolute URL without user, query and fragment, such as https://idp.example.com."
	// +kubebuilder:validation:XValidation:rule=`!isURL(self) || self.startsWith('https://') || self.matches('^http://(localhost|127\\.0\\.0\\.1|\\[::1\\])([:/]|$)')`,message="upstreams[].oidc.issuerURL must be https; http is for localhost, 127.0.0.1 and [::1] only."
	IssuerURL string `json:"issuerURL"`

	// clientID is what the provider calls the gateway. 1 to 256 characters.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	ClientID string `json:"clientID"`

	// clientSecretRef is the key of a Secret in this MCPServer's namespace that
	// holds the gateway's client secret at the provider.
	//
	// When unset, the gateway is a public client there and proves itself by PKCE alone.
	//
	// +optional
	ClientSecretRef *KeyReference `json:"clientSecretRef,omitempty"`

	// caBundleRef is the key of a ConfigMap in this MCPServer's namespace that holds
	// PEM certificates. The provider's certificate must lead to one of these, and
	// those of the system do not count.
	//
	// When unset, the system's certificates count.
	//
	// +optional
	CABundleRef *KeyReference `json:"caBundleRef,omitempty"`

	// scopes are asked of the provider besides openid. Most providers hand out the
	// claims that access.rules read, such as email, only with the scope of that
	// name. At most 16, of at most 256 characters each.
	//
	// When unset, openid alone is asked for.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`self.all(s, s.matches('^[!#-\\[\\]-~]+$'))`,message="upstreams[].oidc.scopes must be visible ASCII characters but for the double quote and the backslash, such as email."
	// +kubebuilder:validation:XValidation:rule=`!('openid' in self)`,message="upstreams[].oidc.scopes must not name openid, which is always asked for."
	Scopes []string `json:"scopes,omitempty"`
}

// KeyReference is one key of an object in the namespace of the MCPServer. Of
// what kind the object is, the field says.
type KeyReference struct {
	// name of the object. At most 253 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`

	// key in the object's data. At most 253 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key"`
}

// Access narrows who may use the MCP server.
type Access struct {
	// rules say who may: anyone for whom one of them is true. They are asked at
	// login and at each refresh. 1 to 32.
	//
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Rules []AccessRule `json:"rules"`
}

// AccessRule lets in those for whom its expression is true.
type AccessRule struct {
	// name tells this rule from the others, in messages and audit logs. At most 40
	// characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// expression is CEL over the variable claims, what the upstream says of the
	// user, such as: claims.email.endsWith("@example.com"). claims.email is there
	// only if the upstream verified it. An expression that errs, as over a claim
	// that is missing, lets nobody in. 1 to 1024 characters.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Expression string `json:"expression"`
}
