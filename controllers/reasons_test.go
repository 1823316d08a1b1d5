//go:build integration

package controllers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/gateway/config"
)

// constants are those of the API whose names begin with a prefix, by name.
func constants(t *testing.T, prefix string) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../api/v1alpha1/conditions.go", nil, 0)
	must(t, err)
	all := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ok && strings.HasPrefix(spec.Names[0].Name, prefix) {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			must(t, err)
			all[spec.Names[0].Name] = value
		}
		return true
	})
	return all
}

const (
	isTrue    = metav1.ConditionTrue
	isFalse   = metav1.ConditionFalse
	isUnknown = metav1.ConditionUnknown
)

// situation is what befalls a server, and the condition that says so.
type situation struct {
	conditionType string
	status        metav1.ConditionStatus
	reason        string
	// spec changes the MCPServer before it is created.
	spec func(*v1alpha1.MCPServer)
	// before happens before the MCPServer is created.
	before func(w *world)
	// after happens when it is there, and the gateway, if there can be one, is
	// being deployed.
	after func(w *world)
	// says is in the message.
	says string
}

// failing lets the second of two gateways report a failed check.
func failing(check func(*config.Report) *config.Check, reason string) func(w *world) {
	return func(w *world) {
		w.reports(w.rollOut(), func(i int, r *config.Report) {
			if i == 1 {
				*check(r) = config.Check{Status: "False", Reason: reason, Message: "tried it"}
			}
		})
	}
}

func ofStore(reason string) situation {
	return situation{conditionType: v1alpha1.ConditionOAuthKVBound, status: isFalse, reason: reason, says: "1 of 2 replicas: bindings.oauthKV: tried it",
		after: failing(func(r *config.Report) *config.Check { return &r.Store }, reason)}
}

func ofRoute(reason string) situation {
	return situation{conditionType: v1alpha1.ConditionMCPObjectBound, status: isFalse, reason: reason, says: "1 of 2 replicas: routes[mcp]: tried it",
		after: func(w *world) {
			w.reports(w.rollOut(), func(i int, r *config.Report) {
				if i == 1 {
					r.Routes["mcp"] = config.Check{Status: "False", Reason: reason, Message: "tried it"}
				}
			})
		}}
}

func ofUpstream(reason string) situation {
	return situation{conditionType: v1alpha1.ConditionUpstreamReady, status: isFalse, reason: reason, says: "1 of 2 replicas: upstreams[corp]: tried it",
		after: func(w *world) {
			w.reports(w.rollOut(), func(i int, r *config.Report) {
				if i == 1 {
					r.Upstreams["corp"] = config.Check{Status: "False", Reason: reason, Message: "tried it"}
				}
			})
		}}
}

func ofPublic(status metav1.ConditionStatus, reason string) situation {
	return situation{conditionType: v1alpha1.ConditionExposed, status: status, reason: reason, says: "2 of 2 replicas: publicURL: tried it",
		after: func(w *world) {
			w.reports(w.rollOut(), func(_ int, r *config.Report) {
				r.Public = config.Check{Status: "False", Reason: reason, Message: "tried it"}
			})
		}}
}

func ofPods(reason, says string, status func(*corev1.Pod)) situation {
	return situation{conditionType: v1alpha1.ConditionGatewayAvailable, status: isFalse, reason: reason, says: says,
		after: func(w *world) {
			w.pods(status)
			w.deploymentSays(progressing(corev1.ConditionTrue, "ReplicaSetUpdated", ""))
		}}
}

func ofDeployment(reason, says string, c appsv1.DeploymentCondition) situation {
	return situation{conditionType: v1alpha1.ConditionGatewayAvailable, status: isFalse, reason: reason, says: says,
		after: func(w *world) { w.deploymentSays(c) }}
}

func caBundle(s *v1alpha1.MCPServer) {
	s.Spec.Upstreams[0].OIDC.CABundleRef = &v1alpha1.KeyReference{Name: s.Name + "-ca", Key: "ca.pem"}
}

