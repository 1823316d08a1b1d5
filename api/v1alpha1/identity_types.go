package v1alpha1

// Identity says how the MCP server learns who calls it. What clients themselves send
// under these headers never reaches it. Requests that nobody had to log in for come
// without.
//
// +kubebuilder:validation:XValidation:rule=`has(self.assertion) || has(self.headers) || has(self.upstreamToken)`,message="mcpObject.identity must have assertion, headers or upstreamToken; without any, leave it out."
// +kubebuilder:validation:XValidation:rule=`!has(self.headers) || !has(self.upstreamToken) || !self.headers.exists(h, h.name.lowerAscii() == self.upstreamToken.header.lowerAscii())`,fieldPath=".upstreamToken",message="mcpObject.identity.upstreamToken.header must be another header than those in headers."
type Identity struct {
	// assertion has the gateway say who calls in the header X-Vestibule-Assertion: a
	// signed JWT of type vestibule-identity+jwt, good for five minutes. It names the
	// user (upstream_issuer and sub together; upstream is the name in upstreams), the
	// client (client_id) and what the user has granted it (scope); its iss is
	// publicURL. The keys to verify it with are at publicURL followed by
	// /.well-known/jwks.json, which the gateway's Service serves inside of the cluster
	// too. docs/backends.md has how to verify it.
	//
	// When unset, nothing is signed, and no keys are published.
	//
	// +optional
	Assertion *SignedAssertion `json:"assertion,omitempty"`

	// headers have one claim each, unsigned: for a server that nobody can call but
	// through the gateway, which a NetworkPolicy must see to. Text is sent as it is,
	// everything else as JSON; what is not visible ASCII, as MCP has it in headers:
	// =?base64?, its Base64, and ?=. A user without the claim comes without the header.
	// Together with everything else that is told, they have 12 KiB; a user of whom
	// there is more to tell gets an error. Each header has another name. One to 16.
	//
	// When unset, no claims are sent in headers of their own.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule=`self.all(h, self.exists_one(other, other.name.lowerAscii() == h.name.lowerAscii()))`,message="mcpObject.identity.headers[].name must be different in every header, also in small letters."
	Headers []IdentityHeader `json:"headers,omitempty"`

	// upstreamToken has the access token that the user's identity provider gave sent
	// along, for a server that calls others in the user's name. One that is about to
	// expire is renewed first. It needs tokenRenewal in every upstream. A user of whom
	// the provider gave nothing that can be renewed, and a client without a user, come
	// without.
	//
	// If the server answers 401, the token is renewed, and the client is told to try
	// again. If it answers 401 to the new one within five minutes, the grant ends, and
	// the user has to log in again.
	//
	// When unset, no token of an identity provider leaves the gateway.
	//
	// +optional
	UpstreamToken *IdentityToken `json:"upstreamToken,omitempty"`
}

// SignedAssertion is what the gateway signs.
type SignedAssertion struct {
	// audience is the aud of the assertion: what this server calls itself, such as a
	// URL. It must accept no other, or what was meant for another server would do.
	// 1 to 256 visible ASCII characters.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[!-~]+$`
	Audience string `json:"audience"`

	// claims are those of the identity provider that are in the assertion, under their
	// own names, if the user has them: email only if the provider has verified it. At
	// most 16, of at most 128 characters.
	//
	// When unset, none are.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z0-9_.:/-]+$`
	// +kubebuilder:validation:XValidation:rule=`self.all(c, !c.matches('^(iss|sub|aud|exp|nbf|iat|jti|cnf|act|may_act|client_id|scope|upstream|upstream_issuer)$'))`,message="mcpObject.identity.assertion.claims must not have iss, sub, aud, exp, nbf, iat, jti, cnf, act, may_act, client_id, scope, upstream or upstream_issuer, which are the gateway's to say."
	Claims []string `json:"claims,omitempty"`
}

// IdentityHeader is a header with a claim.
type IdentityHeader struct {
	// name of the header, such as X-User-Email. At most 64 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule=`self.matches('^(?i:x-[a-z0-9]+(-[a-z0-9]+)*)$') && !self.matches('^(?i:x-(vestibule|accel|http|original|rewrite)-.*|x-forwarded-(for|host|method|port|prefix|proto|scheme|server|ssl|uri)|x-(real|client)-ip|x-method-override)$')`,message="mcpObject.identity.headers[].name must begin with X-, such as X-User-Email, and be none by which proxies and servers are steered, such as X-Forwarded-For."
	Name string `json:"name"`

	// claim is the one that it has: sub, upstream, upstream_issuer, client_id or scope
	// as an assertion has them, or one of the identity provider's, such as email. At
	// most 128 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_.:/-]+$`
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^(iss|aud|exp|nbf|iat|jti)$')`,message="mcpObject.identity.headers[].claim must be about the user, and not iss, aud, exp, nbf, iat or jti, which are about a token."
	Claim string `json:"claim"`
}

// IdentityToken is where an identity provider's token goes.
type IdentityToken struct {
	// header is the one that has the token, and nothing else, such as
	// X-Upstream-Token. At most 64 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule=`self.matches('^(?i:x-[a-z0-9]+(-[a-z0-9]+)*)$') && !self.matches('^(?i:x-(vestibule|accel|http|original|rewrite)-.*|x-forwarded-(for|host|method|port|prefix|proto|scheme|server|ssl|uri)|x-(real|client)-ip|x-method-override)$')`,message="mcpObject.identity.upstreamToken.header must begin with X-, such as X-Upstream-Token, and be none by which proxies and servers are steered, such as X-Forwarded-For."
	Header string `json:"header"`
}
