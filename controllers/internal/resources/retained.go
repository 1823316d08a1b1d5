package resources

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// What the Secret with the keys says of the records that its keys open, since it
// outlives the MCPServer that could say so, and is restored without it. Labels, since
// the controller's cache has no annotations.
const (
	// labelSealedTo is what the records are sealed to: the UID that the first MCPServer
	// had that they were of.
	labelSealedTo = "mcp.vestibule.dev/sealed-to"
	// labelPublicURL stands for the publicURL that tokens and clients are bound to.
	labelPublicURL = "mcp.vestibule.dev/public-url"
	// labelStore is the type of the store that has all records.
	labelStore = "mcp.vestibule.dev/store"
	// labelClientShards and labelGrantShards are how many shards there are. Only of what
	// is retained: of others, the Deployment and the Role know.
	labelClientShards = "mcp.vestibule.dev/client-shards"
	labelGrantShards  = "mcp.vestibule.dev/grant-shards"
)

// SealedTo is what the server's records are sealed to, by the Secret with its keys, or
// nil if there is none yet.
func SealedTo(server *v1alpha1.MCPServer, keys metav1.Object) string {
	if keys != nil {
		if uid := keys.GetLabels()[labelSealedTo]; uid != "" {
			return uid
		}
	}
	return string(server.UID)
}

// ShardLabels are the labels that a shard has to have besides those of its making. What
// its records are sealed to says whose it is, should it lose its owner.
func ShardLabels(sealedTo string) map[string]string {
	return map[string]string{labelSealedTo: sealedTo}
}

// FitsPublicURL says whether retained keys are those of a server with this publicURL.
func FitsPublicURL(server *v1alpha1.MCPServer, keys metav1.Object) bool {
	//rule:retained-of-another-url
	return keys.GetLabels()[labelPublicURL] == publicURLDigest(server)
}

// RetainedStore is the type of the store that has all records, by retained keys; it
// is empty if they do not say.
func RetainedStore(keys metav1.Object) v1alpha1.OAuthKVType {
	return v1alpha1.OAuthKVType(keys.GetLabels()[labelStore])
}

// RetainedShards is how many shards of a part there were, by retained keys; 0 if they
// do not say.
func RetainedShards(keys metav1.Object, part Part) int {
	n, err := strconv.Atoi(keys.GetLabels()[countLabel(part)])
	if err != nil {
		return 0
	}
	return n
}

func countLabel(part Part) string {
	if part == Clients {
		return labelClientShards
	}
	return labelGrantShards
}

// StoreToBegin is the type of the store that a server begins with, by its spec.
func StoreToBegin(server *v1alpha1.MCPServer) v1alpha1.OAuthKVType {
	kv := &server.Spec.Bindings.OAuthKV
	return cmp.Or(v1alpha1.OAuthKVType(kv.MigrateFrom), kv.Type)
}

// KeysLabels are the labels that the Secret with the keys has to have; an empty one it
// must not have. The store is the one that has all records: gateways have said so, and the
// spec may say what it likes.
func KeysLabels(server *v1alpha1.MCPServer, sealedTo string, store v1alpha1.OAuthKVType) map[string]string {
	kv := &server.Spec.Bindings.OAuthKV
	labels := map[string]string{
		labelSealedTo:  sealedTo,
		labelPublicURL: publicURLDigest(server),
		labelStore:     string(store),
	}
	if !retains(server) || kv.Kubernetes == nil {
		labels[labelClientShards], labels[labelGrantShards] = "", ""
	}
	return labels
}

// CountLabels are the labels of the Secret with the keys that say how many shards there
// are. They are nil if it does not say.
func CountLabels(server *v1alpha1.MCPServer, clientShards, grantShards int) map[string]string {
	if !retains(server) {
		return nil
	}
	return map[string]string{labelClientShards: strconv.Itoa(clientShards), labelGrantShards: strconv.Itoa(grantShards)}
}

