//go:build integration

package main

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/cmd/internal/devidp"
	"vestibule.dev/vestibule/cmd/internal/weather"
	"vestibule.dev/vestibule/hack/child"
	"vestibule.dev/vestibule/hack/loopback"
	"vestibule.dev/vestibule/hack/mcpclient"
	"vestibule.dev/vestibule/hack/node"
)

func TestTheGoSDKGoesTheWholeWay(t *testing.T) {
	l := start(t, sampleArgs(t)...)
	for _, revision := range []string{"2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", ""} {
		t.Run("revision "+revision, func(t *testing.T) {
			c := newClient(t, l, revision, "alice")
			connect(t, c)
			must(t, c.Forecast(t.Context()))
			must(t, c.Refresh(t.Context()))
			must(t, c.Forecast(t.Context()))
			must(t, c.Revoke(t.Context()))
			if status, err := c.Status(t.Context()); err != nil || status != http.StatusUnauthorized {
				t.Errorf("a revoked token gets %d: %v", status, err)
			}
		})
	}
	noSecretIn(t, l)
}

// TestTheTypeScriptSDKGoesTheWholeWay runs hack/clients/typescript/flow.mjs,
// which says what it does.
func TestTheTypeScriptSDKGoesTheWholeWay(t *testing.T) {
	l := start(t, sampleArgs(t)...)
	// 10 steps for each of 3 ways to authenticate.
	typescript(t, l, "flow.mjs", 30)
	noSecretIn(t, l)
}

// TestStrictOAuthLibrariesAcceptEveryAnswer runs hack/clients/typescript/strict.mjs:
// libraries that refuse what no standard allows.
func TestStrictOAuthLibrariesAcceptEveryAnswer(t *testing.T) {
	l := start(t, sampleArgs(t)...)
	// 7 steps of one library and 6 of the other, for each of 3 ways to authenticate.
	typescript(t, l, "strict.mjs", 39)
	noSecretIn(t, l)
}

// TestTheTypeScriptSDKsStayConnected runs hack/clients/typescript/session.mjs, with a
// session and without.
func TestTheTypeScriptSDKsStayConnected(t *testing.T) {
	l := start(t, sampleArgs(t)...)
	c := newClient(t, l, "", "alice")
	connect(t, c)
	for _, args := range [][2]string{{"v1", "SESSIONS"}, {"v2", "SESSIONS"}, {"v2", "STATELESS"}} {
		t.Run(strings.Join(args[:], " "), func(t *testing.T) {
			p := node.StartSession(t, l.endpoint, c.Token.AccessToken, args[0], args[1])
			p.Await(t, regexp.MustCompile(`"calls":20,`), time.Minute)
			if err := p.Stop(); err != nil {
				t.Fatalf("the client fails: %v%s", err, p)
			}
			did := p.Did(t)
			if did.Progress < 2 || did.Sessions != 1 || len(did.Again) > 0 {
				t.Errorf("the client did %+v", did)
			}
		})
	}
}

// typescript runs a program of hack/clients/typescript, which must take so many steps.
func typescript(t *testing.T, l *local, program string, steps int) {
	t.Helper()
	p := child.Start(t, node.Command(t, "clients/typescript", program, l.endpoint, "alice", l.passwords["alice"]))
	if err := p.Wait(t, 2*time.Minute); err != nil {
		t.Fatalf("the client fails: %v%s", err, p)
	}
	if took := strings.Count(p.Stdout.String(), `"step"`); took != steps {
		t.Errorf("the client took %d steps, not %d%s", took, steps, p)
	}
}

func TestWhoIsNotLetInLearnsIt(t *testing.T) {
	l := start(t, sampleArgs(t)...)
	p := newPerson(t, l, "mallory", mcpclient.NewHTTP(nil))
	answer, err := p.Login(register(t, l))
	if err != nil {
		t.Fatal(err)
	}
	if answer.Get("error") != "access_denied" || answer.Get("state") != "s" || answer.Has("code") {
		t.Errorf("the client is told %v", answer)
	}
}

// TestNothingIsOverriddenForOnesOwn runs a file that is meant for this machine,
// with a backend and an upstream of the user's own.
func TestNothingIsOverriddenForOnesOwn(t *testing.T) {
	public := loopback.FreeAddress(t)
	backend := listenAndServe(t, weather.Handler(nil))
	idpListener, err := devidp.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	issuer := "http://" + idpListener.Addr().String()
	idp, err := devidp.New(issuer, devidp.Options{RedirectURIs: []string{"http://" + public + "/callback/own"}})
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, idpListener, idp)
	id, secret := idp.Client()
	file := filepath.Join(t.TempDir(), "own.yaml")
	document := strings.NewReplacer("PUBLIC", public, "BACKEND", backend, "ISSUER", issuer, "CLIENT", id, "SECRET", secret).Replace(`
apiVersion: mcp.vestibule.dev/v1alpha1
kind: MCPServer
metadata: {name: own}
spec:
  publicURL: http://PUBLIC
  bindings:
    mcpObject: {type: URL, url: http://BACKEND}
    oauthKV: {type: Memory}
  routes: [{name: mcp, path: /mcp}]
  upstreams:
  - name: own
    type: OIDC
    oidc: {issuerURL: ISSUER, clientID: CLIENT, clientSecretRef: {name: idp, key: secret}}
  gateway: {replicas: 1}
---
apiVersion: v1
kind: Secret
metadata: {name: idp, labels: {mcp.vestibule.dev/allowed-for: own}}
stringData: {secret: SECRET}
`)
	if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	l := start(t, "-f", file, "-state", t.TempDir())
	out := l.stdout.String()
	if strings.Contains(out, "Otherwise than") || !strings.Contains(out, "Its upstreams[own].oidc.clientSecretRef is that of the Secret idp in "+file) {
		t.Errorf("the welcome says:\n%s", out)
	}
	for _, u := range idp.Users() {
		l.passwords[u.Name] = u.Password
	}
	c := newClient(t, l, "", "bob")
	connect(t, c)
	must(t, c.Forecast(t.Context()))
	if strings.Contains(out, secret) {
		t.Error("the welcome shows the client secret")
	}
}
