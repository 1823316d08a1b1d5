//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/hack/realcluster"
)

// The controller is told of another gateway image, and of the one before again, while
// clients call, refresh and log in, and others stay in their sessions: no request is
// lost that a client would not send again, and nobody is signed out.
//
// Until there is a release, the older image is the program of today, built otherwise. Then
// it is to be the image of the newest release, which the test has to pull.
func TestTheGatewaysAreUpgradedAndBack(t *testing.T) {
	newer := gatewayImage(t, one)
	older, err := cluster.LoadPackage(t.Context(), "./cmd/gateway")
	must(t, err)
	if older == newer {
		t.Fatal("the two images are one")
	}
	defer rollTo(t, newer)
	rollTo(t, older)

	l := work(t, one, 6, true)
	l.logIn(one)
	session := stayGo(t)
	for _, step := range []struct{ what, image string }{{"the upgrade", newer}, {"the way back", older}, {"another upgrade", newer}} {
		before := session.did(t)
		rollTo(t, step.image)
		time.Sleep(3 * time.Second) // the clients work on at the new pods
		l.lap(t, step.what)
		did := session.did(t)
		if did.Sessions != 1 || did.Again["session gone"] > 0 || did.Calls <= before.Calls {
			t.Errorf("after %s, a client that stays did %+v", step.what, did)
		}
	}
	if err := session.stop(); err != nil {
		t.Error(err)
	}
	l.end(t)
	for _, s := range []*realcluster.Server{one, two} {
		becomes(t, s, "Ready", "True", "")
	}
}

// One namespace has no room for a new gateway, and one gateway at a time is upgraded. The
// other namespace is upgraded all the same, and the first one serves, and follows.
func TestABlockedNamespaceHoldsUpNobody(t *testing.T) {
	newer := gatewayImage(t, one)
	older, err := cluster.LoadPackage(t.Context(), "./cmd/gateway")
	must(t, err)
	c := connect(t, two)
	gatewayPods(t, two)
	concurrency := func(op, value string) {
		kubectl(t, "patch", "-n", "vestibule-system", "deployment/vestibule-controller", "--type=json", "-p",
			`[{"op":"`+op+`","path":"/spec/template/spec/containers/0/args/0"`+value+`}]`)
	}
	concurrency("add", `,"value":"-concurrent-upgrades=1"`)
	defer func() {
		concurrency("remove", "")
		rollTo(t, newer)
	}()
	kubectl(t, "create", "quota", "full", "-n", two.Namespace, "--hard=pods=0")
	defer kubectl(t, "delete", "quota", "full", "-n", two.Namespace, "--ignore-not-found")

	order(t, older)
	runs(t, one, older)
	becomes(t, two, "GatewayAvailable", "False", "QuotaExceeded")
	must(t, call(t.Context(), c))
	must(t, c.Refresh(t.Context()))
	kubectl(t, "delete", "quota", "full", "-n", two.Namespace)
	runs(t, two, older)
	becomes(t, two, "Ready", "True", "")
	must(t, call(t.Context(), c))
}

// rollTo has the controller run an image in all gateways, and waits until they do.
func rollTo(t *testing.T, image string) {
	t.Helper()
	order(t, image)
	for _, s := range []*realcluster.Server{one, two} {
		runs(t, s, image)
	}
}

// order tells the controller which image gateways are to run.
func order(t *testing.T, image string) {
	t.Helper()
	kubectl(t, "set", "env", "-n", "vestibule-system", "deployment/vestibule-controller", "GATEWAY_IMAGE="+image)
	kubectl(t, "rollout", "status", "-n", "vestibule-system", "deployment/vestibule-controller", "--timeout=120s")
}

// runs waits until the gateways of a server run an image.
func runs(t *testing.T, s *realcluster.Server, image string) {
	t.Helper()
	eventually(t, "the gateways of "+s.Namespace+" are to run "+image, func() bool { return gatewayImage(t, s) == image })
	kubectl(t, "rollout", "status", "-n", s.Namespace, "deployment/weather-gateway", "--timeout=180s")
}

func gatewayImage(t *testing.T, s *realcluster.Server) string {
	t.Helper()
	return strings.TrimSpace(kubectl(t, "get", "deployment", "weather-gateway", "-n", s.Namespace, "-o", "jsonpath={.spec.template.spec.containers[0].image}"))
}
