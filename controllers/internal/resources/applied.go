package resources

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"
	rbacv1ac "k8s.io/client-go/applyconfigurations/rbac/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/gateway/config"
)

// PolicyMap is the ConfigMap with the policy, which gateways watch.
func PolicyMap(server *v1alpha1.MCPServer) (*corev1ac.ConfigMapApplyConfiguration, error) {
	policy, err := json.Marshal(GatewayPolicy(server))
	if err != nil {
		return nil, fmt.Errorf("encoding the policy: %w", err)
	}
	targets, err := json.Marshal(config.TargetsOf(GatewayConfig(server, Inputs{})))
	if err != nil {
		return nil, fmt.Errorf("encoding what the policy is for: %w", err)
	}
	return corev1ac.ConfigMap(PolicyName(server), server.Namespace).
		WithLabels(Labels(server, ComponentPolicy)).
		WithOwnerReferences(owner(server)).
		WithData(map[string]string{config.PolicyKey: string(policy), config.TargetsKey: string(targets)}), nil
}

// ServiceAccount is whom gateway pods are to the API server.
func ServiceAccount(server *v1alpha1.MCPServer) *corev1ac.ServiceAccountApplyConfiguration {
	return corev1ac.ServiceAccount(Name(server), server.Namespace).
		WithLabels(Labels(server, ComponentGateway)).
		WithOwnerReferences(owner(server))
}

// Role is all that a gateway may do: with these objects, by name, and with the
// EndpointSlices of the namespace if it tells a backend's pods apart. What else it
// may not list, it cannot find. Gateways that still run with a configuration of before
// may go on.
func Role(server *v1alpha1.MCPServer, clientShards, grantShards int, before ...*config.Config) *rbacv1ac.RoleApplyConfiguration {
	role := rbacv1ac.Role(Name(server), server.Namespace).
		WithLabels(Labels(server, ComponentGateway)).
		WithOwnerReferences(owner(server))
	core := func(resource string, verbs []string, names ...string) {
		role.WithRules(rbacv1ac.PolicyRule().WithAPIGroups("").WithResources(resource).WithVerbs(verbs...).WithResourceNames(names...))
	}
	shards := map[v1alpha1.ShardKind]map[Part]int{v1alpha1.ShardSecret: {}, v1alpha1.ShardConfigMap: {}}
	followsPods := slices.ContainsFunc(Objects(server), func(o Object) bool { return keepsSessions(o.MCPObject) })
	if kv := server.Spec.Bindings.OAuthKV.Kubernetes; kv != nil {
		shards[kv.Kind] = map[Part]int{Clients: clientShards, Grants: grantShards}
	}
	for _, c := range before {
		followsPods = followsPods || c.FollowsPods()
		for _, s := range []*config.Store{&c.Store, c.MigrateFrom} {
			if s == nil || s.Kubernetes == nil {
				continue
			}
			of := shards[v1alpha1.ShardKind(s.Kubernetes.Kind)]
			of[Clients], of[Grants] = max(of[Clients], s.Kubernetes.ClientShards), max(of[Grants], s.Kubernetes.GrantShards)
		}
	}
	for _, kind := range []v1alpha1.ShardKind{v1alpha1.ShardSecret, v1alpha1.ShardConfigMap} {
		var names []string
		for _, part := range []Part{Clients, Grants} {
			for n := range shards[kind][part] {
				names = append(names, ShardName(server, part, n))
			}
		}
		if len(names) > 0 {
			core(strings.ToLower(string(kind))+"s", []string{"get", "watch", "patch"}, names...)
		}
	}
	core("configmaps", []string{"get", "watch"}, PolicyName(server))
	core("configmaps", []string{"get", "patch"}, ReportName(server))
	if followsPods {
		// Their names are made up, so none can be given.
		role.WithRules(rbacv1ac.PolicyRule().WithAPIGroups("discovery.k8s.io").WithResources("endpointslices").WithVerbs("list", "watch"))
	}
	return role
}

// RoleBinding gives the Role to the ServiceAccount.
func RoleBinding(server *v1alpha1.MCPServer) *rbacv1ac.RoleBindingApplyConfiguration {
	return rbacv1ac.RoleBinding(Name(server), server.Namespace).
		WithLabels(Labels(server, ComponentGateway)).
		WithOwnerReferences(owner(server)).
		WithRoleRef(rbacv1ac.RoleRef().WithAPIGroup(rbacv1.GroupName).WithKind("Role").WithName(Name(server))).
		WithSubjects(rbacv1ac.Subject().WithKind(rbacv1.ServiceAccountKind).WithNamespace(server.Namespace).WithName(Name(server)))
}

// ServicePort is the port at which whatever serves publicURL sends requests.
func ServicePort(server *v1alpha1.MCPServer) *corev1ac.ServicePortApplyConfiguration {
	port := corev1ac.ServicePort().WithName(publicName(server)).WithTargetPort(intstr.FromString(publicName(server)))
	if server.Spec.Gateway.TLS != nil {
		return port.WithPort(443).WithAppProtocol("https")
	}
	return port.WithPort(80)
}

// Service is where whatever serves publicURL sends requests: port 80, named http, or
// 443, named https. It finds a pod's port by that name, so never the wrong protocol.
func Service(server *v1alpha1.MCPServer) *corev1ac.ServiceApplyConfiguration {
	return corev1ac.Service(Name(server), server.Namespace).
		WithLabels(Labels(server, ComponentGateway)).
		WithOwnerReferences(owner(server)).
		WithSpec(corev1ac.ServiceSpec().
			WithSelector(selector(server)).
			WithPorts(ServicePort(server)))
}

// DisruptionBudget lets one gateway at a time be evicted, or is nil: for a single
// one it could only be in the way of who empties a node.
func DisruptionBudget(server *v1alpha1.MCPServer) *policyv1ac.PodDisruptionBudgetApplyConfiguration {
	if MostReplicas(server) < 2 {
		return nil
	}
	return policyv1ac.PodDisruptionBudget(Name(server), server.Namespace).
		WithLabels(Labels(server, ComponentGateway)).
		WithOwnerReferences(owner(server)).
		WithSpec(policyv1ac.PodDisruptionBudgetSpec().
			WithMaxUnavailable(intstr.FromInt32(1)).
			// Pods that serve nobody must not keep a node from being emptied.
			WithUnhealthyPodEvictionPolicy(policyv1.AlwaysAllow).
			WithSelector(metav1ac.LabelSelector().WithMatchLabels(selector(server))))
}

// selector is by what a Service and a Deployment find the server's pods. It can
// never be changed.
func selector(server *v1alpha1.MCPServer) map[string]string {
	return map[string]string{labelName: application, labelInstance: server.Name}
}

func owner(server *v1alpha1.MCPServer) *metav1ac.OwnerReferenceApplyConfiguration {
	r := OwnerReference(server)
	return metav1ac.OwnerReference().
		WithAPIVersion(r.APIVersion).WithKind(r.Kind).WithName(r.Name).WithUID(r.UID).
		WithController(*r.Controller).WithBlockOwnerDeletion(*r.BlockOwnerDeletion)
}
