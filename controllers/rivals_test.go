//go:build integration

package controllers

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"vestibule.dev/vestibule/api/v1alpha1"
)

func at(uid, publicURL string, paths ...string) *v1alpha1.MCPServer {
	s := &v1alpha1.MCPServer{ObjectMeta: metav1.ObjectMeta{Name: "s" + uid, Namespace: "n" + uid, UID: types.UID(uid)}}
	s.Spec.PublicURL = publicURL
	for _, p := range paths {
		transport, ok := strings.CutPrefix(p, "HTTP:")
		r := v1alpha1.Route{Name: strings.Trim(p, "/"), Path: p}
		if ok {
			r.Path, r.Transport = transport, v1alpha1.TransportHTTP
		}
		s.Spec.Routes = append(s.Spec.Routes, r)
	}
	return s
}

// Two MCPServers cannot both have what one of them only can. Both sides agree whether
// that is so, and of two made in the same second, who has it.
func TestCollisions(t *testing.T) {
	for _, c := range []struct {
		a, b       *v1alpha1.MCPServer
		toA, toB   string // what the younger is told
		noObstacle bool
	}{
		{at("1", "https://h/a", "/mcp"), at("2", "https://h/a", "/sse"), "publicURL: host and path are those of MCPServer s2 in namespace n2, which had it first: create", "of MCPServer s1", false},
		{at("1", "http://localhost:1", "/mcp"), at("2", "https://localhost:1", "/mcp"), "publicURL: host and path", "publicURL: host and path", false},
		{at("1", "https://h", "/weather"), at("2", "https://h/weather", "/mcp"), "routes[weather].path: it meets the path in publicURL of MCPServer s2 in namespace n2, which had it first: choose", "publicURL: its path meets that of routes[weather] of MCPServer s1", false},
		{at("1", "https://h", "/weather/v1"), at("2", "https://h/weather", "/mcp"), "routes[weather/v1].path", "publicURL: its path meets", false},
		{at("1", "https://h", "/weather"), at("2", "https://h/weather/v1", "/mcp"), "routes[weather].path", "publicURL: its path meets", false},
		{at("1", "https://h/t", "/weather"), at("2", "https://h/t/weather", "/mcp"), "routes[weather].path", "publicURL: its path meets", false},
		{at("1", "https://h", "/mcp"), at("2", "https://h/token", "/mcp"), "publicURL: where the gateway would have", "publicURL: at its path there are endpoints of the gateway of", false},
		{at("1", "https://h", "/mcp"), at("2", "https://h/callback/a", "/mcp"), "publicURL: where", "publicURL: at its path", false},
		{at("1", "https://h/a", "/mcp"), at("2", "https://h/.well-known/oauth-authorization-server/a", "/mcp"), "publicURL: below /.well-known", "publicURL: below /.well-known", false},
		{at("1", "https://h", "HTTP:/"), at("2", "https://h/weather", "/mcp"), "routes[HTTP:].path", "publicURL: its path meets", false},

		{a: at("1", "https://h", "/"), b: at("2", "https://h/weather", "/mcp"), noObstacle: true},
		{a: at("1", "https://h", "/mcp"), b: at("2", "https://h/weather", "/mcp"), noObstacle: true},
		{a: at("1", "https://h", "/weather"), b: at("2", "https://h/weathers", "/mcp"), noObstacle: true},
		{a: at("1", "https://h/weather", "/mcp"), b: at("2", "https://h/weathers", "/mcp"), noObstacle: true},
		{a: at("1", "https://h/a", "/b"), b: at("2", "https://h/a-b", "/b"), noObstacle: true},
		{a: at("1", "https://h/a", "/mcp"), b: at("2", "https://other/a", "/mcp"), noObstacle: true},
		{a: at("1", "https://h/a", "/mcp"), b: at("2", "https://h:8443/a", "/mcp"), noObstacle: true},
		{a: at("1", "https://h/.well-known/a", "/mcp"), b: at("2", "https://other", "/mcp"), noObstacle: true},
	} {
		toA, toB := collision(c.a, c.b), collision(c.b, c.a)
		if c.noObstacle && (toA != "" || toB != "") || !strings.Contains(toA, c.toA) || !strings.Contains(toB, c.toB) || (toA == "") != (toB == "") {
			t.Errorf("%s and %s: %q, %q", c.a.Spec.PublicURL, c.b.Spec.PublicURL, toA, toB)
		}
		if older(c.a, c.b) == older(c.b, c.a) {
			t.Errorf("%s and %s, made in the same second, do not agree who is older", c.a.Spec.PublicURL, c.b.Spec.PublicURL)
		}
	}
	if collision(at("1", "https://h"), at("1", "https://h")) != "" {
		t.Error("an MCPServer is in its own way")
	}
}

