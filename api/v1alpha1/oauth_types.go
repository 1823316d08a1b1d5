package v1alpha1

// OAuth sets what the authorization server grants, to whom and for how long.
// Rules look with has for members that have defaults: the default of the whole,
// {}, is itself checked against them, before its members get theirs.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.accessTokenTTLSeconds) || self.accessTokenTTLSeconds <= self.refreshTokenTTLSeconds`,fieldPath=".accessTokenTTLSeconds",message="oauth.accessTokenTTLSeconds must not be greater than oauth.refreshTokenTTLSeconds, which bounds the whole grant."
//
// +kubebuilder:validation:XValidation:rule=`has(self.identityAssertion) || !has(self.clients) || !self.clients.exists(c, has(c.grantTypes) && 'JWTBearer' in c.grantTypes)`,fieldPath=".identityAssertion",message="oauth.identityAssertion must be set for clients with the grant type JWTBearer, since it says on whose word they act."
type OAuth struct {
	// clientRegistration sets which clients may register themselves.
	//
	// When unset, all may, with and without a secret.
	//
	// +optional
	// +kubebuilder:default={}
	ClientRegistration ClientRegistration `json:"clientRegistration,omitzero"`

	// clientIDMetadataDocuments sets which clients may name themselves by the URL of
	// a document that describes them, in place of a registration.
	//
	// When unset, all with a document on a public host may.
	//
	// +optional
	// +kubebuilder:default={}
	ClientIDMetadataDocuments ClientIDMetadataDocuments `json:"clientIDMetadataDocuments,omitzero"`

	// clients are those that an administrator has provisioned. At most 32.
	//
	// When unset, there are only clients that register themselves, or that are named
	// by a metadata document.
	//
	// +optional
	// +listType=map
	// +listMapKey=clientID
	// +kubebuilder:validation:MaxItems=32
	Clients []Client `json:"clients,omitempty"`

	// identityAssertion lets clients act for users on the word of an identity provider.
	//
	// When unset, users log in at the upstream alone.
	//
	// +optional
	IdentityAssertion *IdentityAssertion `json:"identityAssertion,omitempty"`

	// accessTokenTTLSeconds is how long an access token is accepted. A shorter time
	// limits the damage of a leaked token; clients renew it unnoticed. 60 seconds to
	// a day, and at most refreshTokenTTLSeconds.
	//
	// When unset, 3600: an hour.
	//
	// +optional
	// +kubebuilder:default=3600
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=86400
	AccessTokenTTLSeconds int32 `json:"accessTokenTTLSeconds,omitempty"`

	// refreshTokenTTLSeconds is how long a grant lives from login, however often it
	// is refreshed: after that the user logs in again. 60 seconds to a year.
	//
	// When unset, 2592000: 30 days.
	//
	// +optional
	// +kubebuilder:default=2592000
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=31536000
	RefreshTokenTTLSeconds int32 `json:"refreshTokenTTLSeconds,omitempty"`

	// outageToleranceSeconds is how long tokens that a gateway already knows stay
	// good while the store cannot be reached. Logins and refreshes fail during an
	// outage in any case. A token revoked in an outage may be accepted this long. 0
	// to a day; with 0 every request fails as soon as the store does.
	//
	// When unset, 600: ten minutes.
	//
	// +optional
	// +kubebuilder:default=600
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=86400
	OutageToleranceSeconds *int32 `json:"outageToleranceSeconds,omitempty"`

	// scopes are what can be granted. A client that asks for others is granted
	// those that are here. At most 32.
	//
	// When unset, there are none, and a token is good for all that its route serves.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Scopes []Scope `json:"scopes,omitempty"`

	// keys sets how often the gateway's keys are renewed.
	//
	// When unset, every 90 days.
	//
	// +optional
	// +kubebuilder:default={}
	Keys OAuthKeys `json:"keys,omitzero"`
}

// Policy switches something on or off.
//
// +kubebuilder:validation:Enum=Enabled;Disabled
type Policy string

// The policies.
const (
	PolicyEnabled  Policy = "Enabled"
	PolicyDisabled Policy = "Disabled"
)

// Permission says whether something is admitted.
//
// +kubebuilder:validation:Enum=Allow;Deny
type Permission string

// The permissions.
const (
	PermissionAllow Permission = "Allow"
	PermissionDeny  Permission = "Deny"
)

