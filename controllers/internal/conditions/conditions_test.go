package conditions_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

const (
	current = "current-template"
	name    = "weather-gateway-config-1"
)

// good is an observation of a server of three replicas with which nothing is wrong.
func good() *conditions.Observation {
	ok := config.Check{Status: "True"}
	o := &conditions.Observation{
		Server: &v1alpha1.MCPServer{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "weather", UID: "5e8c", Generation: 7},
			Spec: v1alpha1.MCPServerSpec{
				PublicURL: "https://weather.example.com",
				Bindings: v1alpha1.Bindings{MCPObject: v1alpha1.MCPObject{
					Type: v1alpha1.MCPObjectService, Service: &v1alpha1.ServicePort{Name: "weather", Port: intstr.FromString("http")},
				}},
				Routes:    []v1alpha1.Route{{Name: "mcp", Transport: v1alpha1.TransportStreamableHTTP}, {Name: "admin"}},
				Upstreams: []v1alpha1.Upstream{{Name: "corp"}},
				Gateway:   v1alpha1.Gateway{Replicas: 3},
			},
		},
		Refusals:   []conditions.Refusal{},
		Backends:   map[v1alpha1.ServicePort]*conditions.Backend{},
		Store:      &conditions.Store{},
		References: []conditions.Reference{},
		Gateway: &conditions.Gateway{
			Deployment: &appsv1.Deployment{
				ObjectMeta: metav1.ObjectMeta{Generation: 2},
				Status: appsv1.DeploymentStatus{ObservedGeneration: 2, Conditions: []appsv1.DeploymentCondition{
					{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
				}},
			},
			Reports: map[types.UID]*config.Report{},
		},
	}
	o.Backends[*o.Server.Spec.Bindings.MCPObject.Service] = &conditions.Backend{Exists: true, Port: resources.Port{Number: 8000}, Ready: 2}
	o.Gateway.Deployment.Spec.Template.Labels = map[string]string{resources.LabelTemplate: current}
	for i := range 3 {
		uid := fmt.Sprintf("uid-%d", i)
		o.Gateway.Pods = append(o.Gateway.Pods, corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Name: fmt.Sprintf("pod-%d", i), UID: types.UID(uid),
				Labels:      map[string]string{resources.LabelTemplate: current},
				Annotations: map[string]string{resources.AnnotationConfig: name},
			},
			Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
		})
		o.Gateway.Reports[types.UID(uid)] = &config.Report{
			Config: name, Policy: ok, Store: ok,
			Upstreams: map[string]config.Check{"corp": ok},
			Routes:    map[string]config.Check{"mcp": ok, "admin": ok},
			Public:    ok,
		}
	}
	return o
}

// shared is the backend that routes have by default.
func shared(o *conditions.Observation) *conditions.Backend {
	return o.Backends[*o.Server.Spec.Bindings.MCPObject.Service]
}

func unready(o *conditions.Observation, pods ...int) {
	for _, i := range pods {
		o.Gateway.Pods[i].Status.Conditions = nil
	}
}

func rolling(o *conditions.Observation) {
	o.Gateway.Deployment.Status.Conditions[0].Reason = "ReplicaSetUpdated"
}

func failed(reason, message string) config.Check {
	return config.Check{Status: "False", Reason: reason, Message: message}
}

func report(o *conditions.Observation, pod int) *config.Report {
	return o.Gateway.Reports[types.UID(fmt.Sprintf("uid-%d", pod))]
}

const (
	isTrue    = metav1.ConditionTrue
	isFalse   = metav1.ConditionFalse
	isUnknown = metav1.ConditionUnknown
)

