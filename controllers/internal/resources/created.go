package resources

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/gateway/config"
)

// The keys of data in what is created.
const (
	configKey  = "config.json"
	keysKey    = "keyset.json"
	controlKey = "_shard"
)

// Config is the ConfigMap with a configuration. Its name stands for its content,
// so it can be immutable, and a pod never meets a configuration that is newer or
// older than its template.
func Config(server *v1alpha1.MCPServer, c *config.Config) (*corev1.ConfigMap, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encoding the configuration: %w", err)
	}
	return &corev1.ConfigMap{
		ObjectMeta: objectMeta(server, Name(server)+"-config-"+Digest(data), ComponentConfig),
		Immutable:  ptr.To(true),
		Data:       map[string]string{configKey: string(data)},
	}, nil
}

// ParseConfig returns the configuration in a ConfigMap that Config made, for whichever
// spec. The error says that somebody else has made it, or another release.
func ParseConfig(server *v1alpha1.MCPServer, m *corev1.ConfigMap) (*config.Config, error) {
	data := []byte(m.Data[configKey])
	//rule:configuration-made-up
	if m.Name != Name(server)+"-config-"+Digest(data) {
		return nil, errors.New("the name of the configuration does not stand for its content")
	}
	return config.Parse(data)
}

// Report is the ConfigMap for the gateways' reports, empty.
func Report(server *v1alpha1.MCPServer) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: objectMeta(server, ReportName(server), ComponentReport)}
}

// Shard is a shard without records. It has one key, for ever: a patch that adds a
// record needs the map of keys to be there.
func Shard(server *v1alpha1.MCPServer, part Part, n int, sealedTo string) client.Object {
	meta := storeMeta(server, ShardName(server, part, n), ComponentStore)
	meta.Labels[labelSealedTo] = sealedTo
	data := map[string][]byte{controlKey: {1}}
	if server.Spec.Bindings.OAuthKV.Kubernetes.Kind == v1alpha1.ShardConfigMap {
		return &corev1.ConfigMap{ObjectMeta: meta, BinaryData: data}
	}
	return &corev1.Secret{ObjectMeta: meta, Data: data}
}

// Digest stands for data in names and annotations: 64 bits of its hash.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

func objectMeta(server *v1alpha1.MCPServer, name string, c Component) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace:       server.Namespace,
		Name:            name,
		Labels:          Labels(server, c),
		OwnerReferences: []metav1.OwnerReference{OwnerReference(server)},
	}
}
