package v1alpha1

// Scope is one scope that can be granted.
type Scope struct {
	// name is what clients ask for, such as weather:read: visible ASCII but for the
	// double quote and the backslash (RFC 6749). offline_access is reserved: every
	// grant has a refresh token. At most 64 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[!#-\\[\\]-~]+$')`,message="oauth.scopes[].name must be visible ASCII characters but for the double quote and the backslash, such as weather:read."
	// +kubebuilder:validation:XValidation:rule=`self != 'offline_access'`,message="oauth.scopes[].name must not be offline_access, because every grant has a refresh token without it."
	Name string `json:"name"`

	// description is what the consent page says that the client wants to do, such as
	// Read the forecast. At most 200 characters.
	//
	// When unset, the page shows the name, which users may not understand.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	Description string `json:"description,omitempty"`

	// allow says which users may have this scope: those for whom it is true. It is
	// CEL over claims and upstream, as access.rules[].expression is, and asked at
	// login and at each refresh. Who asks for more than they may have gets what they
	// may, and no access if that is nothing. A client that acts for itself
	// (client_credentials) is no user, and bounded by oauth.clients[].scopes alone. 1 to
	// 1024 characters.
	//
	// When unset, every user may.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Allow string `json:"allow,omitempty"`

	// onDemand says that clients are not told of this scope before they try something
	// that needs it: it is not in the challenge that a client without a token gets, nor
	// in the metadata of the routes, nor granted to a client that names no scope. Some
	// clients cannot ask for more later. A scope that a route requires is needed at
	// once, and suggested nevertheless.
	//
	// When unset, the scope is suggested from the start.
	//
	// +optional
	OnDemand bool `json:"onDemand,omitempty"`

	// tools are the tools that this scope lets clients call, on every route of MCP that
	// needs a token: names, in which each * stands for any characters, such as set_*. Who
	// calls one needs one of the scopes that name it, besides those that its route
	// requires: a scope includes another by naming what the other does. Of several that
	// would do, clients are told to ask for the first in oauth.scopes. Names are compared
	// as they are. At most 64, of at most 128 characters each.
	//
	// When unset, this scope names no tool.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	Tools []string `json:"tools,omitempty"`

	// prompts are the prompts that this scope lets clients get, as tools are tools. At
	// most 64, of at most 128 characters each.
	//
	// When unset, this scope names no prompt.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	Prompts []string `json:"prompts,omitempty"`

	// resources are the resources that this scope lets clients read and subscribe to:
	// URIs, in which each * stands for any characters, slashes too, such as
	// file:///reports/*. They are compared with percent-encoding decoded, and scheme and
	// host in lower case. A URI with a query, a fragment or a slash at its end also needs
	// what it needs without these, since some servers ignore them. Once any scope has
	// resources, a URI that could be read in more than one way is answered with 400, such
	// as one with a segment that is .., or with a host or port that URL libraries write in
	// another way. At most 64, of at most 256 characters each.
	//
	// When unset, this scope names no resource.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`self.all(p, p.matches('^[!-$&-\\[\\]-~]+$') && p.matches('^([*]|[A-Za-z][A-Za-z0-9+.-]*[:*])') && !p.matches('[:/]\\.\\.?([/;?#]|$)') && !p.matches('^[^:*]+:(//[^/?#]*/([^?#]*/)?/|/[^/?#*][^?#]*//)'))`,message="oauth.scopes[].resources must be URIs of visible ASCII characters but for the backslash and the percent sign, for which * can stand, and without segments that are empty, '.' or '..', such as file:///reports/*."
	// +kubebuilder:validation:XValidation:rule=`self.all(p, (p.matches('(?i)^file://[*]') || !p.matches('^[^:*]+://[^/?#]*(@|:(0[0-9]+)?([/?#]|$))')) && !p.matches('(?i)^((http|ws)://[^/?#]*:80|(https|wss)://[^/?#]*:443|ftp://[^/?#]*:21)([/?#]|$)'))`,message="oauth.scopes[].resources must have no user, no empty port, no default port, and no port with leading zeros."
	// +kubebuilder:validation:XValidation:rule=`self.all(p, (!p.matches('^[^:*]+://\\[') || [p.find('\\[[^\\]/?#]*').substring(1).lowerAscii()].all(a, isIP(a) && ip.isCanonical(a))) && (!p.matches('(?i)^(https?|wss?|ftp)://([^/?#:*]*[.])?([0-9]+|0x[0-9a-f]*)([:/?#]|$)') || isIP(p.find('//[^/?#:]*').replace('/', ''))))`,message="oauth.scopes[].resources must write IP addresses as URL libraries write them, such as https://127.0.0.1/* or https://[2001:db8::1]/*."
	// +kubebuilder:validation:XValidation:rule=`self.all(p, !p.matches('(?i)^(https?|wss?|ftp):') || p.matches('^\\w+:(/?[*]|//[^/?#]*[*/])') && p.matches('^\\w+:(/?[*]|//([\\w*]+((-+|[.])[\\w*]+)*|\\[[0-9a-fA-F:]+\\])(:[1-9*][0-9*]{0,4})?([/?#]|$))'))`,message="oauth.scopes[].resources must have, behind https:// and its like, a host of letters, digits, '.', '_' and '-' or an IP address, and a path, such as https://example.com/reports/*."
	// +kubebuilder:validation:XValidation:rule=`self.all(p, !p.matches('(?i)^file:') || p.matches('^\\w+:([*]|/[*]|//[*]|///([^/]|$))') && !p.matches('^\\w+:///[A-Za-z][|]([/?#*]|$)'))`,message="oauth.scopes[].resources must have a path behind file://, and in it a colon behind a drive letter, such as file:///C:/reports/*."
	Resources []string `json:"resources,omitempty"`

	// methods are the methods of JSON-RPC that this scope lets clients use, such as
	// logging/setLevel, or tasks/* for all that begin so. What a scope says of methods
	// holds besides what scopes say of tools, prompts and resources: a call needs one of
	// the scopes that name its method, and one of those that name its tool. At most 64,
	// of at most 128 characters each.
	//
	// When unset, this scope names no method.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:XValidation:rule=`self.all(m, m.matches('^[!-)+-~]+[*]?$'))`,message="oauth.scopes[].methods must be methods of JSON-RPC without blanks, such as logging/setLevel, or their beginning and a '*', such as tasks/*."
	Methods []string `json:"methods,omitempty"`
}