func backendCABundle(s *v1alpha1.MCPServer) {
	s.Spec.Bindings.MCPObject.TLS = &v1alpha1.BackendTLS{CABundleRef: &v1alpha1.KeyReference{Name: s.Name + "-ca", Key: "ca.pem"}}
}

// routeTo adds a route with a backend of its own.
func routeTo(object *v1alpha1.MCPObject) func(*v1alpha1.MCPServer) {
	return func(s *v1alpha1.MCPServer) {
		s.Spec.Routes = append(s.Spec.Routes, v1alpha1.Route{Name: "admin", Path: "/admin", MCPObject: object})
	}
}

func initialAccessToken(s *v1alpha1.MCPServer) {
	s.Spec.OAuth.ClientRegistration.InitialAccessTokenRef = &v1alpha1.KeyReference{Name: s.Name + "-registration", Key: "token"}
}

func withTLS(s *v1alpha1.MCPServer) {
	s.Spec.Gateway.TLS = &v1alpha1.GatewayTLS{SecretRef: v1alpha1.ObjectReference{Name: s.Name + "-tls"}}
}

func waiting(reason, message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "gateway", Image: image, State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message},
		}}}
	}
}

func everybodyIsFine(w *world) { w.reports(w.rollOut(), nil) }

var situations = []situation{
	{conditionType: v1alpha1.ConditionAccepted, status: isTrue, reason: v1alpha1.ReasonAccepted},
	{conditionType: v1alpha1.ConditionAccepted, status: isFalse, reason: v1alpha1.ReasonNameConflict, says: "metadata.name: Service",
		before: func(w *world) {
			w.create(&corev1.Service{ObjectMeta: w.meta(w.gateway()), Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Port: 1}}}})
		}},
	{conditionType: v1alpha1.ConditionAccepted, status: isFalse, reason: v1alpha1.ReasonPublicURLTaken, says: "publicURL",
		spec: func(s *v1alpha1.MCPServer) { s.Spec.PublicURL = "https://taken.example.com" },
		before: func(w *world) {
			older := &world{w.t, w.namespace, "older-" + w.name}
			older.server(func(s *v1alpha1.MCPServer) { s.Spec.PublicURL = "https://taken.example.com" })
			taken := older.get().CreationTimestamp
			w.eventually("the next second", func() bool { return metav1.Now().Rfc3339Copy().After(taken.Time) })
		}},
	{conditionType: v1alpha1.ConditionAccepted, status: isFalse, reason: v1alpha1.ReasonRetainedDiffers, says: "another publicURL",
		before: func(w *world) {
			keys := &corev1.Secret{ObjectMeta: w.meta(w.gateway() + "-keys")}
			keys.Labels = map[string]string{"app.kubernetes.io/instance": w.name, "app.kubernetes.io/component": "keys", "mcp.vestibule.dev/retained-for": "another"}
			w.create(keys)
		}},
	{conditionType: v1alpha1.ConditionAccepted, status: isFalse, reason: v1alpha1.ReasonAccessRuleInvalid, says: "access rule staff",
		spec: func(s *v1alpha1.MCPServer) {
			s.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{Name: "staff", Expression: "claim.email"}}}
		}},
	{conditionType: v1alpha1.ConditionAccepted, status: isFalse, reason: v1alpha1.ReasonScopeRuleInvalid, says: "oauth.scopes[weather:read].allow",
		spec: func(s *v1alpha1.MCPServer) { s.Spec.OAuth.Scopes[0].Allow = "claim.email" }},
	{conditionType: v1alpha1.ConditionAccepted, status: isFalse, reason: v1alpha1.ReasonObjectRefused, says: "tolerations[0].effect: Unsupported value",
		spec: func(s *v1alpha1.MCPServer) {
			s.Spec.Gateway.PodTemplate = &v1alpha1.PodTemplate{Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists, Effect: "Never"}}}
		}},
	{conditionType: v1alpha1.ConditionAccepted, status: isFalse, reason: v1alpha1.ReasonURLInCluster, says: "bindings.mcpObject.type",
		spec: func(s *v1alpha1.MCPServer) {
			s.Spec.Bindings.MCPObject = v1alpha1.MCPObject{Type: v1alpha1.MCPObjectURL, URL: "http://127.0.0.1:3000"}
		}},
	{conditionType: v1alpha1.ConditionAccepted, status: isFalse, reason: v1alpha1.ReasonURLInCluster, says: "routes[admin].mcpObject.type",
		spec: routeTo(&v1alpha1.MCPObject{Type: v1alpha1.MCPObjectURL, URL: "http://127.0.0.1:3000"})},
	{conditionType: v1alpha1.ConditionAccepted, status: isFalse, reason: v1alpha1.ReasonRouteExposed, says: "routes[pages].backendPath leads past what guards routes[mcp]",
		spec: func(s *v1alpha1.MCPServer) {
			s.Spec.Routes = append(s.Spec.Routes, v1alpha1.Route{Name: "pages", Path: "/", Transport: v1alpha1.TransportHTTP, Authentication: v1alpha1.AuthenticationNone})
		}},

	{conditionType: v1alpha1.ConditionMCPObjectBound, status: isTrue, reason: v1alpha1.ReasonBound, after: everybodyIsFine},
	{conditionType: v1alpha1.ConditionMCPObjectBound, status: isFalse, reason: v1alpha1.ReasonServiceMissing, says: "change routes[admin].mcpObject.service.name",
		spec: routeTo(&v1alpha1.MCPObject{Type: v1alpha1.MCPObjectService, Service: &v1alpha1.ServicePort{Name: "nowhere", Port: intstr.FromInt32(80)}})},
	{conditionType: v1alpha1.ConditionMCPObjectBound, status: isFalse, reason: v1alpha1.ReasonCABundleMissing, says: "bindings.mcpObject.tls.caBundleRef", spec: backendCABundle},
	{conditionType: v1alpha1.ConditionMCPObjectBound, status: isFalse, reason: v1alpha1.ReasonCABundleKeyMissing, says: "bindings.mcpObject.tls.caBundleRef.key", spec: backendCABundle,
		before: func(w *world) { w.create(&corev1.ConfigMap{ObjectMeta: w.meta(w.name + "-ca")}) }},
	{conditionType: v1alpha1.ConditionMCPObjectBound, status: isUnknown, reason: v1alpha1.ReasonNotReported},
	{conditionType: v1alpha1.ConditionMCPObjectBound, status: isFalse, reason: v1alpha1.ReasonServiceMissing, says: "bindings.mcpObject.service.name",
		before: func(w *world) { w.remove(&corev1.Service{}, w.name+"-backend") }},
	{conditionType: v1alpha1.ConditionMCPObjectBound, status: isFalse, reason: v1alpha1.ReasonServiceNotSupported, says: "ExternalName",
		before: func(w *world) {
			w.remove(&corev1.Service{}, w.name+"-backend")
			w.create(&corev1.Service{ObjectMeta: w.meta(w.name + "-backend"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"}})
		}},
	{conditionType: v1alpha1.ConditionMCPObjectBound, status: isFalse, reason: v1alpha1.ReasonPortMissing, says: "bindings.mcpObject.service.port",
		spec: func(s *v1alpha1.MCPServer) { s.Spec.Bindings.MCPObject.Service.Port = intstr.FromInt32(9) }},
	{conditionType: v1alpha1.ConditionMCPObjectBound, status: isFalse, reason: v1alpha1.ReasonNoReadyEndpoints, says: "selector",
		after: func(w *world) { w.endpoints(false) }},
	ofRoute(v1alpha1.ReasonBackendUnreachable),
	ofRoute(v1alpha1.ReasonBackendUntrusted),
	ofRoute(v1alpha1.ReasonBackendNotMCP),
	ofRoute(v1alpha1.ReasonBackendUnauthorized),

	{conditionType: v1alpha1.ConditionOAuthKVBound, status: isTrue, reason: v1alpha1.ReasonBound, after: everybodyIsFine},
	{conditionType: v1alpha1.ConditionOAuthKVBound, status: isUnknown, reason: v1alpha1.ReasonNotReported},
	{conditionType: v1alpha1.ConditionOAuthKVBound, status: isFalse, reason: v1alpha1.ReasonKeysLost, says: "Restore",
		after: func(w *world) { w.remove(&corev1.Secret{}, w.gateway()+"-keys") }},
	{conditionType: v1alpha1.ConditionOAuthKVBound, status: isFalse, reason: v1alpha1.ReasonKeysReplaced, says: "-gateway-keys",
		after: func(w *world) { w.plant(func(*corev1.Secret) {}) }},
	{conditionType: v1alpha1.ConditionOAuthKVBound, status: isFalse, reason: v1alpha1.ReasonStoreObjectLost, says: "-gateway-clients-0",
		after: func(w *world) { w.remove(&corev1.Secret{}, w.gateway()+"-clients-0") }},
	ofStore(v1alpha1.ReasonStoreForbidden),
	ofStore(v1alpha1.ReasonStoreObjectAbsent),
	ofStore(v1alpha1.ReasonStoreUnreachable),
	ofStore(v1alpha1.ReasonStoreUnwritable),
	{conditionType: v1alpha1.ConditionOAuthKVBound, status: isFalse, reason: v1alpha1.ReasonStoreIncomplete, says: "moved to another",
		after: func(w *world) { // who refuses its store is never ready
			w.reports(w.pods(func(*corev1.Pod) {}), func(_ int, r *config.Report) {
				r.Store = config.Check{Status: "False", Reason: config.ReasonStoreIncomplete, Message: "moved to another"}
			})
		}},
	ofStore(v1alpha1.ReasonKeysMismatch),
	ofStore(v1alpha1.ReasonKeysInvalid),
	{conditionType: v1alpha1.ConditionOAuthKVBound, status: isFalse, reason: v1alpha1.ReasonCheckFailed, says: "tried it (BrandNew)",
		after: failing(func(r *config.Report) *config.Check { return &r.Store }, "BrandNew")},

	{conditionType: v1alpha1.ConditionUpstreamReady, status: isTrue, reason: v1alpha1.ReasonDiscovered, after: everybodyIsFine},
	{conditionType: v1alpha1.ConditionUpstreamReady, status: isUnknown, reason: v1alpha1.ReasonNotReported},
	{conditionType: v1alpha1.ConditionUpstreamReady, status: isFalse, reason: v1alpha1.ReasonSecretMissing, says: "upstreams[corp].oidc.clientSecretRef",
		before: func(w *world) { w.remove(&corev1.Secret{}, w.name+"-oidc") }},
	{conditionType: v1alpha1.ConditionUpstreamReady, status: isFalse, reason: v1alpha1.ReasonSecretNotAllowed, says: "kubectl label secret",
		before: func(w *world) { w.allow("") }},
	{conditionType: v1alpha1.ConditionUpstreamReady, status: isFalse, reason: v1alpha1.ReasonSecretKeyMissing, says: "clientSecretRef.key",
		spec: func(s *v1alpha1.MCPServer) { s.Spec.Upstreams[0].OIDC.ClientSecretRef.Key = "password" }},
	{conditionType: v1alpha1.ConditionUpstreamReady, status: isFalse, reason: v1alpha1.ReasonCABundleMissing, says: "caBundleRef", spec: caBundle},
	{conditionType: v1alpha1.ConditionUpstreamReady, status: isFalse, reason: v1alpha1.ReasonCABundleKeyMissing, says: "caBundleRef.key", spec: caBundle,
		before: func(w *world) { w.create(&corev1.ConfigMap{ObjectMeta: w.meta(w.name + "-ca")}) }},
	ofUpstream(v1alpha1.ReasonUpstreamUnreachable),
	ofUpstream(v1alpha1.ReasonUpstreamUntrusted),
	ofUpstream(v1alpha1.ReasonUpstreamIssuerDiffers),
	ofUpstream(v1alpha1.ReasonUpstreamInsecure),
	ofUpstream(v1alpha1.ReasonUpstreamFiles),
	ofUpstream(v1alpha1.ReasonUpstreamCredentials),

	{conditionType: v1alpha1.ConditionGatewayAvailable, status: isTrue, reason: v1alpha1.ReasonAvailable, after: everybodyIsFine},
	{conditionType: v1alpha1.ConditionGatewayAvailable, status: isUnknown, reason: v1alpha1.ReasonRollingOut},
	{conditionType: v1alpha1.ConditionGatewayAvailable, status: isFalse, reason: v1alpha1.ReasonNotDeployed, says: "MCPObjectBound",
		before: func(w *world) { w.remove(&corev1.Service{}, w.name+"-backend") }},
	{conditionType: v1alpha1.ConditionGatewayAvailable, status: isFalse, reason: v1alpha1.ReasonReferenceMissing,
		says: "oauth.clientRegistration.initialAccessTokenRef", spec: initialAccessToken},
	{conditionType: v1alpha1.ConditionGatewayAvailable, status: isFalse, reason: v1alpha1.ReasonSecretNotAllowed,
		says: "oauth.clientRegistration.initialAccessTokenRef", spec: initialAccessToken,
		before: func(w *world) { w.create(&corev1.Secret{ObjectMeta: w.meta(w.name + "-registration")}) }},
	{conditionType: v1alpha1.ConditionGatewayAvailable, status: isFalse, reason: v1alpha1.ReasonReferenceKeyMissing,
		says: "oauth.clientRegistration.initialAccessTokenRef.key", spec: initialAccessToken,
		before: func(w *world) { w.create(&corev1.Secret{ObjectMeta: w.allowed(w.name + "-registration")}) }},
	{conditionType: v1alpha1.ConditionGatewayAvailable, status: isFalse, reason: v1alpha1.ReasonReferenceMissing, says: "gateway.tls.secretRef", spec: withTLS},
	{conditionType: v1alpha1.ConditionGatewayAvailable, status: isFalse, reason: v1alpha1.ReasonCertificateInvalid,
		says: "-tls has no certificate with its key", spec: withTLS,
		before: func(w *world) { w.tls("no certificate", "no key") }},
	ofDeployment(v1alpha1.ReasonQuotaExceeded, "ResourceQuota", appsv1.DeploymentCondition{
		Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: `pods "x" is forbidden: exceeded quota: small`}),
	ofDeployment(v1alpha1.ReasonPodsRefused, "violates PodSecurity", appsv1.DeploymentCondition{
		Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: `pods "x" is forbidden: violates PodSecurity`}),
	ofDeployment(v1alpha1.ReasonProgressDeadlineExceeded, "has timed out", progressing(corev1.ConditionFalse, "ProgressDeadlineExceeded", "has timed out progressing")),
	ofPods(v1alpha1.ReasonUnschedulable, "no nodes", func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "no nodes are available"}}
	}),
	ofPods(v1alpha1.ReasonImagePullFailed, "--gateway-image", waiting("ImagePullBackOff", "not found")),
	ofPods(v1alpha1.ReasonContainerNotStarting, "will run as root", waiting("CreateContainerConfigError", "image will run as root")),
	ofPods(v1alpha1.ReasonCrashing, "exit code 1 (Error): gateway: configuration", func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "gateway", RestartCount: 3, LastTerminationState: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: "gateway: configuration\n"},
		}}}
	}),
	{conditionType: v1alpha1.ConditionGatewayAvailable, status: isFalse, reason: v1alpha1.ReasonPolicyInvalid, says: "1 of 2 replicas: policy: tried it",
		after: failing(func(r *config.Report) *config.Check { return &r.Policy }, v1alpha1.ReasonPolicyInvalid)},

	{conditionType: v1alpha1.ConditionExposed, status: isTrue, reason: v1alpha1.ReasonExposed, after: everybodyIsFine},
	{conditionType: v1alpha1.ConditionExposed, status: isUnknown, reason: v1alpha1.ReasonLoopbackURL, says: "publicURL",
		spec: func(s *v1alpha1.MCPServer) { s.Spec.PublicURL = "https://localhost/" + s.Name }},
	{conditionType: v1alpha1.ConditionExposed, status: isFalse, reason: v1alpha1.ReasonAPIMissing, says: "gateway.httpRoute: ",
		spec: func(s *v1alpha1.MCPServer) {
			s.Spec.Gateway.HTTPRoute = &v1alpha1.HTTPRoute{ParentRefs: []v1alpha1.ParentRef{{Name: "public"}}}
		}},
	{conditionType: v1alpha1.ConditionExposed, status: isUnknown, reason: v1alpha1.ReasonIngressPending, says: "gateway.ingress.className",
		spec: func(s *v1alpha1.MCPServer) { s.Spec.Gateway.Ingress = &v1alpha1.Ingress{} }},
	ofPublic(isUnknown, v1alpha1.ReasonPublicURLUnreachable), ofPublic(isUnknown, v1alpha1.ReasonPublicURLUntrusted),
	ofPublic(isFalse, v1alpha1.ReasonPublicURLNotServed), ofPublic(isFalse, v1alpha1.ReasonPublicURLIssuerDiffers),
	ofPublic(isFalse, v1alpha1.ReasonPublicURLMetadataDiffers),

	{conditionType: v1alpha1.ConditionMCPManagerCompatible, status: isTrue, reason: v1alpha1.ReasonCompatible, after: everybodyIsFine},
	{conditionType: v1alpha1.ConditionMCPManagerCompatible, status: isFalse, reason: v1alpha1.ReasonNoStreamableHTTPRoute, says: "StreamableHTTP",
		spec: func(s *v1alpha1.MCPServer) { s.Spec.Routes[0].Transport = v1alpha1.TransportSSE }},
	{conditionType: v1alpha1.ConditionMCPManagerCompatible, status: isUnknown, reason: v1alpha1.ReasonBindingNotReady},
	{conditionType: v1alpha1.ConditionMCPManagerCompatible, status: isFalse, reason: v1alpha1.ReasonBindingNotReady, says: "MCPObjectBound",
		after: func(w *world) { w.endpoints(false) }},
	{conditionType: v1alpha1.ConditionMCPManagerCompatible, status: isFalse, reason: v1alpha1.ReasonRegistrationDisabled, says: "oauth.clientRegistration.policy",
		spec: func(s *v1alpha1.MCPServer) { s.Spec.OAuth.ClientRegistration.Policy = v1alpha1.PolicyDisabled }},

	{conditionType: v1alpha1.ConditionReconciling, status: isTrue, reason: v1alpha1.ReasonProgressing},
	{conditionType: v1alpha1.ConditionReconciling, status: isFalse, reason: v1alpha1.ReasonSettled, after: everybodyIsFine},
	{conditionType: v1alpha1.ConditionReconciling, status: isTrue, reason: v1alpha1.ReasonAPIMissing, says: "gateway.podMonitor: ",
		spec: func(s *v1alpha1.MCPServer) { s.Spec.Gateway.PodMonitor = &v1alpha1.PodMonitor{} }},
	{conditionType: v1alpha1.ConditionStoreAdopted, status: isFalse, reason: v1alpha1.ReasonNotAdopted, after: everybodyIsFine},
	{conditionType: v1alpha1.ConditionStalled, status: isFalse, reason: v1alpha1.ReasonNotStalled},
	{conditionType: v1alpha1.ConditionStalled, status: isTrue, reason: v1alpha1.ReasonURLInCluster,
		spec: func(s *v1alpha1.MCPServer) {
			s.Spec.Bindings.MCPObject = v1alpha1.MCPObject{Type: v1alpha1.MCPObjectURL, URL: "http://127.0.0.1:3000"}
		}},
	{conditionType: v1alpha1.ConditionReady, status: isTrue, reason: v1alpha1.ReasonReady, after: everybodyIsFine},
	{conditionType: v1alpha1.ConditionReady, status: isFalse, reason: v1alpha1.ReasonNoReadyEndpoints, says: "MCPObjectBound: ",
		after: func(w *world) { w.endpoints(false) }},
	{conditionType: v1alpha1.ConditionReady, status: isUnknown, reason: v1alpha1.ReasonNotReported},
}

