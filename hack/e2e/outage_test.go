//go:build e2e

package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAGatewayPodGoesUnderLoad(t *testing.T) {
	pods := gatewayPods(t, one)
	l := work(t, one, 6, true)
	for _, pod := range pods {
		kubectl(t, "delete", "-n", "one", pod)
		kubectl(t, "rollout", "status", "-n", "one", "deployment/weather-gateway", "--timeout=60s")
	}
	time.Sleep(3 * time.Second) // the clients work on at the new pods
	l.end(t)
	becomes(t, one, "Ready", "True", "")
}

func TestTheGatewaysAreRolledUnderLoad(t *testing.T) {
	l := work(t, one, 6, true)
	kubectl(t, "patch", "mcpserver", "weather", "-n", "one", "--type=merge", "-p", `{"spec":{"oauth":{"accessTokenTTLSeconds":1800}}}`)
	eventually(t, "the gateways are rolled", func() bool {
		config := kubectl(t, "get", "configmap", "-n", "one", "-l", "app.kubernetes.io/component=config", "-o", "jsonpath={range .items[*]}{.data}{end}")
		return strings.Contains(config, `1800`)
	})
	kubectl(t, "rollout", "status", "-n", "one", "deployment/weather-gateway", "--timeout=120s")
	time.Sleep(3 * time.Second) // the clients work on at the new pods
	l.end(t)
	becomes(t, one, "Ready", "True", "")
}

func TestAPolicyChangesWithoutARollout(t *testing.T) {
	pods := gatewayPods(t, two)
	c := connect(t, two)
	kubectl(t, "patch", "mcpserver", "weather", "-n", "two", "--type=merge", "-p",
		`{"spec":{"access":{"rules":[{"name":"nobody","expression":"false"}]}}}`)
	eventually(t, "alice is refused", func() bool {
		other, err := two.Client("alice", nil)
		must(t, err)
		err = other.Connect(t.Context())
		return err != nil && strings.Contains(err.Error(), "access_denied")
	})
	// Who is in stays in until the next refresh, which asks again.
	if status, err := c.Status(t.Context()); err != nil || status != http.StatusOK {
		t.Errorf("a token from before gets %d: %v", status, err)
	}
	if err := c.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("a refresh of somebody who is no longer let in: %v", err)
	}
	kubectl(t, "patch", "mcpserver", "weather", "-n", "two", "--type=merge", "-p",
		`{"spec":{"access":{"rules":[{"name":"staff","expression":"claims.email.endsWith(\"@example.com\")"}]}}}`)
	eventually(t, "alice is let in again", func() bool {
		other, err := two.Client("alice", nil)
		must(t, err)
		return other.Connect(t.Context()) == nil
	})
	if now := gatewayPods(t, two); !slices.Equal(now, pods) {
		t.Errorf("the gateways were rolled for a policy:\n%s\n%s", pods, now)
	}
}

func TestTheControllerRestarts(t *testing.T) {
	generation := func() string {
		return kubectl(t, "get", "deployment", "weather-gateway", "-n", "one", "-o", "jsonpath={.metadata.generation}")
	}
	before := generation()
	kubectl(t, "rollout", "restart", "-n", "vestibule-system", "deployment/vestibule-controller")
	kubectl(t, "rollout", "status", "-n", "vestibule-system", "deployment/vestibule-controller", "--timeout=120s")
	kubectl(t, "patch", "mcpserver", "weather", "-n", "two", "--type=merge", "-p", `{"spec":{"gateway":{"replicas":1}}}`)
	eventually(t, "the new controller acts", func() bool {
		return kubectl(t, "get", "deployment", "weather-gateway", "-n", "two", "-o", "jsonpath={.spec.replicas}") == "1"
	})
	if now := generation(); now != before {
		t.Errorf("the new controller changed another server's Deployment, from generation %s to %s", before, now)
	}
	kubectl(t, "patch", "mcpserver", "weather", "-n", "two", "--type=merge", "-p", `{"spec":{"gateway":{"replicas":2}}}`)
	becomes(t, two, "Ready", "True", "")
}

func TestTheAPIServerGoesAway(t *testing.T) {
	c := connect(t, one)
	l := work(t, one, 6, false)
	l.strict.Store(true) // tokens that are known go on, without a single 503
	must(t, cluster.Stop(t.Context(), "kube-apiserver"))
	away := time.Now()
	refused := false
	for time.Since(away) < 60*time.Second {
		// What has to be written cannot be, and that decides nothing.
		asked := time.Now()
		if err := c.Refresh(t.Context()); err != nil {
			if took := time.Since(asked); took > 25*time.Second {
				t.Errorf("a refresh during the outage is answered after %v", took)
			}
			if strings.Contains(err.Error(), "invalid_grant") {
				t.Errorf("a refresh during the outage: %v", err)
			}
			refused = true
		}
		time.Sleep(5 * time.Second)
	}
	if !refused {
		t.Error("refreshes go on without a store")
	}
	must(t, cluster.Start(t.Context(), "kube-apiserver"))
	eventually(t, "the API server is back", func() bool {
		_, err := cluster.Kubectl(t.Context(), "", "get", "--raw", "/readyz")
		return err == nil
	})
	eventually(t, "refreshes work again", func() bool { return c.Refresh(t.Context()) == nil })
	l.end(t)
	becomes(t, one, "Ready", "True", "")

	// The programs of the cluster itself wait for up to a minute before they look again. The
	// tests to come are not about that.
	for _, component := range []string{"kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"} {
		must(t, cluster.Restart(t.Context(), component))
	}
	// Once pods are replaced, all of them work.
	kubectl(t, "rollout", "restart", "-n", one.Namespace, "deployment/weather-gateway")
	gatewayPods(t, one)
	becomes(t, one, "Ready", "True", "")
}

// eventually waits for what takes seconds.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	within(t, time.Minute, what, is)
}

func within(t *testing.T, patience time.Duration, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("after %v it is not so that %s", patience, what)
		}
		time.Sleep(250 * time.Millisecond)
	}
}