// Whatever order they come in, a place has one server; and a route of the older one
// counts from when it is there, until it is not.
func TestOneServerOfManyHasAPlace(t *testing.T) {
	ns := namespace(t)
	start(t, account(t, ns, ns), ns)
	host := "https://" + ns + ".example.com"
	var all []*world
	for _, name := range []string{"a", "b", "c"} {
		w := newWorld(t, ns, name)
		w.server(func(s *v1alpha1.MCPServer) { s.Spec.PublicURL = host + "/weather" })
		all = append(all, w)
	}
	for len(all) > 0 {
		var first *world
		all[0].eventually("one of them is accepted, and the others are not", func() bool {
			accepted, refused := 0, 0
			for _, w := range all {
				switch c := w.condition(v1alpha1.ConditionAccepted); {
				case c.Status == isTrue:
					first = w
					accepted++
				case c.Reason == v1alpha1.ReasonPublicURLTaken:
					refused++
				}
			}
			return accepted == 1 && refused == len(all)-1
		})
		first.leave()
		all = slices.DeleteFunc(all, func(w *world) bool { return w == first })
	}

	outer := newWorld(t, ns, "outer")
	outer.server(func(s *v1alpha1.MCPServer) { s.Spec.PublicURL = host })
	outer.becomes(v1alpha1.ConditionAccepted, isTrue, v1alpha1.ReasonAccepted)
	made := outer.get().CreationTimestamp
	outer.eventually("the next second", func() bool { return metav1.Now().Rfc3339Copy().After(made.Time) }) // so that it is the older one
	inner := newWorld(t, ns, "inner")
	inner.server(func(s *v1alpha1.MCPServer) { s.Spec.PublicURL = host + "/weather" })
	inner.becomes(v1alpha1.ConditionAccepted, isTrue, v1alpha1.ReasonAccepted)
	outer.change(func(s *v1alpha1.MCPServer) {
		s.Spec.Routes = append(s.Spec.Routes, v1alpha1.Route{Name: "weather", Path: "/weather"})
	})
	// The older one has come later to that place, so it is the one that loses: its gateways,
	// and those of the other, go on.
	if c := outer.becomes(v1alpha1.ConditionAccepted, isFalse, v1alpha1.ReasonPublicURLTaken); !strings.Contains(c.Message, "routes[weather].path: it meets the path in publicURL of MCPServer inner") {
		t.Errorf("it says %s", c.Message)
	}
	inner.change(func(s *v1alpha1.MCPServer) { s.Spec.Gateway.Replicas = 3 })
	inner.eventually("what it asks for", func() bool { return *inner.deployment().Spec.Replicas == 3 })
	inner.becomes(v1alpha1.ConditionAccepted, isTrue, v1alpha1.ReasonAccepted)
	inner.leave()
	outer.becomes(v1alpha1.ConditionAccepted, isTrue, v1alpha1.ReasonAccepted)
}

// After a restore, nobody has a claim, and the times of creation are those of the restore:
// who has the keys of the place had it.
func TestAPlaceIsRestored(t *testing.T) {
	t.Parallel()
	first, second := newWorld(t, namespace(t), "weather"), newWorld(t, namespace(t), "weather")
	url := func(s *v1alpha1.MCPServer) { s.Spec.PublicURL = "https://" + first.namespace + ".example.com" }
	r := reconciler(robot)
	second.server(url)
	second.pass(r)
	second.wants(v1alpha1.ConditionAccepted, isTrue, v1alpha1.ReasonAccepted)
	if claims := second.get().Status.Claims; len(claims) != 2 || claims[0].Path != "" || claims[1].Path != "/mcp" {
		t.Errorf("the claims are %v", claims)
	}
	second.orphan()
	first.server(url)
	second.server(url)
	for range 2 {
		first.pass(r)
		first.wants(v1alpha1.ConditionAccepted, isFalse, v1alpha1.ReasonPublicURLTaken)
		second.pass(r)
		second.wants(v1alpha1.ConditionAccepted, isTrue, v1alpha1.ReasonAccepted)
	}
}

// Who adds a route where another is, is refused in the very pass that sees it.
func TestARouteInTheIncumbentsPlace(t *testing.T) {
	t.Parallel()
	outer, inner := newWorld(t, namespace(t), "weather"), newWorld(t, namespace(t), "weather")
	host, r := "https://"+outer.namespace+".example.com", reconciler(robot)
	outer.server(func(s *v1alpha1.MCPServer) { s.Spec.PublicURL = host })
	outer.pass(r)
	made := outer.get().CreationTimestamp
	outer.eventually("the next second", func() bool { return metav1.Now().Rfc3339Copy().After(made.Time) }) // so that it is the older one
	inner.server(func(s *v1alpha1.MCPServer) { s.Spec.PublicURL = host + "/weather" })
	inner.pass(r)
	outer.change(func(s *v1alpha1.MCPServer) {
		s.Spec.Routes = append(s.Spec.Routes, v1alpha1.Route{Name: "weather", Path: "/weather"})
	})
	outer.pass(r)
	outer.wants(v1alpha1.ConditionAccepted, isFalse, v1alpha1.ReasonPublicURLTaken)
	inner.pass(r)
	inner.wants(v1alpha1.ConditionAccepted, isTrue, v1alpha1.ReasonAccepted)
}