// elsewhere are the reasons that other tests provoke: it takes an API server that
// fails, a change of the store, or another CRD.
var elsewhere = []string{
	v1alpha1.ReasonRouteRejected, v1alpha1.ReasonRoutePending,
	v1alpha1.ReasonNotObserved, v1alpha1.ReasonRetrying, v1alpha1.ReasonMigrated, v1alpha1.ReasonMigrationUnfinished,
	v1alpha1.ReasonStoreNotGrown, v1alpha1.ReasonKeyDropPending, v1alpha1.ReasonPredecessorRemains,
	v1alpha1.ReasonWaitingForUpgrade, v1alpha1.ReasonFieldUnknown, v1alpha1.ReasonCertificateExpired, v1alpha1.ReasonCertificateNameDiffers,
	v1alpha1.ReasonNotScaling, v1alpha1.ReasonAnotherController, v1alpha1.ReasonAdopted, v1alpha1.ReasonVariableIgnored,
}

func TestEveryReason(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	start(t, account(t, ns, ns), ns)
	seen := map[string]bool{}
	for i, s := range situations {
		seen[s.reason] = true
		t.Run(s.conditionType+" "+s.reason, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ns, "s"+strconv.Itoa(i))
			if s.before != nil {
				s.before(w)
			}
			change := func(*v1alpha1.MCPServer) {}
			if s.spec != nil {
				change = s.spec
			}
			w.server(change)
			if s.after != nil {
				w.becomes(v1alpha1.ConditionGatewayAvailable, isUnknown, v1alpha1.ReasonRollingOut)
				s.after(w)
			}
			c := w.becomes(s.conditionType, s.status, s.reason)
			if !strings.Contains(c.Message, s.says) {
				t.Errorf("the message does not say %q: %s", s.says, c.Message)
			}
			t.Log(c.Message)
			w.complete()
		})
	}
	for name, reason := range constants(t, "Reason") {
		if !seen[reason] && !slices.Contains(elsewhere, reason) {
			t.Errorf("nothing provokes %s", name)
		}
	}
}

