//go:build integration

package manifest_test

import "fmt"

const (
	httpRoute   = "spec.gateway.httpRoute"
	ingress     = "spec.gateway.ingress"
	podMonitor  = "spec.gateway.podMonitor"
	labelsFalse = "labels must be labels as Kubernetes has them"
	keysFalse   = "annotations must have keys as Kubernetes has them"
	hostFalse   = "publicURL must be https and have a host name of the DNS if"
	parentFalse = "gateway.httpRoute.parentRefs must have names as Kubernetes has them"
)

// What leads to the gateway from outside, and to its metrics.
var exposureRows = []row{
	{"a PodMonitor", edits{podMonitor: object{}}, ""},
	{"a PodMonitor without metrics", edits{podMonitor: object{}, "spec.gateway.metrics": "Disabled"}, "gateway.podMonitor must be unset unless"},
	{"intervalSeconds of 4", edits{podMonitor: object{"intervalSeconds": 4}}, "should be greater than or equal to 5"},
	{"intervalSeconds of 3600", edits{podMonitor: object{"intervalSeconds": 3600}}, ""},
	{"intervalSeconds of 3601", edits{podMonitor: object{"intervalSeconds": 3601}}, "should be less than or equal to 3600"},

	{"an HTTPRoute", edits{httpRoute: parents(object{"name": "public"})}, ""},
	{"an HTTPRoute to a listener", edits{httpRoute: parents(object{"name": "public", "namespace": "infra", "sectionName": "https", "port": 443}, object{"name": "a.b-c"})}, ""},
	{"an HTTPRoute without parents", edits{httpRoute: object{}}, "spec.gateway.httpRoute.parentRefs: Required value"},
	{"an HTTPRoute with no parent", edits{httpRoute: parents()}, "should have at least 1 items"},
	{"8 parents", edits{httpRoute: object{"parentRefs": many(8, gateways)}}, ""},
	{"9 parents", edits{httpRoute: object{"parentRefs": many(9, gateways)}}, "Too many"},
	{"a parent twice", edits{httpRoute: parents(object{"name": "public"}, object{"name": "public"})}, "gateway.httpRoute.parentRefs must be different"},
	{"a parent without a name", edits{httpRoute: parents(object{"port": 443})}, "parentRefs[0].name: Required value"},
	{"a parent of 254 characters", edits{httpRoute: parents(object{"name": long(254)})}, "Too long"},
	{"a parent that is none", edits{httpRoute: parents(object{"name": "Public"})}, parentFalse},
	{"a parent in a namespace that is none", edits{httpRoute: parents(object{"name": "public", "namespace": "in.fra"})}, parentFalse},
	{"a parent in a long namespace", edits{httpRoute: parents(object{"name": "public", "namespace": long(64)})}, "Too long"},
	{"a listener that is none", edits{httpRoute: parents(object{"name": "public", "sectionName": "a/b"})}, parentFalse},
	{"a long listener", edits{httpRoute: parents(object{"name": "public", "sectionName": long(254)})}, "Too long"},
	{"port 0 of a parent", edits{httpRoute: parents(object{"name": "public", "port": 0})}, "should be greater than or equal to 1"},
	{"port 65536 of a parent", edits{httpRoute: parents(object{"name": "public", "port": 65536})}, "should be less than or equal to 65535"},

	{"an Ingress", edits{ingress: object{}}, ""},
	{"an Ingress of a class", edits{ingress: object{"className": "nginx", "tls": object{"secretName": "weather-tls"}}}, ""},
	{"a class that is none", edits{ingress: object{"className": "Nginx"}}, "gateway.ingress.className must be a name"},
	{"a long class", edits{ingress: object{"className": long(254)}}, "Too long"},
	{"tls without a Secret", edits{ingress: object{"tls": object{}}}, "spec.gateway.ingress.tls.secretName: Required value"},
	{"tls with a Secret that is none", edits{ingress: object{"tls": object{"secretName": "a_b"}}}, "gateway.ingress.tls.secretName must be a name"},
	{"tls with a long Secret", edits{ingress: object{"tls": object{"secretName": long(254)}}}, "Too long"},
	{"an HTTPRoute and an Ingress", edits{httpRoute: parents(object{"name": "public"}), ingress: object{}}, "gateway.ingress must be unset if gateway.httpRoute is set"},

	exposed("https://mcp.example.com:8443/team/weather", ""), exposed("https://a-b.c1", ""),
	exposed("http://localhost:8788", hostFalse), exposed("https://localhost", hostFalse), exposed("https://127.0.0.1:8443/a", hostFalse),
	exposed("https://192.0.2.1", hostFalse), exposed("https://[2001:db8::1]", hostFalse), exposed("https://a_b.example.com", hostFalse),
	{"an Ingress on loopback", edits{ingress: object{}, "spec.publicURL": "http://127.0.0.1:8788"}, hostFalse},
}

func init() {
	for _, field := range []string{podMonitor, httpRoute, ingress} {
		labelled := func(labels object, refused string) {
			of := parents(object{"name": "public"})
			if field != httpRoute {
				of = object{}
			}
			of["labels"] = labels
			exposureRows = append(exposureRows, row{fmt.Sprintf("%s.labels %.80v", field, labels), edits{field: of}, refused})
		}
		labelled(object{"release": "prometheus", "example.com/team": "", "A_b.c": "1"}, "")
		labelled(pairs(16), "")
		labelled(pairs(17), "Too many")
		labelled(object{"a": long(63)}, "")
		labelled(object{"a": long(64)}, "Too long")
		labelled(object{"a b": "c"}, labelsFalse)
		labelled(object{"a": "b c"}, labelsFalse)
		labelled(object{"app.kubernetes.io/name": "else"}, labelsFalse)
	}
	for _, field := range []string{httpRoute, ingress} {
		annotated := func(annotations object, refused string) {
			of := parents(object{"name": "public"})
			if field != httpRoute {
				of = object{}
			}
			of["annotations"] = annotations
			exposureRows = append(exposureRows, row{fmt.Sprintf("%s.annotations %.80v", field, annotations), edits{field: of}, refused})
		}
		annotated(object{"cert-manager.io/cluster-issuer": "public", "a": "b c: d\n"}, "")
		annotated(pairs(16), "")
		annotated(pairs(17), "Too many")
		annotated(object{"a": long(4096)}, "")
		annotated(object{"a": long(4097)}, "Too long")
		annotated(object{"a b": "c"}, keysFalse)
	}
}

func parents(refs ...any) object { return object{"parentRefs": append([]any{}, refs...)} }

func gateways(i int) any { return object{"name": fmt.Sprintf("g%d", i)} }

func exposed(publicURL, refused string) row {
	return row{"an HTTPRoute for " + publicURL, edits{httpRoute: parents(object{"name": "public"}), "spec.publicURL": publicURL}, refused}
}

// pairs are n labels.
func pairs(n int) object {
	o := object{}
	for i := range n {
		o[fmt.Sprintf("l%d", i)] = "v"
	}
	return o
}