// Claim is the merge patch that makes keys or a shard the server's, to go with it or to
// outlive it as the spec says, and gives them these labels, of which an empty one is
// taken away. It is nil if there is nothing to change. Other owners stay.
func Claim(server *v1alpha1.MCPServer, o metav1.Object, labels map[string]string) ([]byte, error) {
	wanted := maps.Clone(labels)
	if wanted == nil {
		wanted = map[string]string{}
	}
	//rule:retained-without-label
	wanted[LabelRetainedFor], wanted[LabelServer], wanted[labelInstance] = "", server.Name, server.Name
	// kubectl apply has put all records in its annotation, if it has restored them.
	annotations := map[string]any{corev1.LastAppliedConfigAnnotation: nil}
	owners := slices.DeleteFunc(slices.Clone(o.GetOwnerReferences()), isMCPServer)
	if retains(server) {
		//rule:retained-in-application
		wanted[LabelRetainedFor], wanted[labelInstance] = string(server.UID), ""
		for k, v := range keptAnnotations {
			//rule:retained-and-pruned
			annotations[k] = v
		}
	} else {
		owners = append(owners, OwnerReference(server))
		for k := range keptAnnotations {
			annotations[k] = nil
		}
	}
	changes, has := map[string]any{}, o.GetLabels()
	for k, v := range wanted {
		switch _, ok := has[k]; {
		case v == "" && ok:
			changes[k] = nil
		case v != "" && has[k] != v:
			changes[k] = v
		}
	}
	if len(changes) == 0 && equality.Semantic.DeepEqual(owners, o.GetOwnerReferences()) {
		return nil, nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":             o.GetUID(), // No other object of this name.
		"labels":          changes,
		"ownerReferences": owners,
		"annotations":     annotations,
	}})
	if err != nil {
		return nil, fmt.Errorf("encoding the metadata of %s: %w", o.GetName(), err)
	}
	return patch, nil
}

// Restorable makes of the metadata of keys or a shard, as it is in a cluster, what can
// be created in another, to be adopted there: without an owner, which would not be
// there, and of the MCPServer of this name.
func Restorable(o metav1.Object) metav1.ObjectMeta {
	meta := metav1.ObjectMeta{Name: o.GetName(), Labels: maps.Clone(o.GetLabels()), Annotations: maps.Clone(o.GetAnnotations())}
	delete(meta.Annotations, corev1.LastAppliedConfigAnnotation)
	meta.Labels[LabelServer] = OwnerOf(o)
	if owner := metav1.GetControllerOfNoCopy(o); owner != nil {
		meta.Labels[LabelRetainedFor] = string(owner.UID)
	}
	withoutOwner(&meta)
	return meta
}

// CompleteKeys adds to the metadata of restorable keys what those of an MCPServer that
// is not retained, or was made by an older controller, do not say.
func CompleteKeys(meta *metav1.ObjectMeta, server *v1alpha1.MCPServer, shards map[Part]int) {
	labels := map[string]string{}
	if server != nil {
		labels = KeysLabels(server, SealedTo(server, meta), cmp.Or(server.Status.Store, StoreToBegin(server)))
	}
	for part, n := range shards {
		if n > 0 {
			labels[countLabel(part)] = strconv.Itoa(n)
		}
	}
	for k, v := range labels {
		if v != "" {
			meta.Labels[k] = v
		}
	}
}

func retains(server *v1alpha1.MCPServer) bool {
	return server.Spec.DeletionPolicy == v1alpha1.DeletionRetain
}

func publicURLDigest(server *v1alpha1.MCPServer) string { return Digest([]byte(server.Spec.PublicURL)) }

// storeMeta is the metadata of keys or a shard.
func storeMeta(server *v1alpha1.MCPServer, name string, c Component) metav1.ObjectMeta {
	meta := objectMeta(server, name, c)
	meta.Labels[LabelServer] = server.Name
	if retains(server) {
		meta.OwnerReferences = nil
		meta.Labels[LabelRetainedFor] = string(server.UID)
		withoutOwner(&meta)
	}
	return meta
}

// withoutOwner makes of the metadata of keys or a shard those of what nobody is to delete
// but who means to.
func withoutOwner(meta *metav1.ObjectMeta) {
	//rule:made-in-application
	delete(meta.Labels, labelInstance)
	if meta.Annotations == nil {
		meta.Annotations = map[string]string{}
	}
	//rule:made-and-pruned
	maps.Copy(meta.Annotations, keptAnnotations)
}