// complete checks what holds of the conditions of every server at all times.
func (w *world) complete() {
	w.t.Helper()
	s, always := w.get(), constants(w.t, "Condition")
	delete(always, "ConditionControllerConflict")
	for name, conditionType := range always {
		c := meta.FindStatusCondition(s.Status.Conditions, conditionType)
		if c == nil {
			w.t.Errorf("%s is missing", name)
			continue
		}
		if c.ObservedGeneration != s.Generation || c.Reason == "" || c.Message == "" || c.LastTransitionTime.IsZero() {
			w.t.Errorf("%s is incomplete: %v", name, c)
		}
	}
	if len(s.Status.Conditions) != len(always) {
		w.t.Errorf("%d conditions, want %d", len(s.Status.Conditions), len(always))
	}
	if s.Status.ObservedGeneration != s.Generation {
		w.t.Errorf("observedGeneration is %d, want %d", s.Status.ObservedGeneration, s.Generation)
	}
}

// An API server that fails is said to, and what it did not say is not guessed.
func TestAFailureIsInTheStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	w.server()
	c := newTap(nil)
	c.fault = func(int, int) (error, bool) {
		if strings.HasPrefix(c.calls[len(c.calls)-1], "list *v1.EndpointSliceList") {
			return errFault, false
		}
		return nil, false
	}
	r := reconciler(c)
	if _, err := r.Reconcile(t.Context(), w.request()); err == nil {
		t.Error("the failure is not an error")
	}
	w.wants(v1alpha1.ConditionMCPObjectBound, isUnknown, v1alpha1.ReasonNotObserved)
	w.wants(v1alpha1.ConditionReconciling, isTrue, v1alpha1.ReasonRetrying)
	w.wants(v1alpha1.ConditionUpstreamReady, isUnknown, v1alpha1.ReasonNotReported)
	w.wants(v1alpha1.ConditionReady, isFalse, v1alpha1.ReasonNotDeployed)
	if m := w.condition(v1alpha1.ConditionReconciling).Message; !strings.Contains(m, errFault.Error()) {
		t.Errorf("the message does not say what failed: %s", m)
	}
	if len(w.owned()) > 0 {
		t.Error("who has not seen all acts nevertheless")
	}
	w.complete()
}
