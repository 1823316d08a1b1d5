//go:build integration

package manifest_test

import (
	"fmt"
	"maps"
)

const etcd = "spec.bindings.oauthKV.etcd"

// inEtcd keeps the records in an etcd, with further edits.
func inEtcd(further edits) edits {
	all := edits{store: object{"type": "Etcd", "etcd": object{"endpoints": []any{"https://etcd:2379"}}}}
	maps.Copy(all, further)
	return all
}

var etcdRows = append([]row{
	{"no etcd for type Etcd", edits{store: object{"type": "Etcd"}}, "bindings.oauthKV.etcd must be set if"},
	{"kubernetes for type Etcd", edits{store + ".type": "Etcd", etcd: object{"endpoints": []any{"https://etcd:2379"}}}, "bindings.oauthKV.kubernetes must be set, {} for the defaults, if"},
	{"etcd for type Kubernetes", edits{etcd: object{"endpoints": []any{"https://etcd:2379"}}}, "bindings.oauthKV.etcd must be set if"},
	{"Etcd with everything", inEtcd(edits{
		etcd + ".endpoints": []any{"https://etcd-0.etcd.data.svc:2379", "https://[fd00::1]:2379"}, etcd + ".prefix": "/a/b",
		etcd + ".caBundleRef": object{"name": "ca", "key": "ca.pem"}, etcd + ".tlsSecretRef": object{"name": "tls"}, etcd + ".userSecretRef": object{"name": "user"},
	}), ""},
	{"an etcd without endpoints", inEtcd(edits{etcd + ".endpoints": []any{}}), "should have at least 1 items"},
	{"an endpoint without a port", inEtcd(edits{etcd + ".endpoints": []any{"https://etcd"}}), "bindings.oauthKV.etcd.endpoints must be scheme, host and port"},
	{"an endpoint with a path", inEtcd(edits{etcd + ".endpoints": []any{"https://etcd:2379/"}}), "bindings.oauthKV.etcd.endpoints must be scheme, host and port"},
	{"a password in the clear", inEtcd(edits{etcd + ".endpoints": []any{"http://etcd:2379"}, etcd + ".userSecretRef": object{"name": "user"}}), "bindings.oauthKV.etcd.endpoints must be https when userSecretRef is set"},
	{"no password in the clear", inEtcd(edits{etcd + ".endpoints": []any{"http://etcd:2379"}}), ""},
	{"an etcd without any", inEtcd(edits{etcd: object{}}), etcd + ".endpoints: Required value"},
	{"ten endpoints", inEtcd(edits{etcd + ".endpoints": many(10, texts("https://etcd-%d:2379"))}), "must have at most 9 items"},
	{"an endpoint twice", inEtcd(edits{etcd + ".endpoints": []any{"https://etcd:2379", "https://etcd:2379"}}), "Duplicate value"},
	{"a long endpoint", inEtcd(edits{etcd + ".endpoints": []any{"https://" + long(250) + ":2379"}}), "Too long"},
	{"a long prefix", inEtcd(edits{etcd + ".prefix": "/" + long(128)}), "Too long"},
	{"a prefix that ends in a slash", inEtcd(edits{etcd + ".prefix": "/a/"}), "bindings.oauthKV.etcd.prefix must begin with a slash"},
	{"a prefix with dot segments", inEtcd(edits{etcd + ".prefix": "/a/.."}), "bindings.oauthKV.etcd.prefix must begin with a slash"},
	{"moving from the same type", edits{store + ".migrateFrom": "Kubernetes"}, "bindings.oauthKV.migrateFrom must be the type that the store had before"},
	{"moving from Memory", edits{store + ".migrateFrom": "Memory"}, `supported values: "Kubernetes", "Etcd"`},
	{"moving to Memory", edits{store + ".type": "Memory", store + ".migrateFrom": "Kubernetes", "spec.gateway.replicas": 1}, "Memory is not moved to."},
	{"moving from Etcd to few shards", edits{store + ".migrateFrom": "Etcd", etcd: object{"endpoints": []any{"https://etcd:2379"}}, shards + ".minShards": 15}, "bindings.oauthKV.kubernetes.minShards must be at least 16"},
}, refers(inEtcd(nil))...)

// refers has the ways in which references of an etcd can be wrong.
func refers(e edits) []row {
	var rows []row
	refuse := func(field string, reference object, refused string) {
		with := maps.Clone(e)
		with[etcd+"."+field] = reference
		rows = append(rows, row{fmt.Sprintf("etcd.%s %v", field, reference), with, refused})
	}
	for _, field := range []string{"caBundleRef", "tlsSecretRef", "userSecretRef"} {
		reference := func(name any) object {
			o := object{"name": name}
			if field == "caBundleRef" {
				o["key"] = "ca.pem"
			}
			return o
		}
		without := reference("a")
		delete(without, "name")
		refuse(field, without, field+".name: Required value")
		refuse(field, reference(long(254)), "Too long")
		refuse(field, reference("A"), "should match")
	}
	refuse("caBundleRef", object{"name": "a"}, "caBundleRef.key: Required value")
	refuse("caBundleRef", object{"name": "a", "key": long(254)}, "Too long")
	refuse("caBundleRef", object{"name": "a", "key": "a b"}, "should match")
	return rows
}
