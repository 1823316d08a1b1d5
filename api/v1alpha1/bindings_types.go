package v1alpha1

import (
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Bindings connect the gateway to what it needs.
type Bindings struct {
	// mcpObject is who serves MCP behind the gateway, on each route that does not have
	// an mcpObject of its own. It may be changed at any time; sessions that are open
	// then must be opened again.
	//
	// +required
	MCPObject MCPObject `json:"mcpObject"`

	// oauthKV is where registered clients and grants live.
	//
	// +required
	OAuthKV OAuthKV `json:"oauthKV"`
}

// SessionAffinity says what the gateways know of the backend's pods.
//
// +kubebuilder:validation:Enum=Session;None
type SessionAffinity string

// The kinds of SessionAffinity.
const (
	SessionAffinitySession SessionAffinity = "Session"
	SessionAffinityNone    SessionAffinity = "None"
)

// MCPObjectType says which member of MCPObject is set.
//
// +kubebuilder:validation:Enum=Service;URL
type MCPObjectType string

// The types of MCPObject.
const (
	MCPObjectService MCPObjectType = "Service"
	MCPObjectURL     MCPObjectType = "URL"
)

// MCPObject is who serves MCP: the member that type names is set.
//
// +kubebuilder:validation:XValidation:rule=`(self.type == 'Service') == has(self.service)`,fieldPath=".service",message="mcpObject.service must be set if, and only if, mcpObject.type is Service."
// +kubebuilder:validation:XValidation:rule=`(self.type == 'URL') == has(self.url)`,fieldPath=".url",message="mcpObject.url must be set if, and only if, mcpObject.type is URL."
// +kubebuilder:validation:XValidation:rule=`!has(self.tls) || self.type == 'Service'`,fieldPath=".tls",message="mcpObject.tls must not be set unless mcpObject.type is Service."
type MCPObject struct {
	// type is Service, or URL for a run without a cluster.
	//
	// +required
	// +unionDiscriminator
	Type MCPObjectType `json:"type"`

	// service is a Service in this MCPServer's namespace, whose pods serve MCP. They are
	// called as the appProtocol of the Service's port says: https, with TLS, in HTTP/2
	// if they offer it; kubernetes.io/h2c, in HTTP/2 without TLS; http, or anything else
	// or nothing, in HTTP/1.1 without TLS. kubernetes.io/wss is taken for https. Set for
	// type Service, unset for every other.
	//
	// +optional
	Service *ServicePort `json:"service,omitempty"`

	// sessionAffinity is which pods requests go to. Session: the gateways call the
	// Service's pods directly; each session stays with the pod that began it, whichever
	// gateway its requests come to, and ends with it; everything else goes to a ready pod
	// with little to do. For that, gateways may list and watch the EndpointSlices of this
	// namespace. None: they call the Service's name, as a mesh would have it; a session
	// then stays with its pod only if there is one, or if whatever is in between sees to
	// it. It is not used for type URL.
	//
	// When unset, Session.
	//
	// +optional
	// +kubebuilder:default=Session
	SessionAffinity SessionAffinity `json:"sessionAffinity,omitempty"`

	// tls has the pods called with TLS, whatever the Service's port says, and sets whom
	// to trust. {} is enough where a well-known authority has signed their certificate.
	//
	// When unset, the appProtocol of the Service's port decides, and the system's
	// authorities are trusted.
	//
	// +optional
	TLS *BackendTLS `json:"tls,omitempty"`

	// url is scheme, host and port of an MCP server on the machine where the gateway
	// runs: the host is localhost, 127.0.0.1 or [::1]. It is for kubectl vestibule
	// run: the controller in a cluster refuses it, because a pod's loopback is not
	// the developer's. Set for type URL, unset for every other. At most 64 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule=`self.matches('^https?://(localhost|127\\.0\\.0\\.1|\\[::1\\]):[1-9][0-9]{0,4}$')`,message="mcpObject.url must be scheme, one of the hosts localhost, 127.0.0.1 and [::1], and port, such as http://127.0.0.1:3000."
	URL string `json:"url,omitempty"`

	// identity says how the MCP server learns who calls it.
	//
	// When unset, it does not.
	//
	// +optional
	Identity *Identity `json:"identity,omitempty"`
}

// BackendTLS is how the certificate of a backend is judged.
type BackendTLS struct {
	// caBundleRef is a key of a ConfigMap in this namespace with the PEM certificates of
	// who may sign the backend's certificate, in place of the system's. When it changes,
	// the gateways are rolled.
	//
	// When unset, the system's authorities are trusted.
	//
	// +optional
	CABundleRef *KeyReference `json:"caBundleRef,omitempty"`

	// serverName is the name that must be in the certificate, and is sent to the backend
	// to choose one by. At most 253 characters.
	//
	// When unset, <service>.<namespace>.svc.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')`,message="mcpObject.tls.serverName must be a DNS name in lower case, such as weather.example.com."
	ServerName string `json:"serverName,omitempty"`
}

// ServicePort is one port of a Service.
type ServicePort struct {
	// name of the Service. At most 63 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// port is the name or the number of one of the Service's ports, the one in its
	// port, not in its targetPort. A Service with one port may not have named it:
	// that is what the number is for.
	//
	// +required
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=15
	// +kubebuilder:validation:Pattern=`^([0-9]+-)*[0-9]*[a-z](-?[a-z0-9])*$`
	// +kubebuilder:validation:XValidation:rule=`type(self) != int || self >= 1 && self <= 65535`,message="mcpObject.service.port must be the number of a port of the Service, from 1 to 65535, or its name, such as http."
	Port intstr.IntOrString `json:"port"`
}

// OAuthKVType says which member of OAuthKV is set.
//
// +kubebuilder:validation:Enum=Kubernetes;Etcd;Memory
type OAuthKVType string

// The types of OAuthKV.
const (
	OAuthKVKubernetes OAuthKVType = "Kubernetes"
	OAuthKVEtcd       OAuthKVType = "Etcd"
	OAuthKVMemory     OAuthKVType = "Memory"
)

// MigrationSource is a type of OAuthKV whose records can be copied.
//
// +kubebuilder:validation:Enum=Kubernetes;Etcd
type MigrationSource string

// The types of OAuthKV whose records can be copied.
const (
	MigrateFromKubernetes = MigrationSource(OAuthKVKubernetes)
	MigrateFromEtcd       = MigrationSource(OAuthKVEtcd)
)

// OAuthKV is where registered clients and grants live: the member that type
// names is set. Memory needs no settings and has no member.
//
// +kubebuilder:validation:XValidation:rule=`has(self.kubernetes) == (self.type == 'Kubernetes' || has(self.migrateFrom) && self.migrateFrom == 'Kubernetes')`,fieldPath=".kubernetes",message="bindings.oauthKV.kubernetes must be set, {} for the defaults, if, and only if, bindings.oauthKV.type or migrateFrom is Kubernetes."
// +kubebuilder:validation:XValidation:rule=`has(self.etcd) == (self.type == 'Etcd' || has(self.migrateFrom) && self.migrateFrom == 'Etcd')`,fieldPath=".etcd",message="bindings.oauthKV.etcd must be set if, and only if, bindings.oauthKV.type or migrateFrom is Etcd."
// +kubebuilder:validation:XValidation:rule=`!has(self.migrateFrom) || self.migrateFrom != self.type && self.type != 'Memory'`,fieldPath=".migrateFrom",message="bindings.oauthKV.migrateFrom must be the type that the store had before, not the one it has, and Memory is not moved to."
// +kubebuilder:validation:XValidation:rule=`self.type == oldSelf.type || has(self.migrateFrom) && self.migrateFrom == oldSelf.type && !has(oldSelf.migrateFrom) || !has(self.migrateFrom) && has(oldSelf.migrateFrom) && oldSelf.migrateFrom == self.type`,fieldPath=".type",message="bindings.oauthKV.type must not be changed without migrateFrom, which names the type before: every client and every login would be lost with the old store."
// +kubebuilder:validation:XValidation:rule=`!has(self.kubernetes) || !has(oldSelf.kubernetes) || self.kubernetes.kind == oldSelf.kubernetes.kind`,fieldPath=".kubernetes.kind",message="bindings.oauthKV.kubernetes.kind cannot be changed, since every client and every login is in objects of the old kind and would be lost: create a second MCPServer with the new kind instead."
// +kubebuilder:validation:XValidation:rule=`!has(self.etcd) || !has(oldSelf.etcd) || self.etcd.prefix == oldSelf.etcd.prefix`,fieldPath=".etcd.prefix",message="bindings.oauthKV.etcd.prefix cannot be changed, since every client and every login is under the old one and would be lost."
// +kubebuilder:validation:XValidation:rule=`!has(self.migrateFrom) || self.migrateFrom != 'Etcd' || !has(self.kubernetes) || self.kubernetes.minShards >= 16`,fieldPath=".kubernetes.minShards",message="bindings.oauthKV.kubernetes.minShards must be at least 16 to move records there from Etcd, which spreads them over 16."
type OAuthKV struct {
	// type is where the records are. Kubernetes keeps them in objects beside the
	// gateway, and they survive it. Etcd keeps them in an etcd of its own, for tens of
	// thousands of grants. Memory keeps them in the gateway's one process and loses
	// them with it: that is for trying things out, and it needs gateway.replicas to
	// be 1. It can be changed only together with migrateFrom.
	//
	// +required
	// +unionDiscriminator
	Type OAuthKVType `json:"type"`

	// migrateFrom is the type before, when type is changed. The gateways stop, the
	// first of the new ones copies all clients and grants, and then they serve: nobody
	// is signed out, and requests fail for the time that takes. The member of the old
	// type stays set meanwhile. When the condition OAuthKVBound says Migrated, remove
	// both. The shards of a Kubernetes store are then left for you to delete; what was
	// copied from an etcd expires there.
	//
	// To give up before that, set the old type again, without migrateFrom. After it the
	// old store is no more one to serve from, and gateways that are told to refuse and
	// say so in OAuthKVBound: to go back then is to move back, with migrateFrom.
	//
	// When unset, nothing is copied.
	//
	// +optional
	MigrateFrom MigrationSource `json:"migrateFrom,omitempty"`

	// kubernetes sets how records are spread over objects. Set for type Kubernetes,
	// where {} takes the defaults, unset for every other.
	//
	// +optional
	Kubernetes *KubernetesKV `json:"kubernetes,omitempty"`

	// etcd says which etcd to use, and how. It must be of version 3.5.13 or later, or
	// 3.4.31 or later of 3.4. Set for type Etcd, unset for every other.
	//
	// +optional
	Etcd *EtcdKV `json:"etcd,omitempty"`
}

// EtcdKV is an etcd of version 3.5.13 or later, or 3.4.31 or later of 3.4: those before
// say of watches that they are further than they are. It must never be the one that the
// Kubernetes cluster itself lives in: who can write there is its master.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.userSecretRef) || self.endpoints.all(e, e.startsWith('https:'))`,fieldPath=".endpoints",message="bindings.oauthKV.etcd.endpoints must be https when userSecretRef is set: the password would be everybody's on the way."
type EtcdKV struct {
	// endpoints are the URLs of its members: scheme, host and port. 1 to 9.
	//
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=9
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`self.all(e, e.matches('^https?://([a-z0-9._-]+|\\[[0-9a-f:]+\\]):[1-9][0-9]{0,4}$'))`,message="bindings.oauthKV.etcd.endpoints must be scheme, host and port, such as https://etcd-0.etcd.data.svc:2379."
	Endpoints []string `json:"endpoints"`

	// prefix is before the keys of all records, followed by the MCPServer's UID. A role
	// in etcd that allows reading and writing below it is enough for the gateway. It
	// begins with a slash and does not end in one. At most 128 characters. It cannot be
	// changed.
	//
	// When unset, /vestibule.
	//
	// +optional
	// +kubebuilder:default=/vestibule
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule=`self.matches('^(/[A-Za-z0-9._~-]+)+$') && !self.matches('/\\.\\.?(/|$)')`,message="bindings.oauthKV.etcd.prefix must begin with a slash, must not end in one, and must be made of segments of letters, digits, '.', '_', '~' and '-', none of which is empty, '.' or '..'."
	Prefix string `json:"prefix,omitempty"`

	// caBundleRef is the key of a ConfigMap in this MCPServer's namespace that holds
	// PEM certificates. etcd's certificate must lead to one of these, and those of the
	// system do not count.
	//
	// When unset, the system's certificates count.
	//
	// +optional
	CABundleRef *KeyReference `json:"caBundleRef,omitempty"`

	// tlsSecretRef is a Secret in this MCPServer's namespace, of the form of type
	// kubernetes.io/tls: its keys tls.crt and tls.key are the client certificate that
	// the gateway shows. Its label mcp.vestibule.dev/allowed-for is this MCPServer's
	// name, or any.
	//
	// When unset, it shows none.
	//
	// +optional
	TLSSecretRef *ObjectReference `json:"tlsSecretRef,omitempty"`

	// userSecretRef is a Secret in this MCPServer's namespace, of the form of type
	// kubernetes.io/basic-auth: its keys username and password are what the gateway
	// logs in with. Its label mcp.vestibule.dev/allowed-for is this MCPServer's name,
	// or any.
	//
	// When unset, it does not log in: who it is, a client certificate says, or nobody
	// asks.
	//
	// +optional
	UserSecretRef *ObjectReference `json:"userSecretRef,omitempty"`
}

// ObjectReference is an object in the namespace of the MCPServer. Of what kind it
// is, the field says.
type ObjectReference struct {
	// name of the object. At most 253 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
}

// ShardKind is a kind of object that can hold records.
//
// +kubebuilder:validation:Enum=Secret;ConfigMap
type ShardKind string

// The kinds of objects that can hold records.
const (
	ShardSecret    ShardKind = "Secret"
	ShardConfigMap ShardKind = "ConfigMap"
)

// KubernetesKV spreads records over objects, the shards. A write costs in
// proportion to its shard's size, so more shards make a large store faster, at
// the price of one watch per shard and replica.
//
// +kubebuilder:validation:XValidation:rule=`self.minShards <= self.maxShards`,fieldPath=".minShards",message="bindings.oauthKV.kubernetes.minShards must not be greater than maxShards."
type KubernetesKV struct {
	// kind of the shards. Records are encrypted in either; who may read Secrets is
	// guarded more closely in most clusters, and Secrets can be encrypted once more
	// at rest. It cannot be changed.
	//
	// When unset, Secret.
	//
	// +optional
	// +kubebuilder:default=Secret
	Kind ShardKind `json:"kind,omitempty"`

	// minShards is how many shards exist from the start, for clients and for grants
	// each. 1 to 1024. More of them save the rollouts by which shards are added later.
	// A lower number than there are shards removes none.
	//
	// When unset, 2: enough for the first hundred grants.
	//
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1024
	MinShards int32 `json:"minShards,omitempty"`

	// maxShards is up to how many shards are added, for clients and for grants each,
	// as the existing ones fill: three for each, with one rollout. minShards to 1024. A lower number than there are
	// shards removes none; it only stops more from being added.
	//
	// When unset, 256: enough for ten thousand grants.
	//
	// +optional
	// +kubebuilder:default=256
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1024
	MaxShards int32 `json:"maxShards,omitempty"`
}
