//go:build integration

package manifest_test

import (
	"fmt"
	"slices"
	"strings"
)

// long returns n characters that a name may have.
func long(n int) string { return strings.Repeat("a", n) }

// many returns what each makes of 1 to n.
func many(n int, each func(i int) any) []any {
	list := make([]any, n)
	for i := range list {
		list[i] = each(i + 1)
	}
	return list
}

func texts(format string) func(int) any {
	return func(i int) any { return fmt.Sprintf(format, i) }
}

type object = map[string]any

var metadataRows = []row{
	{"the sample", nil, ""},
	{"a name of 40 characters", edits{"metadata.name": long(40)}, ""},
	{"a name of 41 characters", edits{"metadata.name": long(41)}, "metadata.name must be at most 40 lower case letters"},
	{"a name with a dot", edits{"metadata.name": "weather.example"}, "metadata.name must be at most 40 lower case letters"},
	{"the name that stands for all", edits{"metadata.name": "any"}, "metadata.name must not be any"},
	{"a name that begins with a digit", edits{"metadata.name": "9lives"}, "metadata.name must be at most 40 lower case letters"},
	{"a name that Kubernetes refuses", edits{"metadata.name": "Weather"}, "a lowercase RFC 1123 subdomain must consist of"},
	{"a label that Kubernetes refuses", edits{"metadata.labels": object{"a b": "c"}}, "metadata.labels: Invalid value"},
	{"an unknown field of the metadata", edits{"metadata.colour": "red"}, `unknown field "metadata.colour"`},
	{"an unknown field", edits{"spec.colour": "red"}, `unknown field "spec.colour"`},
	{"an unknown field of an item", edits{"spec.routes[0].colour": "red"}, `unknown field "spec.routes[0].colour"`},
	{"an unknown field beside spec", edits{"colour": "red"}, `unknown field "colour"`},
	{"a status, which is not the file's to write", edits{"status.url": "https://elsewhere.example"}, ""},
	{"no spec", edits{"spec": nil}, "spec: Required value"},
	{"a spec that is no object", edits{"spec": "none"}, "must be of type object"},
	{"a null where there is a default", edits{"spec.gateway": object{"replicas": nil}}, ""},
	{"everything that can be left out left out", edits{
		"spec.oauth": nil, "spec.access": nil, "spec.gateway": nil, "spec.routes[0].requiredScopes": nil,
		"spec.bindings.oauthKV.kubernetes": object{}, "spec.upstreams[0].oidc.clientSecretRef": nil, "spec.upstreams[0].oidc.scopes": nil,
	}, ""},
}

const (
	urlAbsolute  = "publicURL must be an absolute URL"
	urlHTTPS     = "publicURL must be https"
	urlBare      = "publicURL must have no user, query, fragment or trailing slash."
	urlCanonical = "publicURL must be written as URL libraries write it"
)

