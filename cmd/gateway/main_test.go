package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/config"
)

// write writes a configuration that works, changed by change, and returns its path.
func write(t *testing.T, change func(*config.Config)) string {
	t.Helper()
	dir := t.TempDir()
	c := &config.Config{
		Version: config.Version, ServerUID: "uid", PublicURL: "http://127.0.0.1:8080", KeysFile: filepath.Join(dir, "keys.json"),
		Backend: config.Backend{URL: "http://127.0.0.1:1"}, Store: config.Store{Type: config.StoreMemory},
		Routes:                []config.Route{{Name: "mcp", Path: "/mcp", BackendPath: "/mcp", Transport: config.TransportStreamableHTTP}},
		Registration:          config.Registration{TTLSeconds: 1, UnusedTTLSeconds: 1},
		AccessTokenTTLSeconds: 1, RefreshTokenTTLSeconds: 1,
		Upstreams: []config.Upstream{{Name: "corp", Type: config.UpstreamOIDC, OIDC: &config.OIDCUpstream{IssuerURL: "http://127.0.0.1:1", UpstreamClient: config.UpstreamClient{ClientID: "id"}}}},
	}
	keySet, err := config.NewKeySet(time.Now()).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.KeysFile, keySet, 0o600); err != nil {
		t.Fatal(err)
	}
	change(c)
	document, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "config.json")
	if err := os.WriteFile(path, document, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhatCannotWorkIsSaidAtTheStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	good := write(t, func(*config.Config) {})
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no file":            {[]string{"-config", "away.json"}, "away.json"},
		"an argument":        {[]string{"-config", good, "more"}, `unexpected argument "more"`},
		"a bad member":       {[]string{"-config", write(t, func(c *config.Config) { c.PublicURL = "http://example.com" })}, "publicURL: must be https"},
		"no keys":            {[]string{"-config", write(t, func(c *config.Config) { c.KeysFile = "/nowhere" })}, "reading the key set"},
		"a rule":             {[]string{"-config", write(t, func(c *config.Config) { c.AccessRules = []config.AccessRule{{Name: "r", Expression: "claim"}} })}, "access rule r"},
		"no pod":             {[]string{"-config", write(t, func(c *config.Config) { c.Cluster = &config.Cluster{Namespace: "n", Policy: "p", Report: "r"} })}, "the pod's UID"},
		"no kubeconfig":      {[]string{"-kubeconfig", "/nowhere", "-config", write(t, kubernetes)}, "kubeconfig /nowhere"},
		"an address in use":  {[]string{"-config", good, "-listen", taken.Addr().String()}, "address already in use"},
		"profiles for all":   {[]string{"-config", good, "-listen", taken.Addr().String(), "-pprof-addr", ":0"}, "-pprof-addr :0: must be a loopback address with a port"},
		"profiles nowhere":   {[]string{"-config", good, "-pprof-addr", taken.Addr().String()}, "address already in use"},
		"a level of its own": {[]string{"-log-level", "loud"}, "log-level"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(tc.args); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the error is %v, and does not say %q", err, tc.want)
			}
		})
	}
	if err := run([]string{"-h"}); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
}

func kubernetes(c *config.Config) {
	c.Store = config.Store{Type: config.StoreKubernetes, Kubernetes: &config.KubernetesStore{
		Kind: "Secret", Namespace: "n", Name: "s", ClientShards: 1, GrantShards: 1, Replicas: 1,
	}}
}

func TestItServesUntilItIsTold(t *testing.T) {
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := admin.Addr().String()
	_ = admin.Close() // the gateway is about to take it
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	path := write(t, func(*config.Config) {})
	go func() {
		ended <- serve(ctx, path, "127.0.0.1:0", address, gateway.Timing{Finish: 5 * time.Second}, gateway.Options{Log: slog.New(slog.DiscardHandler)})
	}()
	for deadline := time.Now().Add(20 * time.Second); ; {
		resp, err := http.Get("http://" + address + "/readyz")
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body) // nothing of it is wanted
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the gateway does not become ready: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	// The program has the handlers of profiles, which nobody asked for.
	if resp, err := http.Get("http://" + address + "/debug/pprof/"); err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("beside the probes are profiles: %v, %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestProfiles(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	addr, wait, err := serveProfiles(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/debug/pprof/": "goroutine", "/debug/pprof/heap?debug=1": "heap profile", "/debug/pprof/cmdline": "test"} {
		resp, err := http.Get("http://" + addr.String() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s answers %s without %q", path, resp.Status, want)
		}
	}
	stop()
	wait()
	if c, err := net.Dial("tcp", addr.String()); err == nil {
		_ = c.Close()
		t.Error("profiles are served after the end")
	}
}
