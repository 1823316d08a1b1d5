package v1alpha1

// UpstreamType says which member of Upstream is set.
//
// +kubebuilder:validation:Enum=OIDC;GitHub;Google;Auth0;Stytch;WorkOS;Okta;Entra;Keycloak
type UpstreamType string

// The upstream types. OIDC is any OpenID Connect provider; the others know the
// ways of theirs.
const (
	UpstreamOIDC     UpstreamType = "OIDC"
	UpstreamGitHub   UpstreamType = "GitHub"
	UpstreamGoogle   UpstreamType = "Google"
	UpstreamAuth0    UpstreamType = "Auth0"
	UpstreamStytch   UpstreamType = "Stytch"
	UpstreamWorkOS   UpstreamType = "WorkOS"
	UpstreamOkta     UpstreamType = "Okta"
	UpstreamEntra    UpstreamType = "Entra"
	UpstreamKeycloak UpstreamType = "Keycloak"
)

// Upstream is an identity provider that users log in with: the member that type
// names is set.
//
// +kubebuilder:validation:XValidation:rule=`[has(self.oidc), has(self.github), has(self.google), has(self.auth0), has(self.stytch), has(self.workos), has(self.okta), has(self.entra), has(self.keycloak)].filter(set, set).size() == 1 && {'OIDC': has(self.oidc), 'GitHub': has(self.github), 'Google': has(self.google), 'Auth0': has(self.auth0), 'Stytch': has(self.stytch), 'WorkOS': has(self.workos), 'Okta': has(self.okta), 'Entra': has(self.entra), 'Keycloak': has(self.keycloak)}[self.type]`,fieldPath=".type",message="upstreams[].type must name the one member that is set, such as OIDC for upstreams[].oidc."
type Upstream struct {
	// name is in the redirect URI that is registered at the provider, which is
	// publicURL followed by /callback/ and name, and in every grant: an upstream of
	// another name is another one, whose users log in again. At most 40 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// displayName is what users read where they choose between upstreams, and where
	// they are told who asks for their password. At most 64 characters.
	//
	// When unset, it is name.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	DisplayName string `json:"displayName,omitempty"`

	// type says which provider it is, or OIDC for one that is not in the list.
	//
	// +required
	// +unionDiscriminator
	Type UpstreamType `json:"type"`

	// tokenRenewal says whether the provider is asked again about a user when their
	// grant is refreshed and what it said is older than five minutes. Enabled asks
	// for a refresh token at login: with the scope offline_access, with access_type
	// for Google; at GitHub it is up to the app, which must be a GitHub App whose
	// user tokens expire. Rules then see the user's new claims, and the grant ends
	// with the login at the provider. While the provider does not answer, refreshes
	// fail, and cost the client nothing. Tokens are kept where only the client's own
	// tokens open them.
	//
	// When unset, Disabled: what the provider said at login is good for the grant.
	//
	// +optional
	// +kubebuilder:default=Disabled
	TokenRenewal Policy `json:"tokenRenewal,omitempty"`

	// maxAgeSeconds is how long a grant lives whose user the provider cannot be
	// asked about again, because tokenRenewal is Disabled or because it gave no
	// refresh token. 60 seconds to a year; oauth.refreshTokenTTLSeconds bounds it too.
	//
	// When unset, oauth.refreshTokenTTLSeconds alone bounds grants.
	//
	// +optional
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=31536000
	MaxAgeSeconds int32 `json:"maxAgeSeconds,omitempty"`

	// oidc is an OpenID Connect provider. Set for type OIDC alone.
	//
	// +optional
	OIDC *OIDCUpstream `json:"oidc,omitempty"`

	// github is GitHub. Set for type GitHub alone.
	//
	// +optional
	GitHub *GitHubUpstream `json:"github,omitempty"`

	// google is Google. Set for type Google alone.
	//
	// +optional
	Google *GoogleUpstream `json:"google,omitempty"`

	// auth0 is a tenant of Auth0. Set for type Auth0 alone.
	//
	// +optional
	Auth0 *DomainUpstream `json:"auth0,omitempty"`

	// stytch is a project of Stytch, as Connected Apps has it. Set for type Stytch
	// alone.
	//
	// +optional
	Stytch *DomainUpstream `json:"stytch,omitempty"`

	// workos is AuthKit of WorkOS. Set for type WorkOS alone.
	//
	// +optional
	WorkOS *DomainUpstream `json:"workos,omitempty"`

	// okta is an organization of Okta. Set for type Okta alone.
	//
	// +optional
	Okta *OktaUpstream `json:"okta,omitempty"`

	// entra is Microsoft Entra ID. Set for type Entra alone.
	//
	// +optional
	Entra *EntraUpstream `json:"entra,omitempty"`

	// keycloak is a realm of Keycloak. Set for type Keycloak alone.
	//
	// +optional
	Keycloak *KeycloakUpstream `json:"keycloak,omitempty"`
}