func TestConditions(t *testing.T) {
	for _, c := range []struct {
		name          string
		seen          func(o *conditions.Observation)
		conditionType string
		status        metav1.ConditionStatus
		reason        string
		message       string // is in the condition's
	}{
		{"all is well", func(*conditions.Observation) {}, v1alpha1.ConditionReady, isTrue, v1alpha1.ReasonReady, ""},

		{"two refusals are both named", func(o *conditions.Observation) {
			o.Refusals = []conditions.Refusal{{Reason: v1alpha1.ReasonNameConflict, Message: "First."}, {Reason: v1alpha1.ReasonURLInCluster, Message: "Second."}}
		}, v1alpha1.ConditionAccepted, isFalse, v1alpha1.ReasonNameConflict, "First. Second."},
		{"refusals are not known", func(o *conditions.Observation) { o.Refusals = nil },
			v1alpha1.ConditionAccepted, isUnknown, v1alpha1.ReasonNotObserved, ""},

		{"the Service comes before what gateways say", func(o *conditions.Observation) {
			shared(o).Ready = 0
			report(o, 0).Routes["mcp"] = failed(config.ReasonBackendNotMCP, "404")
		}, v1alpha1.ConditionMCPObjectBound, isFalse, v1alpha1.ReasonNoReadyEndpoints, "port http"},
		{"the worst report counts", func(o *conditions.Observation) {
			report(o, 1).Routes["admin"] = failed(config.ReasonBackendNotMCP, "GET answers 404")
		}, v1alpha1.ConditionMCPObjectBound, isFalse, v1alpha1.ReasonBackendNotMCP, "1 of 3 replicas: routes[admin]: GET answers 404. Check backendPath"},
		{"a replica with two failures is one replica", func(o *conditions.Observation) {
			for _, route := range []string{"mcp", "admin"} {
				report(o, 1).Routes[route] = failed(config.ReasonBackendNotMCP, "404")
				report(o, 2).Routes[route] = failed(config.ReasonBackendUnreachable, "refused")
			}
		}, v1alpha1.ConditionMCPObjectBound, isFalse, v1alpha1.ReasonBackendNotMCP, "2 of 3 replicas: routes[mcp]"},
		{"a failure is worse than an unknown outcome", func(o *conditions.Observation) {
			report(o, 0).Routes["mcp"] = config.Check{Status: "Unknown"}
			report(o, 2).Routes["admin"] = failed(config.ReasonBackendUnreachable, "refused")
		}, v1alpha1.ConditionMCPObjectBound, isFalse, v1alpha1.ReasonBackendUnreachable, "1 of 3"},
		{"an unknown outcome is not a good one", func(o *conditions.Observation) { report(o, 0).Store = config.Check{Status: "Unknown"} },
			v1alpha1.ConditionOAuthKVBound, isUnknown, v1alpha1.ReasonNotReported, ""},
		{"a route that is not reported on is not known", func(o *conditions.Observation) { delete(report(o, 2).Routes, "admin") },
			v1alpha1.ConditionMCPObjectBound, isUnknown, v1alpha1.ReasonNotReported, ""},
		{"a failure that is not known", func(o *conditions.Observation) { report(o, 0).Store = failed("Brand_New", "odd") },
			v1alpha1.ConditionOAuthKVBound, isFalse, v1alpha1.ReasonCheckFailed, "odd (Brand_New)"},

		{"reports of other pods do not count", func(o *conditions.Observation) {
			report(o, 0).Store = failed(config.ReasonStoreForbidden, "old")
			o.Gateway.Pods[0].Labels[resources.LabelTemplate] = "old"
		}, v1alpha1.ConditionOAuthKVBound, isTrue, v1alpha1.ReasonBound, ""},
		{"nor of pods that are not ready", func(o *conditions.Observation) {
			report(o, 0).Store = failed(config.ReasonStoreForbidden, "unready")
			unready(o, 0)
		}, v1alpha1.ConditionOAuthKVBound, isTrue, v1alpha1.ReasonBound, ""},
		{"but that those refuse their store does", func(o *conditions.Observation) {
			for _, i := range []int{0, 2} {
				report(o, i).Store = failed(config.ReasonStoreIncomplete, "moved")
				unready(o, i)
			}
		}, v1alpha1.ConditionOAuthKVBound, isFalse, v1alpha1.ReasonStoreIncomplete, "2 of 3 replicas: bindings.oauthKV: moved. "},
		{"if they have that configuration", func(o *conditions.Observation) {
			report(o, 0).Store = failed(config.ReasonStoreIncomplete, "moved")
			report(o, 0).Config = "weather-gateway-config-0"
			unready(o, 0)
		}, v1alpha1.ConditionOAuthKVBound, isTrue, v1alpha1.ReasonBound, ""},
		{"nor of pods on their way out", func(o *conditions.Observation) {
			report(o, 0).Store = failed(config.ReasonStoreForbidden, "ending")
			now := metav1.Now()
			o.Gateway.Pods[0].DeletionTimestamp = &now
		}, v1alpha1.ConditionOAuthKVBound, isTrue, v1alpha1.ReasonBound, ""},
		{"nor about another configuration", func(o *conditions.Observation) {
			report(o, 0).Store = failed(config.ReasonStoreForbidden, "before")
			report(o, 0).Config = "weather-gateway-config-0"
		}, v1alpha1.ConditionOAuthKVBound, isTrue, v1alpha1.ReasonBound, ""},
		{"nor those that cannot be read", func(o *conditions.Observation) { o.Gateway.Reports["uid-0"] = nil },
			v1alpha1.ConditionOAuthKVBound, isTrue, v1alpha1.ReasonBound, ""},
		{"and without any, nothing is known", func(o *conditions.Observation) { o.Gateway.Reports = nil },
			v1alpha1.ConditionUpstreamReady, isUnknown, v1alpha1.ReasonNotReported, ""},

		{"lost keys are worse than a lost shard", func(o *conditions.Observation) {
			o.Store.KeysLost, o.Store.Lost = true, []string{"a"}
		}, v1alpha1.ConditionOAuthKVBound, isFalse, v1alpha1.ReasonKeysLost, ""},
		{"keys of another are worse than a lost shard", func(o *conditions.Observation) {
			o.Store.KeysReplaced, o.Store.Lost = true, []string{"a"}
		}, v1alpha1.ConditionOAuthKVBound, isFalse, v1alpha1.ReasonKeysReplaced, "Secret weather-gateway-keys"},
		{"keys of another stop everything", func(o *conditions.Observation) { o.Store.KeysReplaced = true },
			v1alpha1.ConditionStalled, isTrue, v1alpha1.ReasonKeysReplaced, ""},

		{"records of one's own", func(o *conditions.Observation) { o.Store.SealedTo = string(o.Server.UID) },
			v1alpha1.ConditionStoreAdopted, isFalse, v1alpha1.ReasonNotAdopted, ""},
		{"an adoption now", adoption, v1alpha1.ConditionStoreAdopted, isTrue, v1alpha1.ReasonAdopted, "were adopted at 2026-11-30T04:05:06Z."},
		{"an adoption gates nothing", adoption, v1alpha1.ConditionReady, isTrue, v1alpha1.ReasonReady, ""},
		{"adopted earlier, the time stays", both(adoption, adoptedBefore),
			v1alpha1.ConditionStoreAdopted, isTrue, v1alpha1.ReasonAdopted, "were adopted at 2026-01-02T03:04:05Z."},
		{"adopted earlier, and the store cannot be observed", both(adoptedBefore, func(o *conditions.Observation) { o.Store = nil }),
			v1alpha1.ConditionStoreAdopted, isTrue, v1alpha1.ReasonAdopted, "as before"},
		{"adopted earlier, and the keys are gone", both(adoptedBefore, func(o *conditions.Observation) { o.Store.KeysLost = true }),
			v1alpha1.ConditionStoreAdopted, isTrue, v1alpha1.ReasonAdopted, "as before"},
		{"an adoption of before, and the records are one's own", both(adoptedBefore, func(o *conditions.Observation) { o.Store.SealedTo = string(o.Server.UID) }),
			v1alpha1.ConditionStoreAdopted, isFalse, v1alpha1.ReasonNotAdopted, ""},
		{"no adoption before, and the keys are gone", func(o *conditions.Observation) { o.Store.KeysLost = true },
			v1alpha1.ConditionStoreAdopted, isFalse, v1alpha1.ReasonNotAdopted, ""},

		{"many lost shards", func(o *conditions.Observation) { o.Store.Lost = []string{"a", "b", "c", "d", "e", "f"} },
			v1alpha1.ConditionOAuthKVBound, isFalse, v1alpha1.ReasonStoreObjectLost, "a, b, c, d, e, and more"},

		{"no Deployment, and nothing says why", func(o *conditions.Observation) { o.Gateway.Deployment = nil },
			v1alpha1.ConditionGatewayAvailable, isFalse, v1alpha1.ReasonNotDeployed, "Reconciling"},
		{"a pod that was moved takes nothing away", func(o *conditions.Observation) { unready(o, 0, 1) },
			v1alpha1.ConditionGatewayAvailable, isTrue, v1alpha1.ReasonAvailable, "1 of 3"},
		{"the last one does", func(o *conditions.Observation) { unready(o, 0, 1, 2) },
			v1alpha1.ConditionGatewayAvailable, isUnknown, v1alpha1.ReasonRollingOut, "0 of 3"},
		{"in a rollout all must be ready", func(o *conditions.Observation) { unready(o, 0); rolling(o) },
			v1alpha1.ConditionGatewayAvailable, isUnknown, v1alpha1.ReasonRollingOut, "2 of 3"},
		{"what the Deployment says of an older spec does not count", func(o *conditions.Observation) {
			unready(o, 0)
			o.Gateway.Deployment.Generation++
		}, v1alpha1.ConditionGatewayAvailable, isUnknown, v1alpha1.ReasonRollingOut, ""},
		{"a crash in the past of a ready pod", func(o *conditions.Observation) { crashed(o, 0) },
			v1alpha1.ConditionGatewayAvailable, isTrue, v1alpha1.ReasonAvailable, ""},
		{"one of three crashes", func(o *conditions.Observation) { crashed(o, 0); unready(o, 0) },
			v1alpha1.ConditionGatewayAvailable, isFalse, v1alpha1.ReasonCrashing, "2 of 3 replicas are ready: pod pod-0 ended 4 times, at last with exit code 2"},
		{"a sidecar's image cannot be had", func(o *conditions.Observation) {
			unready(o, 0)
			o.Gateway.Pods[0].Status.InitContainerStatuses = []corev1.ContainerStatus{{
				Name: "mesh", Image: "mesh:1", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "not found"}},
			}}
		}, v1alpha1.ConditionGatewayAvailable, isFalse, v1alpha1.ReasonImagePullFailed, "it is not the gateway's: look for what adds the container mesh to pods"},
		{"an init container fails", func(o *conditions.Observation) {
			unready(o, 0)
			o.Gateway.Pods[0].Status.InitContainerStatuses = []corev1.ContainerStatus{{
				Name: "mesh-init", RestartCount: 2, LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 3, Reason: "Error"}},
			}}
		}, v1alpha1.ConditionGatewayAvailable, isFalse, v1alpha1.ReasonCrashing, "container mesh-init of pod pod-0 ended 2 times, at last with exit code 3"},
		{"a pod that was evicted, and replaced", func(o *conditions.Observation) {
			evicted := o.Gateway.Pods[0].DeepCopy()
			evicted.Name, evicted.UID, evicted.Status.Phase = "evicted", "evicted", corev1.PodFailed
			o.Gateway.Pods = append(o.Gateway.Pods, *evicted)
			crashed(o, len(o.Gateway.Pods)-1)
			unready(o, len(o.Gateway.Pods)-1)
		}, v1alpha1.ConditionGatewayAvailable, isTrue, v1alpha1.ReasonAvailable, "3 of 3"},
		{"replicas are those that the autoscaler wants", func(o *conditions.Observation) {
			o.Server.Spec.Gateway.Autoscaling = &v1alpha1.Autoscaling{MinReplicas: 2, MaxReplicas: 9}
			o.Gateway.Deployment.Spec.Replicas = ptr.To[int32](5)
		}, v1alpha1.ConditionGatewayAvailable, isTrue, v1alpha1.ReasonAvailable, "3 of 5 replicas"},
		{"a quota that an autoscaler meets", func(o *conditions.Observation) {
			o.Server.Spec.Gateway.Autoscaling = &v1alpha1.Autoscaling{MinReplicas: 2, MaxReplicas: 9}
			deployment(appsv1.DeploymentReplicaFailure, corev1.ConditionTrue, "exceeded quota: small")(o)
		}, v1alpha1.ConditionGatewayAvailable, isFalse, v1alpha1.ReasonQuotaExceeded, "lower gateway.autoscaling.maxReplicas."},
		{"a change that could not be applied", func(o *conditions.Observation) { o.Failure = errors.New("denied") },
			v1alpha1.ConditionGatewayAvailable, isUnknown, v1alpha1.ReasonRollingOut, "may not be the current one"},
		{"a newer controller that is not there yet", func(o *conditions.Observation) { o.Waits = true },
			v1alpha1.ConditionGatewayAvailable, isTrue, v1alpha1.ReasonWaitingForUpgrade, "3 of 3 replicas are available as an earlier controller has set them up. They are replaced when it is their turn"},
		{"one that waits, and crashes", func(o *conditions.Observation) { o.Waits = true; crashed(o, 0); unready(o, 0) },
			v1alpha1.ConditionGatewayAvailable, isFalse, v1alpha1.ReasonCrashing, ""},
		{"a failure after it was applied", func(o *conditions.Observation) { o.Failure, o.Applied = errors.New("denied"), true },
			v1alpha1.ConditionGatewayAvailable, isTrue, v1alpha1.ReasonAvailable, ""},
		{"a clean end is no crash", func(o *conditions.Observation) {
			crashed(o, 0)
			o.Gateway.Pods[0].Status.ContainerStatuses[0].LastTerminationState.Terminated.ExitCode = 0
			unready(o, 0)
		}, v1alpha1.ConditionGatewayAvailable, isTrue, v1alpha1.ReasonAvailable, "2 of 3"},
		{"a policy that one does not understand", func(o *conditions.Observation) {
			report(o, 2).Policy = failed(config.ReasonPolicyInvalid, "unknown member")
		}, v1alpha1.ConditionGatewayAvailable, isFalse, v1alpha1.ReasonPolicyInvalid, "1 of 3 replicas: policy: unknown member"},
		{"a certificate that one cannot use", func(o *conditions.Observation) {
			report(o, 2).Policy = failed(config.ReasonCertificateInvalid, "the newest certificate is not used: expired")
		}, v1alpha1.ConditionGatewayAvailable, isFalse, v1alpha1.ReasonCertificateInvalid, "1 of 3 replicas: gateway.tls: the newest certificate"},
		{"no certificate", func(o *conditions.Observation) {
			o.References = []conditions.Reference{{Reference: resources.Reference{Field: "gateway.tls.secretRef", Kind: "Secret", Name: "weather-tls", Key: "tls.crt"}}}
		}, v1alpha1.ConditionGatewayAvailable, isFalse, v1alpha1.ReasonReferenceMissing, "no Secret weather-tls in this namespace: create it with the key tls.crt, or change gateway.tls.secretRef."},
		{"a certificate that has expired", certificate(func(r *conditions.Reference) {
			r.Expired, r.Misnamed = time.Date(2026, 11, 30, 4, 5, 6, 0, time.FixedZone("", 3600)), true
		}), v1alpha1.ConditionGatewayAvailable, isFalse, v1alpha1.ReasonCertificateExpired, "in Secret weather-tls has expired at 2026-11-30T03:05:06Z: renew it, or change gateway.tls.secretRef."},
		{"a certificate for another name", certificate(func(r *conditions.Reference) { r.Misnamed = true }),
			v1alpha1.ConditionGatewayAvailable, isFalse, v1alpha1.ReasonCertificateNameDiffers, "in Secret weather-tls is neither for the host of publicURL nor for the gateway's Service"},
		{"a certificate that clients accept", certificate(func(*conditions.Reference) {}),
			v1alpha1.ConditionGatewayAvailable, isTrue, v1alpha1.ReasonAvailable, "3 of 3"},
		{"an autoscaler without metrics", autoscaler(autoscalingv2.ScalingActive, corev1.ConditionFalse, "no metrics"),
			v1alpha1.ConditionGatewayAvailable, isTrue, v1alpha1.ReasonNotScaling, "3 of 3 replicas are available, and their number stays as it is. The HorizontalPodAutoscaler says: no metrics"},
		{"an autoscaler that cannot scale", autoscaler(autoscalingv2.AbleToScale, corev1.ConditionFalse, "no scale"),
			v1alpha1.ConditionGatewayAvailable, isTrue, v1alpha1.ReasonNotScaling, "says: no scale"},
		{"an autoscaler that scales", autoscaler(autoscalingv2.ScalingActive, corev1.ConditionTrue, "valid metrics"),
			v1alpha1.ConditionGatewayAvailable, isTrue, v1alpha1.ReasonAvailable, "3 of 3"},
		{"an autoscaler within its limits", autoscaler(autoscalingv2.ScalingLimited, corev1.ConditionFalse, "within the range"),
			v1alpha1.ConditionGatewayAvailable, isTrue, v1alpha1.ReasonAvailable, "3 of 3"},
		{"a policy that is not known to be in force", func(o *conditions.Observation) { report(o, 2).Policy = config.Check{} },
			v1alpha1.ConditionGatewayAvailable, isTrue, v1alpha1.ReasonAvailable, ""},

		{"registration before bindings", func(o *conditions.Observation) {
			o.Server.Spec.OAuth.ClientRegistration.Policy = v1alpha1.PolicyDisabled
			shared(o).Exists = false
		}, v1alpha1.ConditionMCPManagerCompatible, isFalse, v1alpha1.ReasonRegistrationDisabled, ""},
		{"a binding that is False before one that is not known", func(o *conditions.Observation) {
			o.Backends = nil
			o.Store.KeysLost = true
		}, v1alpha1.ConditionMCPManagerCompatible, isFalse, v1alpha1.ReasonBindingNotReady, "OAuthKVBound"},
		{"other conditions are not bindings", func(o *conditions.Observation) { o.References = nil },
			v1alpha1.ConditionMCPManagerCompatible, isTrue, v1alpha1.ReasonCompatible, ""},

		{"False before Unknown", func(o *conditions.Observation) { o.Backends = nil; o.Store.KeysLost = true },
			v1alpha1.ConditionReady, isFalse, v1alpha1.ReasonKeysLost, "OAuthKVBound: "},
		{"the first False", func(o *conditions.Observation) { shared(o).Exists = false; o.Store.KeysLost = true },
			v1alpha1.ConditionReady, isFalse, v1alpha1.ReasonServiceMissing, "MCPObjectBound: "},
		{"the first Unknown", func(o *conditions.Observation) { o.Backends, o.Store = nil, nil },
			v1alpha1.ConditionReady, isUnknown, v1alpha1.ReasonNotObserved, "MCPObjectBound: "},
		{"MCP Manager does not gate", func(o *conditions.Observation) {
			o.Server.Spec.OAuth.ClientRegistration.Policy = v1alpha1.PolicyDisabled
		}, v1alpha1.ConditionReady, isTrue, v1alpha1.ReasonReady, ""},

		{"a rollout is under way", func(o *conditions.Observation) { unready(o, 0); rolling(o) },
			v1alpha1.ConditionReconciling, isTrue, v1alpha1.ReasonProgressing, "GatewayAvailable"},
		{"a failure is repeated", func(o *conditions.Observation) { o.Failure = errors.New("no answer") },
			v1alpha1.ConditionReconciling, isTrue, v1alpha1.ReasonRetrying, "no answer"},
		{"a missing Service is waited for, not worked on", func(o *conditions.Observation) { shared(o).Exists = false },
			v1alpha1.ConditionReconciling, isFalse, v1alpha1.ReasonSettled, ""},
		{"so is what keeps the first gateway from running", func(o *conditions.Observation) {
			shared(o).Exists = false
			o.Gateway.Deployment, o.Gateway.Reports = nil, nil
		}, v1alpha1.ConditionReconciling, isFalse, v1alpha1.ReasonSettled, ""},
		{"who is stalled does not reconcile", func(o *conditions.Observation) { o.Store.KeysLost, o.Backends = true, nil },
			v1alpha1.ConditionReconciling, isFalse, v1alpha1.ReasonSettled, ""},
		{"a refusal stalls", func(o *conditions.Observation) {
			o.Refusals = []conditions.Refusal{{Reason: v1alpha1.ReasonNameConflict, Message: "x"}}
		}, v1alpha1.ConditionStalled, isTrue, v1alpha1.ReasonNameConflict, "Accepted: x"},
		{"a lost shard stalls", func(o *conditions.Observation) { o.Store.Lost = []string{"a"} },
			v1alpha1.ConditionStalled, isTrue, v1alpha1.ReasonStoreObjectLost, "OAuthKVBound: "},
		{"a missing Service does not", func(o *conditions.Observation) { shared(o).Exists = false },
			v1alpha1.ConditionStalled, isFalse, v1alpha1.ReasonNotStalled, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := good()
			c.seen(o)
			got := meta.FindStatusCondition(conditions.All(o), c.conditionType)
			if got.Status != c.status || got.Reason != c.reason || !strings.Contains(got.Message, c.message) {
				t.Errorf("%s is %s/%s, want %s/%s, saying %q: %s", c.conditionType, got.Status, got.Reason, c.status, c.reason, c.message, got.Message)
			}
		})
	}
}