// ClientRegistration sets which clients may register themselves (RFC 7591), and
// how long they are kept.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.unusedTTLSeconds) || self.unusedTTLSeconds <= self.ttlSeconds`,fieldPath=".unusedTTLSeconds",message="oauth.clientRegistration.unusedTTLSeconds must not be greater than ttlSeconds: a client that was never used is not kept longer than one that was."
type ClientRegistration struct {
	// policy says whether the registration endpoint is served. Disabled lets in no
	// new client; those that are registered stay.
	//
	// When unset, Enabled: most MCP clients know no other way in.
	//
	// +optional
	// +kubebuilder:default=Enabled
	Policy Policy `json:"policy,omitempty"`

	// ttlSeconds is how long a client is kept that has been used; use in the second
	// half of that time begins it anew. A client that lapses takes its tokens with
	// it. Two days, which outlasts the longest access token twice, to a year.
	//
	// When unset, 7776000: 90 days.
	//
	// +optional
	// +kubebuilder:default=7776000
	// +kubebuilder:validation:Minimum=172800
	// +kubebuilder:validation:Maximum=31536000
	TTLSeconds int32 `json:"ttlSeconds,omitempty"`

	// unusedTTLSeconds is how long a client is kept that never got a token. Anybody
	// can register, so these are kept short. Half an hour, in which a login surely
	// ends, to ttlSeconds.
	//
	// When unset, 86400: a day.
	//
	// +optional
	// +kubebuilder:default=86400
	// +kubebuilder:validation:Minimum=1800
	// +kubebuilder:validation:Maximum=31536000
	UnusedTTLSeconds int32 `json:"unusedTTLSeconds,omitempty"`

	// publicClients says whether clients without a secret may register. Their codes
	// and tokens are protected by PKCE and rotation alone. Deny refuses to register
	// them; those that are registered stay.
	//
	// When unset, Allow: clients on users' machines are public.
	//
	// +optional
	// +kubebuilder:default=Allow
	PublicClients Permission `json:"publicClients,omitempty"`

	// initialAccessTokenRef is the key of a Secret in this MCPServer's namespace
	// that holds a token. Whoever registers must send it as Authorization: Bearer,
	// which few clients can be told to do; clients that are registered stay. The
	// Secret's label mcp.vestibule.dev/allowed-for is this MCPServer's name, or any.
	//
	// When unset, anybody may register.
	//
	// +optional
	InitialAccessTokenRef *KeyReference `json:"initialAccessTokenRef,omitempty"`

	// allowedRedirectHosts are the hosts of https redirect URIs that clients may use
	// which nobody has provisioned: those that register, and those that are named by
	// a metadata document. Each is a name, or *.example.com for all names below
	// example.com. They hold for clients that are registered already, too. Loopback
	// hosts and private-use schemes are not concerned. At most 64.
	//
	// When unset, any host will do: users see it before they approve.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.all(h, h.matches('^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'))`,message="oauth.clientRegistration.allowedRedirectHosts must be host names in lower case, without scheme and port, such as claude.ai or *.example.com."
	AllowedRedirectHosts []string `json:"allowedRedirectHosts,omitempty"`

	// privateUseSchemes are the schemes of native apps that the same clients may use
	// in redirect URIs: names, or *.* for all that are reverse domain names, such as
	// com.example.app. Any program can claim such a scheme on a user's machine. An
	// empty list allows none. At most 32.
	//
	// When unset, those of Cursor, VS Code and other desktop clients, and *.*.
	//
	// +optional
	// +listType=set
	// +kubebuilder:default={"cursor","vscode","vscode-insiders","vscodium","windsurf","zed","claude","raycast","warp","*.*"}
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:XValidation:rule=`self.all(s, s == '*.*' || s.matches('^[a-z][-+.a-z0-9]*$'))`,message="oauth.clientRegistration.privateUseSchemes must be schemes in lower case without colon, such as cursor, or *.* for all reverse domain names."
	// +kubebuilder:validation:XValidation:rule=`self.all(s, !(s in ['http', 'https', 'javascript', 'data', 'file', 'about', 'blob', 'vbscript', 'ftp', 'ws', 'wss']))`,message="oauth.clientRegistration.privateUseSchemes must not name schemes that browsers give a meaning of their own, such as http, javascript and data."
	PrivateUseSchemes []string `json:"privateUseSchemes,omitzero"`
}