var publicURLRows = []row{
	publicURL("https://weather.example.com:8443", ""),
	publicURL("https://example.com/weather/v1.0_a~b-c", ""),
	publicURL("https://example.com/.weather/..a", ""),
	publicURL("https://weather.example.com:4430", ""),
	publicURL("http://localhost:8080", ""),
	publicURL("http://localhost:8788", ""),
	publicURL("http://127.0.0.1:8788", ""),
	publicURL("http://127.0.0.1/a", ""),
	publicURL("http://[::1]:8788", ""),
	publicURL("https://[2001:db8::1]", ""),
	publicURL("https://weather.example.com/"+long(256-28), ""),
	publicURL("https://weather.example.com/"+long(257-28), "Too long"),
	publicURL("", urlAbsolute),
	publicURL("weather.example.com", urlAbsolute),
	publicURL("/mcp", urlAbsolute),
	publicURL("https:///mcp", urlAbsolute),
	publicURL("ftp://weather.example.com", urlAbsolute),
	publicURL("https://weather example.com", urlAbsolute),
	publicURL("http://weather.example.com", urlHTTPS),
	publicURL("http://127.0.0.1.example.com", urlHTTPS),
	publicURL("http://localhost.example.com", urlHTTPS),
	publicURL("http://10.0.0.1", urlHTTPS),
	publicURL("http://127.1.2.3", urlHTTPS),
	publicURL("http://localhost:8788@example.com", urlBare),
	publicURL("https://weather.example.com/", urlBare),
	publicURL("https://weather.example.com/a/", urlBare),
	publicURL("https://weather.example.com?a=b", urlBare),
	publicURL("https://weather.example.com?", urlBare),
	publicURL("https://weather.example.com#a", urlBare),
	publicURL("https://alice@weather.example.com", urlBare),
	publicURL("https://Weather.example.com", urlCanonical),
	publicURL("HTTPS://weather.example.com", urlCanonical),
	publicURL("https://weather.example.com:443", urlCanonical),
	publicURL("https://weather.example.com:443/a", urlCanonical),
	publicURL("http://localhost:80", urlCanonical),
	publicURL("https://weather.example.com:", urlCanonical),
	publicURL("https://wetter.exämple.com", urlCanonical),
	publicURL("https://weather.example.com/a//b", urlCanonical),
	publicURL("https://weather.example.com/a/../b", urlCanonical),
	publicURL("https://weather.example.com/.", urlCanonical),
	publicURL("https://weather.example.com/a%20b", urlCanonical),
	{"no publicURL", edits{"spec.publicURL": nil}, "spec.publicURL: Required value"},
	{"a publicURL that is no string", edits{"spec.publicURL": 8788}, "must be of type string"},
}

func publicURL(url, refused string) row {
	return row{"publicURL " + url, edits{"spec.publicURL": url}, refused}
}

const (
	backend   = "spec.bindings.mcpObject"
	store     = "spec.bindings.oauthKV"
	shards    = "spec.bindings.oauthKV.kubernetes"
	noMatch   = "should match"
	portFalse = "mcpObject.service.port must be"
	urlFalse  = "mcpObject.url must be scheme, one of the hosts"
)

