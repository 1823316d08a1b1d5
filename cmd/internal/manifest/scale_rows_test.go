//go:build integration

package manifest_test

const (
	autoscaling   = "spec.gateway.autoscaling"
	networkPolicy = "spec.gateway.networkPolicy"
)

// scaleRows are of how many pods there are, and who may connect to them.
var scaleRows = append(append([]row{
	scale("between two numbers", object{"minReplicas": 2, "maxReplicas": 6, "targetCPUUtilizationPercentage": 150}, ""),
	scale("up to a number", object{"maxReplicas": 2}, ""),
	scale("with the same number twice", object{"minReplicas": 32, "maxReplicas": 32}, ""),
	scale("without a maximum", object{}, "maxReplicas: Required value"),
	scale("down from more than there may be", object{"minReplicas": 3, "maxReplicas": 2}, "gateway.autoscaling.minReplicas must not be above maxReplicas."),
	scale("from none", object{"minReplicas": 0, "maxReplicas": 2}, "should be greater than or equal to 1"),
	scale("to none", object{"minReplicas": 1, "maxReplicas": 0}, "should be greater than or equal to 1"),
	scale("from too many", object{"minReplicas": 33, "maxReplicas": 32}, "should be less than or equal to 32"),
	scale("to too many", object{"maxReplicas": 33}, "should be less than or equal to 32"),
	scale("by no use", object{"maxReplicas": 3, "targetCPUUtilizationPercentage": 0}, "should be greater than or equal to 1"),
	scale("by too much use", object{"maxReplicas": 3, "targetCPUUtilizationPercentage": 1001}, "should be less than or equal to 1000"),
	{"autoscaling with a memory of its own", edits{store: object{"type": "Memory"}, "spec.gateway.replicas": 1, autoscaling: object{"minReplicas": 1, "maxReplicas": 1}}, "gateway.autoscaling must not be set when"},

	{"a network policy without peers", edits{networkPolicy: object{}}, "spec.gateway.networkPolicy.ingressFrom: Required value"},
	{"no metrics, and somebody to read them", edits{"spec.gateway.metrics": "Disabled", networkPolicy: object{
		"ingressFrom": []any{object{"podSelector": object{}}}, "metricsFrom": []any{object{"podSelector": object{}}},
	}}, "gateway.networkPolicy.metricsFrom must not be set where"},
	{"no peer", edits{networkPolicy: object{"ingressFrom": []any{}}}, "should have at least 1 items"},
}, peers("ingressFrom")...), peers("metricsFrom")...)

func scale(name string, value object, refused string) row {
	return row{"autoscaling " + name, edits{autoscaling: value}, refused}
}

// peers are the rows of a list of peers.
func peers(field string) []row {
	each := func(name, refused string, peers ...any) row {
		policy := object{"ingressFrom": []any{object{"podSelector": object{}}}}
		policy[field] = peers
		return row{field + " " + name, edits{networkPolicy: policy}, refused}
	}
	selector := object{"matchExpressions": []any{object{}}}
	const kind, cidr, except = "gateway.networkPolicy must have in each peer", "ipBlock.cidr must be a CIDR", "ipBlock.except must be CIDRs"
	return []row{
		each("namespaces", "", object{"namespaceSelector": object{"matchLabels": object{"kubernetes.io/metadata.name": "ingress"}}}),
		each("pods of namespaces", "", object{"namespaceSelector": object{}, "podSelector": object{"matchLabels": object{"app": "proxy"}}}),
		each("addresses", "", object{"ipBlock": object{"cidr": "10.0.0.0/8", "except": []any{"10.1.0.0/16"}}}, object{"ipBlock": object{"cidr": "2001:db8::/32"}}),
		each("many", "", many(16, func(int) any { return object{"podSelector": object{}} })...),
		each("too many", "Too many", many(17, func(int) any { return object{"podSelector": object{}} })...),
		each("nobody", kind, object{}),
		each("pods with addresses", kind, object{"podSelector": object{}, "ipBlock": object{"cidr": "10.0.0.0/8"}}),
		each("an address", cidr, object{"ipBlock": object{"cidr": "10.0.0.1"}}),
		each("all but an address", except, object{"ipBlock": object{"cidr": "10.0.0.0/8", "except": []any{"10.0.0.1"}}}),
		each("a long address", "Too long", object{"ipBlock": object{"cidr": long(44)}}),
		each("all but a long address", "Too long", object{"ipBlock": object{"cidr": "10.0.0.0/8", "except": []any{long(44)}}}),
		each("all but 17 addresses", "Too many", object{"ipBlock": object{"cidr": "10.0.0.0/8", "except": many(17, texts("10.%d.0.0/16"))}}),
		each("no address", "ipBlock.cidr: Required value", object{"ipBlock": object{}}),
		each("hollow selectors", "operator: Required value", object{"namespaceSelector": selector, "podSelector": selector}),
	}
}
