package conditions_test

import (
	"errors"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

const page = "../../../docs/conditions.md"

var update = flag.Bool("update", false, "write the example messages into "+page)

// example is when a condition has a reason.
type example struct {
	conditionType, reason string
	seen                  func(o *conditions.Observation)
}

func store(reason, message string) func(*conditions.Observation) {
	return func(o *conditions.Observation) { report(o, 1).Store = failed(reason, message) }
}

func upstream(reason, message string) func(*conditions.Observation) {
	return func(o *conditions.Observation) { report(o, 1).Upstreams["corp"] = failed(reason, message) }
}

func backend(reason, message string) func(*conditions.Observation) {
	return func(o *conditions.Observation) { report(o, 1).Routes["mcp"] = failed(reason, message) }
}

func refused(reason, message string) func(*conditions.Observation) {
	return func(o *conditions.Observation) {
		o.Refusals = []conditions.Refusal{{Reason: reason, Message: message}}
	}
}

func reference(kind, field, name, key string, exists bool) func(*conditions.Observation) {
	return func(o *conditions.Observation) {
		o.References = []conditions.Reference{{Reference: resources.Reference{
			Field: field, KeyField: field + ".key", Kind: kind, Name: name, Key: key,
		}, Exists: exists}}
	}
}

func inEtcd(o *conditions.Observation) {
	o.Server.Spec.Bindings.OAuthKV = v1alpha1.OAuthKV{Type: v1alpha1.OAuthKVEtcd, Etcd: &v1alpha1.EtcdKV{}}
}

// notAllowed has the reference lead to a Secret without the label.
func notAllowed(seen func(*conditions.Observation)) func(*conditions.Observation) {
	return func(o *conditions.Observation) {
		seen(o)
		o.References[0].NotAllowed = true
	}
}

// etcdReference is one of the store's.
func etcdReference(kind, field, name, key string, exists bool) func(*conditions.Observation) {
	return func(o *conditions.Observation) {
		o.References = []conditions.Reference{{Reference: resources.Reference{
			Field: "bindings.oauthKV.etcd." + field, KeyField: "bindings.oauthKV.etcd." + field, Kind: kind, Name: name, Key: key,
		}, Exists: exists}}
	}
}

func pod(change func(p *corev1.Pod)) func(*conditions.Observation) {
	return func(o *conditions.Observation) {
		unready(o, 0, 1, 2)
		rolling(o)
		o.Gateway.Pods[0].Name = "weather-gateway-6d8f4-x2x7k"
		change(&o.Gateway.Pods[0])
	}
}

func waits(reason, message string) func(*conditions.Observation) {
	return pod(func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "gateway",
			Image: "registry.example.com/vestibule/gateway:v1",
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		}}
	})
}

func deployment(t appsv1.DeploymentConditionType, status corev1.ConditionStatus, message string) func(*conditions.Observation) {
	return func(o *conditions.Observation) {
		unready(o, 0)
		o.Gateway.Deployment.Status.Conditions = []appsv1.DeploymentCondition{{Type: t, Status: status, Message: message}}
	}
}

// certificate is what is wrong with that of gateway.tls.
func certificate(change func(*conditions.Reference)) func(*conditions.Observation) {
	return func(o *conditions.Observation) {
		r := conditions.Reference{Reference: resources.Reference{Field: "gateway.tls.secretRef", Kind: "Secret", Name: "weather-tls", Key: "tls.crt", Followed: true}, Exists: true, Found: true}
		change(&r)
		o.References = append(o.References, r)
	}
}

func nobodyReports(o *conditions.Observation) { o.Gateway.Reports = nil }

