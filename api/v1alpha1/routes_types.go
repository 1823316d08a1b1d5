package v1alpha1

// Transport is how a backend speaks.
//
// +kubebuilder:validation:Enum=StreamableHTTP;SSE;HTTP
type Transport string

// The transports: that of MCP revisions from 2025-03-26, that of 2024-11-05, and none
// of MCP's.
const (
	TransportStreamableHTTP Transport = "StreamableHTTP"
	TransportSSE            Transport = "SSE"
	TransportHTTP           Transport = "HTTP"
)

// Authentication says whether a route needs a token.
//
// +kubebuilder:validation:Enum=Required;None
type Authentication string

// The kinds of Authentication.
const (
	AuthenticationRequired Authentication = "Required"
	AuthenticationNone     Authentication = "None"
)

// Route is one path, protected unless it says otherwise.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.authentication) || self.authentication != 'None' || !has(self.requiredScopes) || size(self.requiredScopes) == 0`,fieldPath=".requiredScopes",message="routes[].requiredScopes must be empty where routes[].authentication is None, since scopes are a token's."
// +kubebuilder:validation:XValidation:rule=`!has(self.unlistedTools) || self.unlistedTools != 'Deny' || (!has(self.authentication) || self.authentication != 'None') && (!has(self.transport) || self.transport != 'HTTP')`,fieldPath=".unlistedTools",message="routes[].unlistedTools must not be Deny where routes[].authentication is None or routes[].transport is HTTP: without a token no tool could be called then, and only MCP has tools."
type Route struct {
	// name tells this route from the others, in messages and metrics. At most 40
	// characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// path is what clients call, under publicURL, such as /mcp. It is part of what
	// tokens are bound to: after a change, users log in again. It begins with a
	// slash and does not end in one, is different from the paths of the other
	// routes, and is none of those that the gateway serves itself: /authorize,
	// /consent, /callback, /token, /register, /revoke, /.well-known, and all below
	// them. / alone is publicURL itself, as it stands, without a slash; all other
	// routes and the gateway's own paths go before it. At most 128 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule=`self == '/' || self.matches('^(/[A-Za-z0-9._~-]+)+$') && !self.matches('/\\.\\.?(/|$)')`,message="routes[].path must begin with a slash, must not end in one unless it is / alone, and must be made of segments of letters, digits, '.', '_', '~' and '-', none of which is empty, '.' or '..'."
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^/(authorize|consent|callback|token|register|revoke|\\.well-known)(/|$)')`,message="routes[].path must not be one of the gateway's own paths, /authorize, /consent, /callback, /token, /register, /revoke and /.well-known, or below one."
	Path string `json:"path"`

	// transport is how the backend speaks on this route: StreamableHTTP, or SSE, the
	// older HTTP with SSE. Of an SSE route, clients send their messages to path and
	// /message, where the stream leads them. HTTP is for what is not MCP, such as pages
	// or a webhook: path and all below it go on to backendPath and below, by any method,
	// but for paths that servers read in more than one way. Nothing is known of sessions
	// or tools there, so Mcp-Session-Id does not pass, and the route must not lead to
	// what a route of MCP guards on the same Service.
	//
	// When unset, StreamableHTTP.
	//
	// +optional
	// +kubebuilder:default=StreamableHTTP
	Transport Transport `json:"transport,omitempty"`

	// authentication says whether a token is needed. With None, everybody who can reach
	// publicURL may send requests here, and no token is looked at or passed on: the
	// backend gets no Authorization header, no cookie and nothing that says who the
	// user is. The rest holds as on every route: Host must be publicURL's, and a script
	// on a page of another origin is refused unless gateway.allowedOrigins has it.
	// A request must arrive within 20 seconds. Pages are sandboxed by a
	// Content-Security-Policy and set no cookies, since publicURL is the authorization
	// server's origin too: scripts run, but cannot keep anything or call back there.
	// Sessions are nobody's: who learns the id of one can use it. What oauth.scopes name
	// is refused, since nobody has a scope here; gateway.quotas do not count. Such a
	// route is no resource: no token can be for it.
	//
	// When unset, Required.
	//
	// +optional
	// +kubebuilder:default=Required
	Authentication Authentication `json:"authentication,omitempty"`

	// backendPath is where the backend serves this route. It begins with a slash,
	// and unlike path it may end in one. At most 128 characters.
	//
	// When unset, it is path.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule=`self.matches('^/([A-Za-z0-9._~-]+/)*[A-Za-z0-9._~-]*$') && !self.matches('/\\.\\.?(/|$)')`,message="routes[].backendPath must begin with a slash and be made of segments of letters, digits, '.', '_', '~' and '-', none of which is '.' or '..'."
	BackendPath string `json:"backendPath,omitempty"`

	// mcpObject is who serves this route, if somebody else does than bindings.mcpObject.
	//
	// When unset, bindings.mcpObject does.
	//
	// +optional
	MCPObject *MCPObject `json:"mcpObject,omitempty"`

	// requiredScopes must all have been granted for any request on this route; a
	// token that lacks one is answered with 403 and the names of what is missing.
	// Each is in oauth.scopes. At most 16.
	//
	// When unset, any token for this route will do.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=64
	RequiredScopes []string `json:"requiredScopes,omitempty"`

	// unlistedTools says what becomes of a call of a tool that no scope names in
	// oauth.scopes[].tools. Allow asks for the route's requiredScopes alone. Deny
	// answers 403, whatever the token holds: so a tool that the MCP server gets later
	// is shut until somebody decides who may call it. Prompts and resources are not
	// concerned.
	//
	// When unset, Allow.
	//
	// +optional
	// +kubebuilder:default=Allow
	UnlistedTools Permission `json:"unlistedTools,omitempty"`
}