// objectRows are of bindings.mcpObject, which a route's own is like.
var objectRows = []row{
	{"no type of mcpObject", edits{backend + ".type": nil}, backend + ".type: Required value"},
	{"an unknown type of mcpObject", edits{backend + ".type": "Pod"}, `supported values: "Service", "URL"`},
	{"an unknown sessionAffinity", edits{backend + ".sessionAffinity": "ClientIP"}, `supported values: "Session", "None"`},
	{"no sessionAffinity", edits{backend + ".sessionAffinity": "None"}, ""},
	{"no service for type Service", edits{backend + ".service": nil}, "mcpObject.service must be set if"},
	{"a service for type URL", edits{backend + ".type": "URL", backend + ".url": "http://127.0.0.1:3000"}, "mcpObject.service must be set if"},
	{"no url for type URL", edits{backend: object{"type": "URL"}}, "mcpObject.url must be set if"},
	{"a url for type Service", edits{backend + ".url": "http://127.0.0.1:3000"}, "mcpObject.url must be set if"},
	{"no name of the service", edits{backend + ".service.name": nil}, backend + ".service.name: Required value"},
	{"a service name of 63 characters", edits{backend + ".service.name": long(63)}, ""},
	{"a service name of 64 characters", edits{backend + ".service.name": long(64)}, "Too long"},
	{"a service name with a dot", edits{backend + ".service.name": "weather.other"}, "should match"},
	{"no port of the service", edits{backend + ".service.port": nil}, backend + ".service.port: Required value"},
	port(1, ""), port(65535, ""), port("http", ""), port("a-2", ""), port(long(15), ""),
	port("1-2a", ""), port("8-0-b", ""),
	port(0, portFalse), port(65536, portFalse), port(long(16), "Too long"), port("", noMatch), port("80", noMatch), port("8-0", noMatch), port("HTTP", noMatch),
	port("a--b", noMatch), port("1--a", noMatch), port("-a", noMatch), port("a-", noMatch), port(true, "must be of type"),
	backendURL("http://127.0.0.1:3000", ""), backendURL("http://localhost:3000", ""), backendURL("https://[::1]:3000", ""),
	backendURL("http://127.0.0.1", urlFalse), backendURL("http://127.0.0.1:3000/", urlFalse),
	backendURL("http://127.0.0.1:3000/mcp", urlFalse), backendURL("http://127.0.0.1:3000?a=b", urlFalse),
	backendURL("http://alice@127.0.0.1:3000", urlFalse), backendURL("http://weather.example.com:3000", urlFalse),
	backendURL("http://10.0.0.1:3000", urlFalse), backendURL("http://localhost.example.com:3000", urlFalse), backendURL("ftp://127.0.0.1:3000", urlFalse), backendURL("", urlFalse),
	backendURL("http://127.0.0.1:"+strings.Repeat("3", 64-17), urlFalse), backendURL("http://127.0.0.1:"+strings.Repeat("3", 65-17), "Too long"),

	{"TLS to the backend", edits{backend + ".tls": object{}}, ""},
	{"TLS to the backend, and whom to trust", edits{backend + ".tls": object{"serverName": "weather.example.com", "caBundleRef": object{"name": "ca", "key": "ca.crt"}}}, ""},
	{"TLS for type URL", edits{backend: object{"type": "URL", "url": "http://127.0.0.1:3000", "tls": object{}}}, "mcpObject.tls must not be set unless"},
	{"a server name that is none", edits{backend + ".tls": object{"serverName": "Weather"}}, "mcpObject.tls.serverName must be a DNS name"},
	{"a server name with a port", edits{backend + ".tls": object{"serverName": "weather:443"}}, "mcpObject.tls.serverName must be a DNS name"},
	{"an empty server name", edits{backend + ".tls": object{"serverName": ""}}, "mcpObject.tls.serverName must be a DNS name"},
	{"a server name of 253 characters", edits{backend + ".tls": object{"serverName": long(253)}}, ""},
	{"a server name of 254 characters", edits{backend + ".tls": object{"serverName": long(254)}}, "Too long"},
	{"a CA bundle without a name", edits{backend + ".tls": object{"caBundleRef": object{"key": "ca.crt"}}}, backend + ".tls.caBundleRef.name: Required value"},
	{"a CA bundle without a key", edits{backend + ".tls": object{"caBundleRef": object{"name": "ca"}}}, backend + ".tls.caBundleRef.key: Required value"},
	{"a CA bundle of a name that is none", edits{backend + ".tls": object{"caBundleRef": object{"name": "CA", "key": "ca.crt"}}}, "should match"},
	{"a CA bundle of a key that is none", edits{backend + ".tls": object{"caBundleRef": object{"name": "ca", "key": "a/b"}}}, "should match"},
	{"a CA bundle of a name of 254 characters", edits{backend + ".tls": object{"caBundleRef": object{"name": long(254), "key": "ca.crt"}}}, "Too long"},
	{"a CA bundle of a key of 254 characters", edits{backend + ".tls": object{"caBundleRef": object{"name": "ca", "key": long(254)}}}, "Too long"},
}

// ownObjectRows are the same mistakes in a route's mcpObject.
func ownObjectRows() []row {
	const own = "spec.routes[0].mcpObject"
	var rows []row
	for _, r := range slices.Concat(objectRows, identityRows) {
		moved := edits{own: object{"type": "Service", "service": object{"name": "own", "port": 8080}}}
		for path, value := range r.edits {
			moved[strings.Replace(path, backend, own, 1)] = value
		}
		rows = append(rows, row{"of a route: " + r.name, moved, strings.Replace(r.refused, backend, own, 1)})
	}
	return rows
}