var examples = []example{
	{v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, func(*conditions.Observation) {}},
	{v1alpha1.ConditionAccepted, v1alpha1.ReasonVariableIgnored, func(o *conditions.Observation) {
		o.Server.Spec.Gateway.PodTemplate = &v1alpha1.PodTemplate{Env: []v1alpha1.EnvVar{{Name: "GODEBUG", Value: "http2debug=2"}}}
	}},
	{v1alpha1.ConditionAccepted, v1alpha1.ReasonFieldUnknown, refused(v1alpha1.ReasonFieldUnknown,
		"routes[mcp].deniedTools: this controller (v1.2.0) does not know this, and changes nothing of this MCPServer: the CRD is newer. Update the controller.")},
	{v1alpha1.ConditionAccepted, v1alpha1.ReasonNameConflict, refused(v1alpha1.ReasonNameConflict,
		"metadata.name: Service weather-gateway exists and is not this MCPServer's: remove it, or create an MCPServer of another name.")},
	{v1alpha1.ConditionAccepted, v1alpha1.ReasonPredecessorRemains, func(o *conditions.Observation) {
		o.Refusals = []conditions.Refusal{{Reason: v1alpha1.ReasonPredecessorRemains, Passes: true,
			Message: "Service weather-gateway is of an MCPServer of this name that was deleted: the cluster is about to collect it."}}
	}},
	{v1alpha1.ConditionAccepted, v1alpha1.ReasonPublicURLTaken, refused(v1alpha1.ReasonPublicURLTaken,
		"publicURL: host and path are those of MCPServer weather in namespace tools, which had it first: create an MCPServer with another publicURL.")},
	{v1alpha1.ConditionAccepted, v1alpha1.ReasonAccessRuleInvalid, refused(v1alpha1.ReasonAccessRuleInvalid,
		"access.rules: access rule staff: ERROR: <input>:1:1: undeclared reference to 'claim' (in container '')")},
	{v1alpha1.ConditionAccepted, v1alpha1.ReasonMigrationUnfinished, refused(v1alpha1.ReasonMigrationUnfinished,
		"bindings.oauthKV: there are records in objects of type Kubernetes that may not be in the store: set migrateFrom and kubernetes again, until OAuthKVBound says Migrated.")},
	{v1alpha1.ConditionAccepted, v1alpha1.ReasonScopeRuleInvalid, refused(v1alpha1.ReasonScopeRuleInvalid,
		"oauth.scopes[weather:write].allow: ERROR: <input>:1:10: undeclared reference to 'claim' (in container '')")},
	{v1alpha1.ConditionAccepted, v1alpha1.ReasonObjectRefused, refused(v1alpha1.ReasonObjectRefused,
		`gateway.podTemplate: change what the API server refuses, which says: Deployment.apps "weather-gateway" is invalid: spec.template.spec.tolerations[0].effect: Unsupported value: "Never": supported values: "NoExecute", "NoSchedule", "PreferNoSchedule"`)},
	{v1alpha1.ConditionAccepted, v1alpha1.ReasonURLInCluster, refused(v1alpha1.ReasonURLInCluster,
		"bindings.mcpObject.type must be Service in a cluster: a URL is for kubectl vestibule run, on a developer's machine.")},
	{v1alpha1.ConditionAccepted, v1alpha1.ReasonRetainedDiffers, refused(v1alpha1.ReasonRetainedDiffers,
		"metadata.name: Secret weather-gateway-keys and the objects of its store were retained of an MCPServer of this name with another publicURL: create this one with that publicURL, or under another name. To begin without what they hold, see docs/stores.md.")},
	{v1alpha1.ConditionAccepted, v1alpha1.ReasonRouteExposed, refused(v1alpha1.ReasonRouteExposed,
		"routes[docs].backendPath leads past what guards routes[mcp]: change one of the two, or let another Service serve one of them.")},

	{v1alpha1.ConditionMCPObjectBound, v1alpha1.ReasonBound, func(*conditions.Observation) {}},
	{v1alpha1.ConditionMCPObjectBound, v1alpha1.ReasonServiceMissing, func(o *conditions.Observation) { shared(o).Exists = false }},
	{v1alpha1.ConditionMCPObjectBound, v1alpha1.ReasonServiceNotSupported, func(o *conditions.Observation) { shared(o).External = true }},
	{v1alpha1.ConditionMCPObjectBound, v1alpha1.ReasonPortMissing, func(o *conditions.Observation) { shared(o).Port.Number = 0 }},
	{v1alpha1.ConditionMCPObjectBound, v1alpha1.ReasonNoReadyEndpoints, func(o *conditions.Observation) { shared(o).Ready = 0 }},
	{v1alpha1.ConditionMCPObjectBound, v1alpha1.ReasonCABundleMissing, reference("ConfigMap", "routes[admin].mcpObject.tls.caBundleRef", "weather-ca", "ca.crt", false)},
	{v1alpha1.ConditionMCPObjectBound, v1alpha1.ReasonCABundleKeyMissing, reference("ConfigMap", "bindings.mcpObject.tls.caBundleRef", "weather-ca", "ca.crt", true)},
	{v1alpha1.ConditionMCPObjectBound, v1alpha1.ReasonBackendUnreachable, backend(config.ReasonBackendUnreachable,
		"http://weather.default.svc:8000/mcp: connection refused")},
	{v1alpha1.ConditionMCPObjectBound, v1alpha1.ReasonBackendUntrusted, backend(config.ReasonBackendUntrusted,
		"the certificate of https://weather.default.svc:8443/mcp is not trusted, or is for another name")},
	{v1alpha1.ConditionMCPObjectBound, v1alpha1.ReasonBackendNotMCP, backend(config.ReasonBackendNotMCP,
		"http://weather.default.svc:8000/mcp answers an MCP client with 404, and not as StreamableHTTP has it")},
	{v1alpha1.ConditionMCPObjectBound, v1alpha1.ReasonBackendUnauthorized, backend(config.ReasonBackendUnauthorized,
		"http://weather.default.svc:8000/mcp answers 401")},

	{v1alpha1.ConditionOAuthKVBound, v1alpha1.ReasonBound, func(*conditions.Observation) {}},
	{v1alpha1.ConditionOAuthKVBound, v1alpha1.ReasonMigrated, func(o *conditions.Observation) {
		inEtcd(o)
		o.Server.Spec.Bindings.OAuthKV.MigrateFrom, o.Applied = v1alpha1.MigrateFromKubernetes, true
	}},
	{v1alpha1.ConditionOAuthKVBound, v1alpha1.ReasonSecretMissing, etcdReference("Secret", "tlsSecretRef", "etcd-client", "tls.crt", false)},
	{v1alpha1.ConditionOAuthKVBound, v1alpha1.ReasonSecretNotAllowed, notAllowed(etcdReference("Secret", "tlsSecretRef", "etcd-client", "tls.crt", true))},
	{v1alpha1.ConditionOAuthKVBound, v1alpha1.ReasonSecretKeyMissing, etcdReference("Secret", "userSecretRef", "etcd-user", "password", true)},
	{v1alpha1.ConditionOAuthKVBound, v1alpha1.ReasonCABundleMissing, etcdReference("ConfigMap", "caBundleRef", "etcd-ca", "ca.crt", false)},
	{v1alpha1.ConditionOAuthKVBound, v1alpha1.ReasonCABundleKeyMissing, etcdReference("ConfigMap", "caBundleRef", "etcd-ca", "ca.crt", true)},
	{v1alpha1.ConditionOAuthKVBound, v1alpha1.ReasonKeysLost, func(o *conditions.Observation) { o.Store.KeysLost = true }},
	{v1alpha1.ConditionOAuthKVBound, v1alpha1.ReasonKeysReplaced, func(o *conditions.Observation) {
		o.Store.KeysReplaced, o.Server.Status.KeyFingerprint = true, "b4d9c1f07a3e5d2288c6e1a90f3b7c54"
	}},
	{v1alpha1.ConditionOAuthKVBound, v1alpha1.ReasonStoreObjectLost, func(o *conditions.Observation) { o.Store.Lost = []string{"weather-gateway-grants-3"} }},
	{v1alpha1.ConditionOAuthKVBound, v1alpha1.ReasonStoreForbidden, store(config.ReasonStoreForbidden,
		"reading client records: the API server forbids it to the gateway's service account")},
	{v1alpha1.ConditionOAuthKVBound, v1alpha1.ReasonStoreObjectAbsent, store(config.ReasonStoreObjectAbsent,
		"reading client records: an object of the store does not exist")},
	{v1alpha1.ConditionOAuthKVBound, v1alpha1.ReasonStoreUnreachable, store(config.ReasonStoreUnreachable, "reading client records: no answer in time")},
	{v1alpha1.ConditionOAuthKVBound, v1alpha1.ReasonStoreUnwritable, store(config.ReasonStoreUnwritable, "writing client records: no answer in time")},
	{v1alpha1.ConditionOAuthKVBound, v1alpha1.ReasonStoreIncomplete, func(o *conditions.Observation) {
		for i := range o.Gateway.Pods {
			report(o, i).Store = failed(config.ReasonStoreIncomplete, "the records were moved from this store to another: "+
				"set the type that they were moved to, with migrateFrom, again")
			unready(o, i)
		}
	}},
	{v1alpha1.ConditionOAuthKVBound, v1alpha1.ReasonKeysMismatch, store(config.ReasonKeysMismatch, "none of 12 records opens with the keys of this gateway")},
	{v1alpha1.ConditionOAuthKVBound, v1alpha1.ReasonKeysInvalid, store(config.ReasonKeysInvalid,
		"the newest keys are not used: key set /etc/vestibule/keys/keyset.json does not continue the one in use: key 2 is missing, which was the newest")},

	{v1alpha1.ConditionOAuthKVBound, v1alpha1.ReasonStoreNotGrown, func(o *conditions.Observation) {
		o.Store.NotGrown = errors.New(`creating Secret weather-gateway-grants-16: secrets "weather-gateway-grants-16" is forbidden: exceeded quota: team, requested: count/secrets=1, used: count/secrets=40, limited: count/secrets=40`)
	}},
	{v1alpha1.ConditionOAuthKVBound, v1alpha1.ReasonKeyDropPending, func(o *conditions.Observation) {
		o.Store.Dropping = &conditions.Dropping{Keys: []int{1, 2}, Pods: []string{"weather-gateway-5d4f-x2x9q"}}
	}},

	{v1alpha1.ConditionUpstreamReady, v1alpha1.ReasonDiscovered, func(*conditions.Observation) {}},
	{v1alpha1.ConditionUpstreamReady, v1alpha1.ReasonSecretMissing, reference("Secret", "upstreams[corp].oidc.clientSecretRef", "weather-oidc", "client-secret", false)},
	{v1alpha1.ConditionUpstreamReady, v1alpha1.ReasonSecretNotAllowed,
		notAllowed(reference("Secret", "upstreams[corp].oidc.clientSecretRef", "weather-oidc", "client-secret", true))},
	{v1alpha1.ConditionUpstreamReady, v1alpha1.ReasonSecretKeyMissing, reference("Secret", "upstreams[corp].oidc.clientSecretRef", "weather-oidc", "client-secret", true)},
	{v1alpha1.ConditionUpstreamReady, v1alpha1.ReasonCABundleMissing, reference("ConfigMap", "upstreams[corp].oidc.caBundleRef", "corp-ca", "ca.crt", false)},
	{v1alpha1.ConditionUpstreamReady, v1alpha1.ReasonCABundleKeyMissing, reference("ConfigMap", "upstreams[corp].oidc.caBundleRef", "corp-ca", "ca.crt", true)},
	{v1alpha1.ConditionUpstreamReady, v1alpha1.ReasonUpstreamUnreachable, upstream(config.ReasonUpstreamUnreachable,
		"no discovery document from https://idp.example.com: connection refused")},
	{v1alpha1.ConditionUpstreamReady, v1alpha1.ReasonUpstreamUntrusted, upstream(config.ReasonUpstreamUntrusted,
		"the certificate of https://idp.example.com is not trusted")},
	{v1alpha1.ConditionUpstreamReady, v1alpha1.ReasonUpstreamIssuerDiffers, upstream(config.ReasonUpstreamIssuerDiffers,
		"the discovery document of https://idp.example.com names another issuer")},
	{v1alpha1.ConditionUpstreamReady, v1alpha1.ReasonUpstreamInsecure, upstream(config.ReasonUpstreamInsecure,
		"discovery of https://idp.example.com: token_endpoint must be an https URL; http is for loopback hosts only")},
	{v1alpha1.ConditionUpstreamReady, v1alpha1.ReasonUpstreamFiles, upstream(config.ReasonUpstreamFiles,
		"the client secret or the CA bundle cannot be read")},
	{v1alpha1.ConditionUpstreamReady, v1alpha1.ReasonUpstreamCredentials, upstream(config.ReasonUpstreamCredentials,
		"https://idp.example.com refuses the gateway's client id or secret")},

	{v1alpha1.ConditionGatewayAvailable, v1alpha1.ReasonAvailable, func(*conditions.Observation) {}},
	{v1alpha1.ConditionGatewayAvailable, v1alpha1.ReasonWaitingForUpgrade, func(o *conditions.Observation) { o.Waits = true }},
	{v1alpha1.ConditionGatewayAvailable, v1alpha1.ReasonNotScaling, func(o *conditions.Observation) {
		o.Autoscaler = &autoscalingv2.HorizontalPodAutoscaler{Status: autoscalingv2.HorizontalPodAutoscalerStatus{Conditions: []autoscalingv2.HorizontalPodAutoscalerCondition{
			{Type: autoscalingv2.AbleToScale, Status: corev1.ConditionTrue},
			{Type: autoscalingv2.ScalingActive, Status: corev1.ConditionFalse, Message: "the HPA was unable to compute the replica count: no metrics returned from resource metrics API"},
		}}}
	}},
	{v1alpha1.ConditionGatewayAvailable, v1alpha1.ReasonRollingOut, func(o *conditions.Observation) { unready(o, 0); rolling(o) }},
	{v1alpha1.ConditionGatewayAvailable, v1alpha1.ReasonNotDeployed, func(o *conditions.Observation) {
		shared(o).Exists = false
		o.Gateway.Deployment = nil
	}},
	{v1alpha1.ConditionGatewayAvailable, v1alpha1.ReasonCertificateExpired, certificate(func(r *conditions.Reference) {
		r.Expired = time.Date(2026, 11, 30, 4, 5, 6, 0, time.UTC)
	})},
	{v1alpha1.ConditionGatewayAvailable, v1alpha1.ReasonCertificateNameDiffers, certificate(func(r *conditions.Reference) { r.Misnamed = true })},
	{v1alpha1.ConditionGatewayAvailable, v1alpha1.ReasonReferenceMissing,
		reference("Secret", "oauth.clients[nightly].clientSecretRef", "nightly", "client-secret", false)},
	{v1alpha1.ConditionGatewayAvailable, v1alpha1.ReasonSecretNotAllowed,
		notAllowed(reference("Secret", "oauth.clients[nightly].clientSecretRef", "nightly", "client-secret", true))},
	{v1alpha1.ConditionGatewayAvailable, v1alpha1.ReasonReferenceKeyMissing,
		reference("ConfigMap", "oauth.clients[nightly].jwksRef", "nightly", "jwks.json", true)},
	{v1alpha1.ConditionGatewayAvailable, v1alpha1.ReasonCertificateInvalid, func(o *conditions.Observation) {
		o.References = []conditions.Reference{{Reference: resources.Reference{
			Field: "gateway.tls.secretRef", KeyField: "gateway.tls.secretRef", Kind: "Secret", Name: "weather-tls", Key: "tls.crt",
		}, Exists: true, Found: true, Unusable: "private key does not match public key"}}
	}},
	{v1alpha1.ConditionGatewayAvailable, v1alpha1.ReasonQuotaExceeded, deployment(appsv1.DeploymentReplicaFailure, corev1.ConditionTrue,
		`pods "weather-gateway-6d8f4-x2x7k" is forbidden: exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4`)},
	{v1alpha1.ConditionGatewayAvailable, v1alpha1.ReasonPodsRefused, deployment(appsv1.DeploymentReplicaFailure, corev1.ConditionTrue,
		`admission webhook "policy.example.com" denied the request: images must be signed`)},
	{v1alpha1.ConditionGatewayAvailable, v1alpha1.ReasonUnschedulable, pod(func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
			Reason: corev1.PodReasonUnschedulable, Message: "0/3 nodes are available: 3 Insufficient memory."}}
	})},
	{v1alpha1.ConditionGatewayAvailable, v1alpha1.ReasonImagePullFailed, waits("ImagePullBackOff", "not found")},
	{v1alpha1.ConditionGatewayAvailable, v1alpha1.ReasonContainerNotStarting, waits("CreateContainerError", "exec /gateway: no such file or directory")},
	{v1alpha1.ConditionGatewayAvailable, v1alpha1.ReasonCrashing, pod(func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "gateway", RestartCount: 4, LastTerminationState: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: "gateway: key set /etc/vestibule/keys/keyset.json: the key set holds no key"},
		}}}
	})},
	{v1alpha1.ConditionGatewayAvailable, v1alpha1.ReasonProgressDeadlineExceeded, deployment(appsv1.DeploymentProgressing, corev1.ConditionFalse,
		`ReplicaSet "weather-gateway-6d8f4" has timed out progressing.`)},
	{v1alpha1.ConditionGatewayAvailable, v1alpha1.ReasonPolicyInvalid, func(o *conditions.Observation) {
		report(o, 1).Policy = failed(config.ReasonPolicyInvalid, `json: unknown field "tools"`)
	}},

	{v1alpha1.ConditionExposed, v1alpha1.ReasonExposed, func(*conditions.Observation) {}},
	{v1alpha1.ConditionExposed, v1alpha1.ReasonLoopbackURL, func(o *conditions.Observation) { o.Server.Spec.PublicURL = "http://127.0.0.1:8788" }},
	{v1alpha1.ConditionExposed, v1alpha1.ReasonAPIMissing, func(o *conditions.Observation) {
		o.Missing = []conditions.Missing{{Field: "gateway.httpRoute", Kind: "HTTPRoute", API: "gateway.networking.k8s.io/v1"}}
	}},
	{v1alpha1.ConditionExposed, v1alpha1.ReasonRouteRejected, routed(parent("public", said("Accepted", isFalse, "NotAllowedByListeners", "no listener lets routes of namespace team-a attach.")))},
	{v1alpha1.ConditionExposed, v1alpha1.ReasonRoutePending, both(nobodyReports, routed())},
	{v1alpha1.ConditionExposed, v1alpha1.ReasonIngressPending, both(nobodyReports, ingress())},
	{v1alpha1.ConditionExposed, v1alpha1.ReasonPublicURLUnreachable, public(config.ReasonPublicURLUnreachable, document+": no answer in time", 0, 1, 2)},
	{v1alpha1.ConditionExposed, v1alpha1.ReasonPublicURLUntrusted, public(config.ReasonPublicURLUntrusted,
		"the certificate of "+document+" is not trusted by gateways, or is for another name", 0, 1, 2)},
	{v1alpha1.ConditionExposed, v1alpha1.ReasonPublicURLNotServed, public(config.ReasonPublicURLNotServed, document+" answers with 404", 0, 1, 2)},
	{v1alpha1.ConditionExposed, v1alpha1.ReasonPublicURLIssuerDiffers, public(config.ReasonPublicURLIssuerDiffers,
		document+" answers with the metadata of another issuer", 0, 1, 2)},
	{v1alpha1.ConditionExposed, v1alpha1.ReasonPublicURLMetadataDiffers, public(config.ReasonPublicURLMetadataDiffers,
		document+" answers with metadata of this issuer that this server does not have", 0, 1, 2)},

	{v1alpha1.ConditionMCPManagerCompatible, v1alpha1.ReasonCompatible, func(*conditions.Observation) {}},
	{v1alpha1.ConditionMCPManagerCompatible, v1alpha1.ReasonRegistrationDisabled, func(o *conditions.Observation) {
		o.Server.Spec.OAuth.ClientRegistration.Policy = v1alpha1.PolicyDisabled
	}},
	{v1alpha1.ConditionMCPManagerCompatible, v1alpha1.ReasonNoStreamableHTTPRoute, func(o *conditions.Observation) {
		o.Server.Spec.Routes[0].Transport = v1alpha1.TransportSSE
	}},
	{v1alpha1.ConditionMCPManagerCompatible, v1alpha1.ReasonBindingNotReady, func(o *conditions.Observation) { shared(o).Ready = 0 }},

	{v1alpha1.ConditionControllerConflict, v1alpha1.ReasonAnotherController, func(o *conditions.Observation) {
		o.Incumbent = &conditions.Incumbent{Install: "vestibule-system/vestibule-controller", Self: "team-a/vestibule-controller"}
	}},

	{v1alpha1.ConditionStoreAdopted, v1alpha1.ReasonAdopted, adoption},
	{v1alpha1.ConditionStoreAdopted, v1alpha1.ReasonNotAdopted, func(*conditions.Observation) {}},

	{v1alpha1.ConditionReconciling, v1alpha1.ReasonSettled, func(*conditions.Observation) {}},
	{v1alpha1.ConditionReconciling, v1alpha1.ReasonProgressing, func(o *conditions.Observation) { unready(o, 0); rolling(o) }},
	{v1alpha1.ConditionReconciling, v1alpha1.ReasonRetrying, func(o *conditions.Observation) {
		o.Failure = errors.New("applying the Service: applying Service weather-gateway: connection refused")
	}},

	{v1alpha1.ConditionReconciling, v1alpha1.ReasonAPIMissing, func(o *conditions.Observation) {
		o.Missing = []conditions.Missing{{Field: "gateway.podMonitor", Kind: "PodMonitor", API: "monitoring.coreos.com/v1"}}
	}},

	{v1alpha1.ConditionStalled, v1alpha1.ReasonNotStalled, func(*conditions.Observation) {}},
	{v1alpha1.ConditionReady, v1alpha1.ReasonReady, func(*conditions.Observation) {}},

	{anyCondition, v1alpha1.ReasonNotObserved, func(o *conditions.Observation) { o.Store = nil }},
	{anyCondition, v1alpha1.ReasonNotReported, nobodyReports},
	{anyCondition, v1alpha1.ReasonCheckFailed, store("TooNew", "reading client records: odd")},
}

