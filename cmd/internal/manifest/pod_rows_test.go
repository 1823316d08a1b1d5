//go:build integration

package manifest_test

import "strings"

const (
	podTemplate         = "spec.gateway.podTemplate"
	podLabelsFalse      = "gateway.podTemplate.labels must not begin with"
	podAnnotationsFalse = "gateway.podTemplate.annotations must not begin with"
	podVariablesFalse   = "gateway.podTemplate.env[].name must be HTTP_PROXY"
)

func inPods(name, field string, value any, refused string) row {
	return row{"pods with " + name, edits{podTemplate + "." + field: value}, refused}
}

// members are n members with names of their own.
func members(n int) object {
	o := object{}
	for _, name := range many(n, texts("example.com/n%d")) {
		o[name.(string)] = "1"
	}
	return o
}

// podRows are of gateway.podTemplate. What is Kubernetes' own in it has no rules here
// but the schema's: see hollow.
var podRows = append([]row{
	{"pods with everything", edits{podTemplate: object{
		"labels": object{"team": "weather"}, "annotations": object{"example.com/owner": "weather"},
		"resources":    object{"requests": object{"cpu": 1, "memory": "1Gi"}, "limits": object{"memory": "2Gi"}},
		"nodeSelector": object{"pool": "edge"},
		"affinity": object{"nodeAffinity": object{"requiredDuringSchedulingIgnoredDuringExecution": object{"nodeSelectorTerms": []any{
			object{"matchExpressions": []any{object{"key": "arch", "operator": "In", "values": []any{"arm64"}}}}}}}},
		"tolerations":               []any{object{"key": "edge", "operator": "Exists", "effect": "NoSchedule"}},
		"topologySpreadConstraints": []any{object{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}},
		"priorityClassName":         "high", "imagePullSecrets": []any{object{"name": "registry"}},
		"env": []any{object{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}, object{"name": "NO_PROXY"}},
	}}, ""},
	inPods("nothing", "labels", object{}, ""),
	inPods("a label of the controller's", "labels", object{"app.kubernetes.io/name": "mine"}, podLabelsFalse),
	inPods("a label of Vestibule's", "labels", object{"mcp.vestibule.dev/template": "mine"}, podLabelsFalse),
	inPods("a label that is like one", "labels", object{"app.kubernetes.io.example.com/name": "mine"}, ""),
	inPods("many labels", "labels", members(32), ""), inPods("too many labels", "labels", members(33), "Too many"),
	inPods("an annotation of Vestibule's", "annotations", object{"mcp.vestibule.dev/config": "mine"}, podAnnotationsFalse),
	inPods("an annotation that lifts a confinement", "annotations", object{"container.apparmor.security.beta.kubernetes.io/gateway": "unconfined"}, podAnnotationsFalse),
	inPods("many annotations", "annotations", members(32), ""), inPods("too many annotations", "annotations", members(33), "Too many"),
	inPods("a selector of many", "nodeSelector", members(16), ""), inPods("a selector of too many", "nodeSelector", members(17), "Too many"),
	inPods("too many requests", "resources.requests", members(9), "Too many"), inPods("too many limits", "resources.limits", members(9), "Too many"),
	inPods("no quantity", "resources.limits", object{"memory": "much"}, "should match"),
	inPods("a security context", "securityContext", object{"privileged": true}, `unknown field "spec.gateway.podTemplate.securityContext"`),
	inPods("many tolerations", "tolerations", many(32, func(int) any { return object{"operator": "Exists"} }), ""),
	inPods("too many tolerations", "tolerations", many(33, func(int) any { return object{"operator": "Exists"} }), "Too many"),
	inPods("too many constraints", "topologySpreadConstraints", many(9, func(int) any {
		return object{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
	}), "Too many"),
	inPods("a long priority class", "priorityClassName", long(254), "Too long"),
	inPods("a priority class in upper case", "priorityClassName", "High", "should match"),
	inPods("too many pull secrets", "imagePullSecrets", many(9, func(i int) any { return object{"name": long(i)} }), "Too many"),
	inPods("a pull secret twice", "imagePullSecrets", []any{object{"name": "a"}, object{"name": "a"}}, "Duplicate value"),
	inPods("a pull secret without a name", "imagePullSecrets", []any{object{}}, "imagePullSecrets[0].name: Required value"),
	inPods("a pull secret in upper case", "imagePullSecrets", []any{object{"name": "A"}}, "should match"),
	inPods("a pull secret with a long name", "imagePullSecrets", []any{object{"name": long(254)}}, "Too long"),
	inPods("a variable of the controller's", "env", []any{object{"name": "POD_UID", "value": "mine"}}, podVariablesFalse),
	inPods("a variable that writes tokens into the log", "env", []any{object{"name": "GODEBUG", "value": "http2debug=2"}}, podVariablesFalse),
	inPods("all variables", "env", []any{
		object{"name": "HTTP_PROXY"}, object{"name": "HTTPS_PROXY"}, object{"name": "NO_PROXY"}, object{"name": "http_proxy"}, object{"name": "https_proxy"},
		object{"name": "no_proxy"}, object{"name": "GOMEMLIMIT"}, object{"name": "GOGC"}, object{"name": "GOMAXPROCS"}, object{"name": "TZ"},
		object{"name": "OTEL_RESOURCE_ATTRIBUTES"}, object{"name": "OTEL_SERVICE_NAME"},
	}, ""),
	inPods("a goal for the memory", "env", []any{object{"name": "GOMEMLIMIT", "value": "1GiB"}}, ""),
	inPods("a variable twice", "env", []any{object{"name": "TZ"}, object{"name": "TZ"}}, "Duplicate value"),
	inPods("a variable without a name", "env", []any{object{"value": "a"}}, "env[0].name: Required value"),
	inPods("a variable with a hyphen", "env", []any{object{"name": "A-B"}}, "should match"),
	inPods("a variable with a long name", "env", []any{object{"name": long(129)}}, "Too long"),
	inPods("a long variable", "env", []any{object{"name": "TZ", "value": strings.Repeat("ä", 4096)}}, ""),
	inPods("a variable that is too long", "env", []any{object{"name": "TZ", "value": strings.Repeat("ä", 4097)}}, "Too long"),
	inPods("a variable from a Secret", "env", []any{object{"name": "A", "valueFrom": object{}}}, `unknown field "spec.gateway.podTemplate.env[0].valueFrom"`),
	inPods("too many variables", "env", many(33, func(i int) any { return object{"name": long(i)} }), "Too many"),
}, hollow()...)

// hollow are objects of Kubernetes' own without what they must have.
func hollow() []row {
	requirements := []any{object{}}
	selector := object{"matchExpressions": requirements}
	term := object{"labelSelector": selector, "namespaceSelector": selector}
	node := object{"matchExpressions": requirements, "matchFields": requirements}
	const preferred, required = "preferredDuringSchedulingIgnoredDuringExecution", "requiredDuringSchedulingIgnoredDuringExecution"
	empty := object{preferred: []any{object{}}, required: []any{object{}}}
	pods := object{preferred: []any{object{"podAffinityTerm": term}}, required: []any{term}}
	return []row{
		inPods("a hollow affinity", "affinity", object{
			"nodeAffinity": object{preferred: []any{object{}}, required: object{}}, "podAffinity": empty, "podAntiAffinity": empty,
		}, "topologyKey: Required value"),
		inPods("an affinity without terms", "affinity", object{
			"nodeAffinity": object{preferred: []any{object{"preference": node}}, required: object{"nodeSelectorTerms": []any{node}}},
			"podAffinity":  pods, "podAntiAffinity": pods,
		}, "operator: Required value"),
		inPods("hollow constraints", "topologySpreadConstraints", []any{object{"labelSelector": selector}}, "whenUnsatisfiable: Required value"),
	}
}