// UpstreamClient is the gateway's client at a provider.
type UpstreamClient struct {
	// clientID is what the provider calls the gateway. 1 to 256 characters.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	ClientID string `json:"clientID"`

	// clientSecretRef is the key of a Secret in this MCPServer's namespace that
	// holds the gateway's client secret at the provider. The Secret's label
	// mcp.vestibule.dev/allowed-for is this MCPServer's name, or any.
	//
	// When unset, the gateway is a public client there and proves itself by PKCE alone.
	//
	// +optional
	ClientSecretRef *KeyReference `json:"clientSecretRef,omitempty"`

	// scopes are asked of the provider. Most hand out the claims that rules read,
	// such as email, only with the scope of that name. openid is always asked for,
	// but not of GitHub. At most 16, of at most 256 characters each.
	//
	// When unset: of OIDC none, of GitHub user:email, of all others profile and email.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`self.all(s, s.matches('^[!#-\\[\\]-~]+$'))`,message="scopes must be visible ASCII characters but for the double quote and the backslash, such as email."
	// +kubebuilder:validation:XValidation:rule=`!('openid' in self)`,message="scopes must not name openid, which is asked for where there is OpenID Connect."
	Scopes []string `json:"scopes,omitempty"`
}

// UpstreamTrust is which certificates of a provider are trusted.
type UpstreamTrust struct {
	// caBundleRef is the key of a ConfigMap in this MCPServer's namespace that holds
	// PEM certificates. The provider's certificate must lead to one of these, and
	// those of the system do not count.
	//
	// When unset, the system's certificates count.
	//
	// +optional
	CABundleRef *KeyReference `json:"caBundleRef,omitempty"`
}

// OIDCUpstream is an OpenID Connect provider. email counts if email_verified is
// true.
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

	UpstreamClient `json:",inline"`
	UpstreamTrust  `json:",inline"`
}

// GitHubUpstream is GitHub, where a user is their number. claims.login is their
// name; claims.email, with the scope user:email, their primary address if it is
// verified; claims.organizations, with the scope read:org, the logins of their
// organizations.
type GitHubUpstream struct {
	// baseURL is a GitHub Enterprise Server, or a domain of ghe.com. It must be
	// https, without a path; http is for localhost, 127.0.0.1 and [::1] only. At most
	// 256 characters.
	//
	// When unset, https://github.com.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`self.matches('^(https://[a-z0-9.-]+|http://(localhost|127\\.0\\.0\\.1|\\[::1\\]))(:[0-9]+)?$')`,message="upstreams[].github.baseURL must be https and a host in lower case, without a trailing slash, such as https://github.example.com; http is for localhost, 127.0.0.1 and [::1] only."
	BaseURL string `json:"baseURL,omitempty"`

	UpstreamClient `json:",inline"`
	UpstreamTrust  `json:",inline"`
}

// GoogleUpstream is Google.
type GoogleUpstream struct {
	// hostedDomains are the domains of Google Workspace whose accounts may log in:
	// claims.hd is one of them. At most 16.
	//
	// When unset, every Google account may log in, and rules decide.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.all(d, d.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?\\.)+[a-z0-9-]+$'))`,message="upstreams[].google.hostedDomains must be domain names in lower case, such as example.com."
	HostedDomains []string `json:"hostedDomains,omitempty"`

	UpstreamClient `json:",inline"`
}

