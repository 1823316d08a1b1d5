package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MCPServer is an OAuth 2.1 front door for an MCP server that already runs: an
// authorization server, where users log in at an identity provider and approve
// what a client asks for, and a gateway that lets only its own tokens through.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=mcps
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.status.url`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.gatewayVersion`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule=`size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')`,message="metadata.name must be at most 40 lower case letters, digits and hyphens, begin with a letter and not end in a hyphen: the gateway's Service and other objects are named after it."
// +kubebuilder:validation:XValidation:rule=`self.metadata.name != 'any'`,message="metadata.name must not be any, which stands for every MCPServer in the label mcp.vestibule.dev/allowed-for of a Secret."
type MCPServer struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the developer asks for.
	//
	// +required
	Spec MCPServerSpec `json:"spec"`
	// status is what the controller observed. The controller alone writes it.
	//
	// +optional
	Status MCPServerStatus `json:"status,omitzero"`
}

// MCPServerList is a list of MCPServers.
//
// +kubebuilder:object:root=true
type MCPServerList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []MCPServer `json:"items"`
}

// MCPServerSpec is what the developer asks for. Where a rule forbids a change,
// it stands on the field's parent: a rule on an optional field does not run when
// the field is removed.
//
// +kubebuilder:validation:XValidation:rule=`self.publicURL == oldSelf.publicURL`,fieldPath=".publicURL",message="publicURL cannot be changed, since every client and every token is bound to it: create a second MCPServer with the new URL, and delete this one when its clients have moved."
// +kubebuilder:validation:XValidation:rule=`self.bindings.oauthKV.type != 'Memory' || self.gateway.replicas == 1`,fieldPath=".gateway.replicas",message="gateway.replicas must be 1 when bindings.oauthKV.type is Memory, because replicas do not see into each other's memory."
// +kubebuilder:validation:XValidation:rule=`self.bindings.oauthKV.type != 'Memory' || !has(self.gateway.autoscaling)`,fieldPath=".gateway.autoscaling",message="gateway.autoscaling must not be set when bindings.oauthKV.type is Memory, because replicas do not see into each other's memory."
// +kubebuilder:validation:XValidation:rule=`self.routes.all(r, !has(r.requiredScopes) || r.requiredScopes.all(s, has(self.oauth.scopes) && self.oauth.scopes.exists(known, known.name == s)))`,fieldPath=".routes",message="routes[].requiredScopes must name scopes that are in oauth.scopes, otherwise nobody could be granted them."
// +kubebuilder:validation:XValidation:rule=`has(self.access) || !self.upstreams.exists(u, u.type in ['Google', 'GitHub'] || has(u.oidc) && u.oidc.issuerURL == 'https://accounts.google.com')`,fieldPath=".access",message="access must be set where an upstream is Google or GitHub, because everybody in the world can log in there."
// +kubebuilder:validation:XValidation:rule=`self.upstreams.all(u, u.tokenRenewal == 'Enabled') || !(has(self.bindings.mcpObject.identity) && has(self.bindings.mcpObject.identity.upstreamToken)) && !self.routes.exists(r, has(r.mcpObject) && has(r.mcpObject.identity) && has(r.mcpObject.identity.upstreamToken))`,fieldPath=".upstreams",message="upstreams[].tokenRenewal must be Enabled in every upstream when mcpObject.identity.upstreamToken is set anywhere, because only tokens that can be renewed are kept."
// +kubebuilder:validation:XValidation:rule=`!has(self.gateway.httpRoute) && !has(self.gateway.ingress) || self.publicURL.matches('^https://[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[0-9]+)?(/|$)') && !self.publicURL.matches('^https://([0-9.]+|localhost)(:|/|$)')`,fieldPath=".publicURL",message="publicURL must be https and have a host name of the DNS if gateway.httpRoute or gateway.ingress is set: no address and no localhost."
type MCPServerSpec struct {
	// publicURL is where clients reach the gateway. It is the issuer of every token
	// and the base of every URL that the gateway hands out: the URL of a route is
	// publicURL followed by the route's path. It cannot be changed, since clients
	// registered with this issuer and tokens name it; a second MCPServer lets
	// clients move while the first one still serves.
	//
	// It must be https; http is for localhost, 127.0.0.1 and [::1] only, where
	// nobody else can listen. It is written as URL libraries write it, since clients compare it
	// character by character: scheme and host in lower case, no default port, no
	// user, query or fragment, and no trailing slash. At most 256 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`isURL(self) && url(self).getScheme() in ['https', 'http'] && url(self).getHostname() != ''`,message="publicURL must be an absolute URL, such as https://weather.example.com."
	// +kubebuilder:validation:XValidation:rule=`!self.startsWith('http:') || self.matches('^http://(localhost|127\\.0\\.0\\.1|\\[::1\\])([:/?#]|$)')`,message="publicURL must be https; http is for localhost, 127.0.0.1 and [::1] only, such as http://127.0.0.1:8788."
	// +kubebuilder:validation:XValidation:rule=`!self.matches('[?#@]|/$')`,message="publicURL must have no user, query, fragment or trailing slash."
	// +kubebuilder:validation:XValidation:rule=`!isURL(self) || self.matches('[?#@]|/$') || self.matches('^https?://([a-z0-9._-]+|\\[[0-9a-f:]+\\])(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~-]+)*$') && !self.matches('/\\.\\.?(/|$)') && !self.matches('^(https://[^/]+:443|http://[^/]+:80)(/|$)')`,message="publicURL must be written as URL libraries write it: scheme and host in lower case, no default port, and in its path only letters, digits, '.', '_', '~' and '-'."
	PublicURL string `json:"publicURL"`

	// bindings connect the gateway to what it needs: the MCP server behind it and
	// the store of its records.
	//
	// +required
	Bindings Bindings `json:"bindings"`

	// routes are the paths that lead to a backend. Each is a resource of its own: a
	// token for one is refused by the others. The first is the one that is meant by a
	// client that names no resource, and the one in status.url, so it serves MCP and
	// needs a token. What needs none must not lead to where another route leads on the
	// same Service that needs one. One to 16.
	//
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule=`self.all(r, self.exists_one(other, other.path == r.path))`,message="routes[].path must be different in every route."
	// +kubebuilder:validation:XValidation:rule=`(!has(self[0].authentication) || self[0].authentication == 'Required') && (!has(self[0].transport) || self[0].transport != 'HTTP')`,message="routes must begin with one that serves MCP and needs a token: it is the one in status.url, which clients log in for."
	Routes []Route `json:"routes"`

	// oauth sets what the authorization server grants, to whom and for how long.
	//
	// When unset, every client may register, and no scopes are known.
	//
	// +optional
	// +kubebuilder:default={}
	OAuth OAuth `json:"oauth,omitzero"`

	// upstreams are the identity providers that users log in with, in the order in
	// which they are offered. A user is one of one upstream: the same address or
	// number at another is somebody else. 1 to 8.
	//
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Upstreams []Upstream `json:"upstreams"`

	// access narrows who may use the MCP server among those who can log in.
	//
	// When unset, everyone whom the upstream lets in may use it. It must be set for
	// upstreams that let in the whole world.
	//
	// +optional
	Access *Access `json:"access,omitempty"`

	// gateway sets how the gateway runs and what it trusts in its surroundings.
	//
	// When unset, two replicas run and trust nothing.
	//
	// +optional
	// +kubebuilder:default={}
	Gateway Gateway `json:"gateway,omitzero"`

	// deletionPolicy says what becomes of the keys, and of the objects of a store of type
	// Kubernetes, when this MCPServer is deleted. Delete deletes them. Retain keeps them:
	// a new MCPServer of this name and publicURL in this namespace goes on with them, so
	// clients stay registered and users logged in. A change is in effect when it is in
	// status.deletionPolicy. What is in an etcd stays there in either case, and cannot be
	// read without the keys.
	//
	// When unset, Delete.
	//
	// +optional
	// +kubebuilder:default=Delete
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// Claim is a host, or a path on a host, that one MCPServer alone is served at.
type Claim struct {
	// host is the host of publicURL. It includes the port if publicURL has one.
	//
	// +required
	// +kubebuilder:validation:MaxLength=256
	Host string `json:"host"`

	// path is the path of publicURL, or of a route below it. Empty means the whole host.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Path string `json:"path,omitempty"`

	// since is when this MCPServer got the claim.
	//
	// +required
	Since metav1.MicroTime `json:"since"`
}

// MCPServerStatus is what the controller observed.
type MCPServerStatus struct {
	// observedGeneration is the metadata.generation of the spec that the rest of
	// the status speaks of.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// controllerVersion is the release of the controller that wrote this status.
	//
	// +optional
	ControllerVersion string `json:"controllerVersion,omitempty"`

	// controller is the install of the controller that manages this MCPServer: the namespace
	// and name of its Lease. Another install changes nothing while that Lease is renewed.
	//
	// +optional
	Controller string `json:"controller,omitempty"`

	// lastHandledReconcileAt is the value of the annotation
	// mcp.vestibule.dev/reconcile-at that was last acted on.
	//
	// +optional
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`

	// gatewayVersion is the release of the gateways that run: the tag of their image, or
	// its digest. While they are replaced, it is the one before.
	//
	// +optional
	GatewayVersion string `json:"gatewayVersion,omitempty"`

	// url is what to give to an MCP client: the URL of the first route.
	//
	// +optional
	URL string `json:"url,omitempty"`

	// claims are the hosts and paths that this MCPServer is served at: the one of
	// publicURL, and one for each route. If two MCPServers want the same one, the one with
	// the earlier claim keeps it.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=17
	Claims []Claim `json:"claims,omitempty"`

	// store is the type of the store that holds every client and grant: the one of the
	// spec, or the one before for as long as a migration is under way.
	//
	// +optional
	Store OAuthKVType `json:"store,omitempty"`

	// deletionPolicy is the one that is in effect: it would be acted on if this
	// MCPServer were deleted now.
	//
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// keyFingerprint identifies the Secret with the keys that this MCPServer uses, and
	// reveals nothing of them. It stays when keys are rotated, and changes when keys are
	// dropped by command. A Secret with another fingerprint is not used, and OAuthKVBound
	// says KeysReplaced.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	KeyFingerprint string `json:"keyFingerprint,omitempty"`

	// conditions say one by one what is right and what is wrong; each message names
	// the field to change. Ready sums them up.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