var bindingRows = []row{
	{"no bindings", edits{"spec.bindings": nil}, "spec.bindings: Required value"},
	{"no mcpObject", edits{backend: nil}, backend + ": Required value"},
	{"no oauthKV", edits{store: nil}, store + ": Required value"},
	{"no type of oauthKV", edits{store + ".type": nil}, store + ".type: Required value"},
	{"an unknown type of oauthKV", edits{store + ".type": "Redis"}, `supported values: "Kubernetes", "Etcd", "Memory"`},
	{"no kubernetes for type Kubernetes", edits{shards: nil}, "bindings.oauthKV.kubernetes must be set, {} for the defaults, if"},
	{"kubernetes for type Memory", edits{store + ".type": "Memory", "spec.gateway.replicas": 1}, "bindings.oauthKV.kubernetes must be set, {} for the defaults, if"},
	{"Memory and one replica", edits{store: object{"type": "Memory"}, "spec.gateway.replicas": 1}, ""},
	{"Memory and two replicas", edits{store: object{"type": "Memory"}, "spec.gateway.replicas": 2}, "gateway.replicas must be 1 when"},
	{"Memory and the default replicas", edits{store: object{"type": "Memory"}}, "gateway.replicas must be 1 when"},
	{"shards that are ConfigMaps", edits{shards + ".kind": "ConfigMap"}, ""},
	{"shards of another kind", edits{shards + ".kind": "Lease"}, `supported values: "Secret", "ConfigMap"`},
	{"the fewest shards", edits{shards + ".minShards": 1, shards + ".maxShards": 1}, ""},
	{"the most shards", edits{shards + ".minShards": 1024, shards + ".maxShards": 1024}, ""},
	{"minShards too low", edits{shards + ".minShards": 0}, "should be greater than or equal to 1"},
	{"minShards too high", edits{shards + ".minShards": 1025}, "should be less than or equal to 1024"},
	{"maxShards too low", edits{shards + ".maxShards": 0}, "should be greater than or equal to 1"},
	{"maxShards too high", edits{shards + ".maxShards": 1025}, "should be less than or equal to 1024"},
	{"minShards above maxShards", edits{shards + ".minShards": 9, shards + ".maxShards": 8}, "bindings.oauthKV.kubernetes.minShards must not be greater than maxShards."},
	{"minShards above the default maxShards", edits{shards + ".minShards": 257}, "bindings.oauthKV.kubernetes.minShards must not be greater than maxShards."},
}

func port(value any, refused string) row {
	return row{fmt.Sprintf("port %#v", value), edits{backend + ".service.port": value}, refused}
}

func backendURL(url, refused string) row {
	return row{"mcpObject.url " + url, edits{backend: object{"type": "URL", "url": url}}, refused}
}

const (
	typeFixed  = "bindings.oauthKV.type must not be changed without migrateFrom"
	prefixMove = "bindings.oauthKV.etcd.prefix cannot be changed"
	kindFixed  = "bindings.oauthKV.kubernetes.kind cannot be changed"
)

var moving = edits{store + ".type": "Etcd", store + ".migrateFrom": "Kubernetes", etcd: object{"endpoints": []any{"https://etcd:2379"}}}

var memory = edits{store: object{"type": "Memory"}, "spec.gateway.replicas": 1}

