package controllers

import (
	"maps"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// memo remembers something of an object at one version, by the MCPServer and the
// object. All of it can be found out again, from the API server. The zero value is
// ready.
type memo[T any] struct {
	mu    sync.Mutex
	known map[string]remembered[T]
}

type remembered[T any] struct {
	version string
	value   T
}

func (m *memo[T]) at(id, version string) (T, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.known[id]
	return r.value, ok && r.version == version
}

func (m *memo[T]) remember(id, version string, value T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = map[string]remembered[T]{}
	}
	m.known[id] = remembered[T]{version, value}
}

// forget what begins like this.
func (m *memo[T]) forget(prefix string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.known, func(id string, _ remembered[T]) bool { return strings.HasPrefix(id, prefix) })
}

// memoID is where in a memo something of an object is that matters to a server.
func memoID(server client.ObjectKey, c child) string {
	return server.String() + "/" + c.kind + "/" + c.name
}

// stateOf names one state of one object.
func stateOf(o metav1.Object) string { return string(o.GetUID()) + "/" + o.GetResourceVersion() }