// DomainUpstream is a provider that is found by a domain of its customer's.
type DomainUpstream struct {
	// domain is the customer's at the provider, or one of their own that they have
	// set up there: such as example.eu.auth0.com, example.authkit.app or
	// word-word-1234.customers.stytch.dev. At most 253 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?\\.)+[a-z0-9-]+$')`,message="domain must be a host name in lower case, such as example.com, without a scheme, a port or a path."
	Domain string `json:"domain"`

	UpstreamClient `json:",inline"`
}

// OktaUpstream is an organization of Okta. claims.groups is there if the
// authorization server has a claim of that name.
type OktaUpstream struct {
	// domain is the organization's, such as example.okta.com. At most 253 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?\\.)+[a-z0-9-]+$')`,message="domain must be a host name in lower case, such as example.com, without a scheme, a port or a path."
	Domain string `json:"domain"`

	// authorizationServerID is which of its authorization servers, such as default.
	// At most 64 characters.
	//
	// When unset, the organization's own.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]+$`
	AuthorizationServerID string `json:"authorizationServerID,omitempty"`

	UpstreamClient `json:",inline"`
}

// EntraUpstream is Microsoft Entra ID. claims.email is there only if the app
// registration adds the optional claims email and xms_edov, and Entra says that the
// domain's owner is verified; preferred_username is no address, whatever it looks
// like. claims.groups is missing for users of more groups than a token holds.
type EntraUpstream struct {
	// tenantIDs are the tenants whose users may log in, each as the GUID that the
	// overview of the tenant names. Several need an app registration for several
	// tenants. 1 to 16.
	//
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=36
	// +kubebuilder:validation:XValidation:rule=`self.all(t, t.matches('^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'))`,message="upstreams[].entra.tenantIDs must be GUIDs in lower case: tokens name the tenant by it, and not by a domain, common or organizations."
	TenantIDs []string `json:"tenantIDs"`

	UpstreamClient `json:",inline"`
}

// KeycloakUpstream is a realm of Keycloak. claims.realm_access.roles is there if
// the client adds the realm's roles to the id token.
type KeycloakUpstream struct {
	// url is where Keycloak is, with the path that it may have, without a trailing
	// slash. It must be https; http is for localhost, 127.0.0.1 and [::1] only. At
	// most 256 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`isURL(self) && url(self).getHostname() != '' && !self.matches('[?#]|//[^/]*@')`,message="upstreams[].keycloak.url must be an absolute URL without user, query and fragment, such as https://keycloak.example.com."
	// +kubebuilder:validation:XValidation:rule=`!isURL(self) || self.startsWith('https://') || self.matches('^http://(localhost|127\\.0\\.0\\.1|\\[::1\\])([:/]|$)')`,message="upstreams[].keycloak.url must be https; http is for localhost, 127.0.0.1 and [::1] only."
	// +kubebuilder:validation:XValidation:rule=`!self.endsWith('/')`,message="upstreams[].keycloak.url must have no trailing slash."
	URL string `json:"url"`

	// realm is the realm's name. 1 to 128 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9._~-]+$`
	Realm string `json:"realm"`

	UpstreamClient `json:",inline"`
	UpstreamTrust  `json:",inline"`
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
	// contact is whom those can ask who log in and are not let in, as the page says
	// that they get: a name, a mail address, a page. At most 256 characters.
	//
	// When unset, the page names nobody.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Contact string `json:"contact,omitempty"`

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

	// expression is CEL over two variables: claims, what the upstream says of the
	// user, and upstream, its name, or id-jag: and the name of a trusted issuer. Such as:
	// upstream == "corp" && claims.email.endsWith("@example.com"). claims.email is there only if the
	// upstream verified it; a claim with an odd name is claims["https://example.com/x"].
	// An expression that errs, as over a claim that is missing, lets nobody in. 1 to
	// 1024 characters.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Expression string `json:"expression"`
}