// ClientIDMetadataDocuments sets which clients may name themselves by the URL of
// a document that describes them, and from where the gateway fetches such
// documents and the keys that clients publish. Anybody who can reach the gateway
// can have it fetch one, so by default it connects to public addresses only. Such
// clients sign with a key of theirs or are public, whatever
// clientRegistration.publicClients says.
type ClientIDMetadataDocuments struct {
	// policy says whether clients may. Disabled ends what they were granted, too:
	// tokens of such clients are refused from then on.
	//
	// When unset, Enabled: most MCP clients prefer it to registering.
	//
	// +optional
	// +kubebuilder:default=Enabled
	Policy Policy `json:"policy,omitempty"`

	// allowedHosts are the only hosts that anything is fetched from, such as
	// claude.ai, or *.example.com for all below one; with a port if it is not 443.
	// A host that has no public name, such as one of the cluster or an IP address,
	// must be here by itself, and its address in allowedCIDRs; names are looked up
	// as they are, without the search domains of the cluster. Tokens of clients
	// whose host is not here any more are refused. At most 64, of at most 256
	// characters each.
	//
	// When unset, all hosts with a public name are allowed, at port 443.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`self.all(h, h.matches('^(\\*\\.)?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(:[1-9][0-9]{0,4})?$') || h.matches('^\\[[0-9a-f:.]+\\](:[1-9][0-9]{0,4})?$') && isIP(h.substring(1, h.indexOf(']'))))`,message="oauth.clientIDMetadataDocuments.allowedHosts must be hosts in lower case, such as claude.ai, *.example.com or clients.example.com:8443, without a scheme or path."
	AllowedHosts []string `json:"allowedHosts,omitempty"`

	// deniedCIDRs are addresses that the gateway does not connect to, besides all
	// that are not public: the cluster's own, where those are public ones. At most 32.
	//
	// When unset, all public addresses may be connected to.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:XValidation:rule=`self.all(p, isCIDR(p))`,message="oauth.clientIDMetadataDocuments.deniedCIDRs must be CIDRs, such as 10.0.0.0/8; a single address ends in /32 or /128."
	DeniedCIDRs []string `json:"deniedCIDRs,omitempty"`

	// allowedCIDRs are addresses that the gateway connects to though they are not
	// public, or denied. Everything at port 443 of these, and at the ports in
	// allowedHosts, can be asked for by anybody: keep them narrow. At most 32.
	//
	// When unset, none are.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:XValidation:rule=`self.all(p, isCIDR(p))`,message="oauth.clientIDMetadataDocuments.allowedCIDRs must be CIDRs, such as 10.0.0.0/8; a single address ends in /32 or /128."
	AllowedCIDRs []string `json:"allowedCIDRs,omitempty"`

	// caBundleRef is the key of a ConfigMap in this MCPServer's namespace that holds
	// PEM certificates. A host's certificate must lead to one of these or to one of
	// the system's.
	//
	// When unset, only the system's certificates count.
	//
	// +optional
	CABundleRef *KeyReference `json:"caBundleRef,omitempty"`
}

// OAuthKeys sets how the keys are renewed with which the gateway seals records and
// mints tokens. Nobody notices a renewal: what is under an old key stays good, and the
// key is kept until the last of it has ended.
type OAuthKeys struct {
	// rotationPeriodSeconds is how old the newest key gets before another one is made.
	// A shorter time limits what an old backup of the keys opens. A day to a year. At
	// most 128 keys are kept; when that many are still needed, the next one waits.
	//
	// When unset, 7776000: 90 days.
	//
	// +optional
	// +kubebuilder:default=7776000
	// +kubebuilder:validation:Minimum=86400
	// +kubebuilder:validation:Maximum=31536000
	RotationPeriodSeconds int32 `json:"rotationPeriodSeconds,omitempty"`
}

// AnnotationReconcile asks the controller to look at an MCPServer now, and at all that it
// remembers of it anew, whenever the value changes. status.lastHandledReconcileAt is the
// value that was last acted on. Any value will do; a time is usual.
const AnnotationReconcile = "mcp.vestibule.dev/reconcile-at"

// Annotations of an MCPServer that are commands about the keys. Their values are
// times (RFC 3339): a command whose time is to come is carried out then, and one that
// was carried out is not again.
const (
	// AnnotationRotateKeys wants a key that was made at this time or later.
	AnnotationRotateKeys = "mcp.vestibule.dev/rotate-keys"
	// AnnotationDropKeys wants no key that was made before this time, because somebody
	// else may have it: everything under it ends at once, so that clients register and
	// users log in anew.
	AnnotationDropKeys = "mcp.vestibule.dev/drop-keys"
)