// adoption seals the records to the UID of an earlier server.
func adoption(o *conditions.Observation) {
	o.Store.SealedTo = "0d2a4a3c-5a0e-4a6e-9d5e-0f6f6f6f6f6f"
	o.At = time.Date(2026, 11, 30, 4, 5, 6, 0, time.UTC)
}

// adoptedBefore puts an adoption into the status.
func adoptedBefore(o *conditions.Observation) {
	o.Server.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionStoreAdopted, Status: isTrue, Reason: v1alpha1.ReasonAdopted,
		Message: "as before", LastTransitionTime: metav1.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}
}

// autoscaler gives the server a HorizontalPodAutoscaler with one condition.
func autoscaler(conditionType autoscalingv2.HorizontalPodAutoscalerConditionType, status corev1.ConditionStatus, message string) func(*conditions.Observation) {
	return func(o *conditions.Observation) {
		o.Autoscaler = &autoscalingv2.HorizontalPodAutoscaler{Status: autoscalingv2.HorizontalPodAutoscalerStatus{
			Conditions: []autoscalingv2.HorizontalPodAutoscalerCondition{{Type: conditionType, Status: status, Message: message}},
		}}
	}
}

func crashed(o *conditions.Observation, pod int) {
	o.Gateway.Pods[pod].Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "gateway", RestartCount: 4, LastTerminationState: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{ExitCode: 2, Reason: "Error", Message: "panic"},
	}}}
}

