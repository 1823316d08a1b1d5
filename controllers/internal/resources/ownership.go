package resources

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"vestibule.dev/vestibule/api/v1alpha1"
)

const kind = "MCPServer"

// LabelRetainedFor is on what outlives its MCPServer, in place of an owner reference:
// the keys and the shards of a server whose deletionPolicy is Retain. It is the UID of
// the server that has them.
const LabelRetainedFor = "mcp.vestibule.dev/retained-for"

// OwnerReference makes server the owner of what carries it.
func OwnerReference(server *v1alpha1.MCPServer) metav1.OwnerReference {
	return *metav1.NewControllerRef(server, v1alpha1.SchemeGroupVersion.WithKind(kind))
}

// IsOf says whether an object is the server's. There is no other way to tell: not by
// names, and not by the other labels.
func IsOf(server *v1alpha1.MCPServer, o metav1.Object) bool {
	if metav1.GetControllerOfNoCopy(o) != nil {
		return metav1.IsControlledBy(o, server)
	}
	//rule:retained-for-another
	return isRetained(server.Name, o) && o.GetLabels()[LabelRetainedFor] == string(server.UID)
}

// IsRetained says whether an object was kept of an MCPServer that had the server's
// name, here or where it was restored from, or has lost its owner, as by some tools that
// restore. It is nobody's, and may be adopted.
func IsRetained(server *v1alpha1.MCPServer, o metav1.Object) bool {
	return isRetained(server.Name, o) && o.GetLabels()[LabelRetainedFor] != string(server.UID)
}

// isRetained trusts the label on nothing but keys and shards.
func isRetained(server string, o metav1.Object) bool {
	labels := o.GetLabels()
	if labels[LabelRetainedFor] == "" && labels[labelSealedTo] == "" || serverOf(o) != server || metav1.GetControllerOfNoCopy(o) != nil {
		return false
	}
	switch Component(labels[labelComponent]) {
	case ComponentKeys:
		//rule:retained-by-label
		return o.GetName() == server+keysSuffix
	case ComponentStore:
		m := shardName.FindStringSubmatch(o.GetName())
		return len(m) == 4 && m[1] == server
	}
	return false
}

// IsOrphan says whether an object that is neither keys nor a shard has lost its owner: it
// has our labels, as a child of this component, and, where it is of a kind that is applied,
// the annotation that says so. Its name is the caller's to check.
func IsOrphan(server *v1alpha1.MCPServer, o metav1.Object, c Component, applied bool) bool {
	on := o.GetLabels()
	//rule:orphan-by-labels
	if metav1.GetControllerOfNoCopy(o) != nil || on[labelComponent] != string(c) || on[labelInstance] != server.Name ||
		on[labelName] != application || on[labelManagedBy] != manager {
		return false
	}
	//rule:orphan-not-applied
	return !applied || o.GetAnnotations()[AnnotationApplied] != ""
}

// OwnerOf is the name of the MCPServer in its namespace that an object is of, or empty.
func OwnerOf(o metav1.Object) string {
	owner := metav1.GetControllerOfNoCopy(o)
	if owner == nil {
		if name := serverOf(o); isRetained(name, o) {
			return name
		}
		return ""
	}
	if !isMCPServer(*owner) {
		return ""
	}
	return owner.Name
}

func isMCPServer(owner metav1.OwnerReference) bool {
	gv, err := schema.ParseGroupVersion(owner.APIVersion)
	return err == nil && gv.Group == v1alpha1.SchemeGroupVersion.Group && owner.Kind == kind
}

// IsShard says whether an object is a shard of any MCPServer: one that the user
// happens to have named like a shard is of none.
func IsShard(o metav1.Object) bool {
	m := shardName.FindStringSubmatch(o.GetName())
	return len(m) == 4 && m[1] == OwnerOf(o)
}