var changes = []change{
	{"nothing", nil, nil, ""},
	{"publicURL to another", nil, edits{"spec.publicURL": "https://other.example.com"}, "publicURL cannot be changed"},
	{"publicURL removed", nil, edits{"spec.publicURL": nil}, "spec.publicURL: Required value"},
	{"store from Kubernetes to Memory", nil, memory, typeFixed},
	{"store from Memory to Kubernetes", memory, nil, typeFixed},
	{"store from Kubernetes to Etcd and nothing copied", nil, inEtcd(nil), typeFixed},
	{"store from Kubernetes to Etcd", nil, moving, ""},
	{"and it is done", moving, inEtcd(nil), ""},
	{"and it is done, but kubernetes stays", moving, edits{store + ".type": "Etcd", etcd: object{"endpoints": []any{"https://etcd:2379"}}}, "bindings.oauthKV.kubernetes must be set"},
	{"and it is given up", moving, nil, ""},
	{"and it is turned round in the middle", moving, edits{store + ".migrateFrom": "Etcd", etcd: object{"endpoints": []any{"https://etcd:2379"}}}, typeFixed},
	{"store from Etcd to Kubernetes", inEtcd(nil), edits{store + ".migrateFrom": "Etcd", etcd: object{"endpoints": []any{"https://etcd:2379"}}, shards + ".minShards": 16}, ""},
	{"store from Etcd to Kubernetes, with as few shards as by default", inEtcd(nil), edits{store + ".migrateFrom": "Etcd", etcd: object{"endpoints": []any{"https://etcd:2379"}}}, "bindings.oauthKV.kubernetes.minShards must be at least 16"},
	{"store from Etcd to Memory", inEtcd(nil), memory, typeFixed},
	{"another prefix", inEtcd(nil), inEtcd(edits{etcd + ".prefix": "/elsewhere"}), prefixMove},
	{"another endpoint", inEtcd(nil), inEtcd(edits{etcd + ".endpoints": []any{"https://etcd-1:2379"}}), ""},
	{"kubernetes set beside Memory", memory, edits{store + ".type": "Memory", "spec.gateway.replicas": 1}, "bindings.oauthKV.kubernetes must be set"},
	{"kubernetes removed from Kubernetes", nil, edits{shards: nil}, "bindings.oauthKV.kubernetes must be set"},
	{"kind from Secret to ConfigMap", nil, edits{shards + ".kind": "ConfigMap"}, kindFixed},
	{"kind from unset to ConfigMap", edits{shards + ".kind": nil}, edits{shards + ".kind": "ConfigMap"}, kindFixed},
	{"kind from ConfigMap to unset", edits{shards + ".kind": "ConfigMap"}, edits{shards + ".kind": nil}, kindFixed},
	{"kind from ConfigMap to nothing set at all", edits{shards + ".kind": "ConfigMap"}, edits{shards: object{}}, kindFixed},
	{"kind from unset to Secret, which it was", edits{shards: object{}}, edits{shards + ".kind": "Secret"}, ""},
	{"kind from Secret to unset", edits{shards + ".kind": "Secret"}, edits{shards: object{}}, ""},
	{"minShards raised", nil, edits{shards + ".minShards": 17}, ""},
	{"minShards lowered", edits{shards + ".minShards": 32}, edits{shards + ".minShards": 31}, ""},
	{"minShards from more to unset", edits{shards + ".minShards": 17}, nil, ""},
	{"maxShards lowered", nil, edits{shards + ".maxShards": 16}, ""},
	{"maxShards lowered below minShards", nil, edits{shards + ".maxShards": 1}, "bindings.oauthKV.kubernetes.minShards must not be greater than maxShards."},
	{"backend to another", nil, edits{backend + ".service": object{"name": "other", "port": 8080}}, ""},
	{"backend from Service to URL", nil, edits{backend: object{"type": "URL", "url": "http://127.0.0.1:3000"}}, ""},
	{"access removed", nil, edits{"spec.access": nil}, ""},
	{"access removed from an upstream of everybody", edits{oidc + ".issuerURL": google}, edits{oidc + ".issuerURL": google, "spec.access": nil}, "access must be set"},
	{"upstream to that of everybody, without access", edits{"spec.access": nil}, edits{"spec.access": nil, oidc + ".issuerURL": google}, "access must be set"},
	{"a scope removed that a route requires", nil, edits{"spec.oauth.scopes": nil}, "routes[].requiredScopes must name scopes"},
	{"gateway removed, and with it the one replica of Memory", memory, edits{store: object{"type": "Memory"}}, "gateway.replicas must be 1 when"},
	{"a path to another", nil, edits{"spec.routes[0].path": "/other"}, ""},
}