// Before anything was seen, everything is Unknown, and nothing is missing.
func TestNothingSeen(t *testing.T) {
	o := &conditions.Observation{Server: good().Server}
	for _, c := range conditions.All(o) {
		switch c.Type {
		case v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled:
		default:
			if c.Status != isUnknown {
				t.Errorf("%s is %s", c.Type, c.Status)
			}
		}
		if c.ObservedGeneration != 7 || c.Reason == "" || c.Message == "" {
			t.Errorf("%s is incomplete: %v", c.Type, c)
		}
	}
}

// Messages are people's, and there are bounds to what they read.
func TestMessagesAreBounded(t *testing.T) {
	o := good()
	report(o, 0).Store = failed(config.ReasonStoreForbidden, strings.Repeat("ä", 10_000))
	for _, c := range conditions.All(o) {
		if len(c.Message) > 1100 || strings.ContainsRune(c.Message, '\uFFFD') {
			t.Errorf("%s says %d bytes: %s", c.Type, len(c.Message), c.Message)
		}
	}
}

// Every reason that a gateway can give is one of the API's, with a way out.
func TestReasonsOfReports(t *testing.T) {
	for _, reason := range []string{
		config.ReasonStoreForbidden, config.ReasonStoreObjectAbsent, config.ReasonStoreUnreachable, config.ReasonStoreUnwritable, config.ReasonStoreIncomplete, config.ReasonKeysMismatch,
		config.ReasonUpstreamUnreachable, config.ReasonUpstreamUntrusted, config.ReasonUpstreamIssuerDiffers, config.ReasonUpstreamFiles,
		config.ReasonUpstreamCredentials, config.ReasonUpstreamInsecure,
		config.ReasonBackendUnreachable, config.ReasonBackendUntrusted, config.ReasonBackendNotMCP, config.ReasonBackendUnauthorized, config.ReasonPolicyInvalid,
		config.ReasonCertificateInvalid,
	} {
		o := good()
		report(o, 0).Store = failed(reason, "x")
		if c := meta.FindStatusCondition(conditions.All(o), v1alpha1.ConditionOAuthKVBound); c.Reason != reason || strings.HasSuffix(c.Message, "x") {
			t.Errorf("%s becomes %s: %s", reason, c.Reason, c.Message)
		}
	}
}