// anyCondition is the page's chapter of the reasons that several conditions have.
const anyCondition = "Any of them"

// The page and the program say the same: the same conditions, each with the same
// reasons, and each with a message that the program really makes.
func TestThePage(t *testing.T) {
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	var documented []string
	chapter, section := "", ""
	for i, line := range lines {
		if name, ok := strings.CutPrefix(line, "## "); ok {
			chapter = name
		}
		if heading, ok := strings.CutPrefix(line, "### "); ok {
			section = strings.Split(heading, " ")[0]
			documented = append(documented, chapter+"/"+section)
			if !regexp.MustCompile(` \((True|False|Unknown)\)$`).MatchString(heading) {
				t.Errorf("%s/%s has no status", chapter, section)
			}
		}
		if !strings.HasPrefix(line, "> ") {
			continue
		}
		k := slices.IndexFunc(examples, func(e example) bool { return e.conditionType == chapter && e.reason == section })
		if k < 0 {
			t.Errorf("%s/%s has a message, but no example", chapter, section)
			continue
		}
		want := "> " + examples[k].message(t)
		if line != want && *update {
			lines[i] = want
		} else if line != want {
			t.Errorf("%s/%s: run go test with -update\n got %s\nwant %s", chapter, section, line, want)
		}
	}
	if *update {
		if err := os.WriteFile(page, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var want []string
	for _, e := range examples {
		want = append(want, e.conditionType+"/"+e.reason)
		if !slices.Contains(documented, e.conditionType+"/"+e.reason) {
			t.Errorf("%s/%s is not on the page", e.conditionType, e.reason)
		}
	}
	for _, d := range documented {
		if !slices.Contains(want, d) {
			t.Errorf("%s is on the page, and nothing makes it", d)
		}
	}
	constants, err := os.ReadFile("../../../api/v1alpha1/conditions.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)\tReason\w+ += "(\w+)"|^const Reason\w+ = "(\w+)"`).FindAllStringSubmatch(string(constants), -1) {
		if !slices.ContainsFunc(examples, func(e example) bool { return e.reason == m[1]+m[2] }) {
			t.Errorf("there is no example of the reason %s", m[1]+m[2])
		}
	}
}

// message is that of the condition in the example, whose reason is checked.
func (e example) message(t *testing.T) string {
	t.Helper()
	o := good()
	e.seen(o)
	conditionType := e.conditionType
	if conditionType == anyCondition {
		conditionType = v1alpha1.ConditionOAuthKVBound
	}
	c := meta.FindStatusCondition(conditions.All(o), conditionType)
	if c.Reason != e.reason {
		t.Fatalf("the example of %s/%s is one of %s: %s", e.conditionType, e.reason, c.Reason, c.Message)
	}
	return c.Message
}
