package resources

import (
	"fmt"
	"regexp"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// Part is one of the two kinds of shards.
type Part string

// The parts of a store.
const (
	Clients Part = "clients"
	Grants  Part = "grants"
)

// Name is the name of the gateway's Deployment, Service, ServiceAccount, Role,
// RoleBinding and PodDisruptionBudget, and what all other names begin with.
func Name(server *v1alpha1.MCPServer) string { return server.Name + "-gateway" }

// KeysName is the name of the Secret with the gateway's keys.
func KeysName(server *v1alpha1.MCPServer) string { return server.Name + keysSuffix }

const keysSuffix = "-gateway-keys"

// PolicyName is the name of the ConfigMap with what may change while gateways run.
func PolicyName(server *v1alpha1.MCPServer) string { return Name(server) + "-policy" }

// ReportName is the name of the ConfigMap in which gateways say what they found.
func ReportName(server *v1alpha1.MCPServer) string { return Name(server) + "-report" }

// ShardName is the name of a shard.
func ShardName(server *v1alpha1.MCPServer, part Part, n int) string {
	return fmt.Sprintf("%s-%s-%d", Name(server), part, n)
}

var shardName = regexp.MustCompile(`^(.+)-gateway-(clients|grants)-(0|[1-9][0-9]*)$`)

// ParseShardName says which shard of a server has this name.
func ParseShardName(server *v1alpha1.MCPServer, name string) (Part, int, bool) {
	m := shardName.FindStringSubmatch(name)
	if len(m) != 4 || m[1] != server.Name {
		return "", 0, false
	}
	n, err := strconv.Atoi(m[3])
	return Part(m[2]), n, err == nil
}

// What is written on all children.
const (
	labelName      = "app.kubernetes.io/name"
	labelInstance  = "app.kubernetes.io/instance"
	labelComponent = "app.kubernetes.io/component"
	labelManagedBy = "app.kubernetes.io/managed-by"

	application = "vestibule-gateway"
	manager     = "vestibule"
)

// ManagedLabels are on every child of every MCPServer, and on gateway pods.
func ManagedLabels() map[string]string {
	return map[string]string{labelName: application, labelManagedBy: manager}
}

// Component says what a child is for.
type Component string

// The components.
const (
	ComponentGateway Component = "gateway"
	ComponentConfig  Component = "config"
	ComponentPolicy  Component = "policy"
	ComponentReport  Component = "report"
	ComponentKeys    Component = "keys"
	ComponentStore   Component = "store"
)

// LabelServer is on keys and shards, and names the MCPServer that they are of. What has no
// owner has it in place of app.kubernetes.io/instance, by which some GitOps tools find
// what they delete.
const LabelServer = "mcp.vestibule.dev/server"

// serverOf is the name of the MCPServer that an object is of, by its labels, or empty.
// Older controllers, and backups of theirs, have the label of GitOps tools alone.
func serverOf(o metav1.Object) string {
	on := o.GetLabels()
	if name, ok := on[LabelServer]; ok {
		return name
	}
	return on[labelInstance]
}

// keptAnnotations tell Argo CD, should it think that it has made what has no owner, to
// neither delete it nor compare it.
var keptAnnotations = map[string]string{
	"argocd.argoproj.io/sync-options":    "Prune=false,Delete=false",
	"argocd.argoproj.io/compare-options": "IgnoreExtraneous",
}

// ComponentLabels are on every child of this component, whichever MCPServer it is of.
func ComponentLabels(c Component) map[string]string {
	labels := ManagedLabels()
	labels[labelComponent] = string(c)
	return labels
}

// Labels are on every child of the server that is of this component and has an owner.
func Labels(server *v1alpha1.MCPServer, c Component) map[string]string {
	labels := ComponentLabels(c)
	labels[labelInstance] = server.Name
	return labels
}

// PodOf is the name of the MCPServer whose gateway pod an object is, by its labels, or
// empty.
func PodOf(o metav1.Object) string { return of(o, ComponentGateway) }

// IsReport says whether an object has the labels of a report.
func IsReport(o metav1.Object) bool { return of(o, ComponentReport) != "" }

// Contents finds the ConfigMaps whose content is read: reports and policies.
func Contents() labels.Selector {
	component, err := labels.NewRequirement(labelComponent, selection.In, []string{string(ComponentReport), string(ComponentPolicy)})
	if err != nil {
		panic(err) // It is a constant.
	}
	return labels.SelectorFromSet(ManagedLabels()).Add(*component)
}

func of(o metav1.Object, c Component) string {
	on := o.GetLabels()
	if on[labelComponent] != string(c) || !labels.SelectorFromSet(ManagedLabels()).Matches(labels.Set(on)) {
		return ""
	}
	return on[labelInstance]
}

// What is written on pods, and through their template on the Deployment.
const (
	// LabelTemplate names the template that a pod was made from.
	LabelTemplate = "mcp.vestibule.dev/template"
	// AnnotationConfig is the name of the configuration that a pod runs with.
	AnnotationConfig = "mcp.vestibule.dev/config"
	// AnnotationApplied is on what is applied, and stands for what that was.
	AnnotationApplied = "mcp.vestibule.dev/applied"
	// AnnotationReferences stands for the content of what the spec refers to.
	AnnotationReferences = "mcp.vestibule.dev/references"
	// AnnotationClientShards and AnnotationGrantShards say how many shards a
	// pod knows.
	AnnotationClientShards = "mcp.vestibule.dev/client-shards"
	AnnotationGrantShards  = "mcp.vestibule.dev/grant-shards"
)

// What is written on the Deployment alone. Labels, since another annotation would count
// as another generation.
const (
	// LabelInputs stands for all that the template was made from, besides the controller
	// that made it.
	LabelInputs = "mcp.vestibule.dev/inputs"
	// LabelUpgrading is the template to which a controller of another release has changed
	// a Deployment whose gateways were available.
	LabelUpgrading = "mcp.vestibule.dev/upgrading-to"
)
