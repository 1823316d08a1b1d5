package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/hack/loopback"
)

// gateway is one that runs as a process of its own, as it would in a pod.
type gateway struct {
	process
	url  string
	stop func()
}

// launch is what a gateway is started with.
type launch struct {
	program  string
	store    backing
	provider *idp
	// backend is scheme, host and port of who is behind it; if empty, nobody is.
	backend string
	// keys are those of an earlier one whose records it is to read; if empty, it has new
	// ones. url is that one's, too.
	keys []byte
	url  string
	env  []string
}

// start runs a gateway, and returns when it is ready.
func (l *launch) start(ctx context.Context) (*gateway, error) {
	directory, err := os.MkdirTemp("", "vestibule-bench-")
	if err != nil {
		return nil, err
	}
	addresses, err := loopback.FreeAddresses(2)
	if err != nil {
		return nil, err
	}
	public, admin := addresses[0], addresses[1]
	if l.url == "" {
		l.url = "http://" + public
	}
	if l.keys == nil {
		if l.keys, err = config.NewKeySet(time.Now()).Marshal(); err != nil {
			return nil, err
		}
	}
	g := &gateway{url: l.url}
	public = strings.TrimPrefix(l.url, "http://")
	keys := filepath.Join(directory, "keyset.json")
	configuration, err := json.Marshal(configure(g.url, keys, l.store.store, l.provider, cmp.Or(l.backend, "http://127.0.0.1:9")))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(directory, "config.json")
	for name, data := range map[string][]byte{keys: l.keys, path: configuration} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			return nil, err
		}
	}
	log, err := os.Create(filepath.Join(directory, "log"))
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, l.program, "-config", path, "-listen", public, "-admin", admin, "-kubeconfig", l.store.kubeconfig)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), l.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	g.process = process(cmd.Process.Pid)
	g.stop = func() {
		_ = cmd.Process.Kill() // it has nothing to tell any more
		_ = cmd.Wait()
		_ = os.RemoveAll(directory)
	}
	if err := ready(ctx, "http://"+admin+"/readyz"); err != nil {
		said, _ := os.ReadFile(log.Name())
		g.stop()
		return nil, fmt.Errorf("the gateway: %w\n%s", err, said)
	}
	return g, nil
}

func configure(url, keys string, store config.Store, provider *idp, backend string) *config.Config {
	return &config.Config{
		Version: config.Version, ServerUID: "bench", PublicURL: url, KeysFile: keys,
		Backend: config.Backend{URL: backend},
		Store:   store,
		Routes:  []config.Route{{Name: "mcp", Path: "/mcp", Transport: config.TransportStreamableHTTP, BackendPath: "/mcp"}},
		Registration: config.Registration{
			Enabled: true, TTLSeconds: 7776000, UnusedTTLSeconds: 86400, PublicClients: true,
		},
		Metrics:               true, // as it is by default
		AccessTokenTTLSeconds: 3600, RefreshTokenTTLSeconds: 2592000, OutageToleranceSeconds: 600,
		Upstreams:      []config.Upstream{{Name: "corp", Type: config.UpstreamOIDC, OIDC: &config.OIDCUpstream{IssuerURL: provider.url, UpstreamClient: config.UpstreamClient{ClientID: clientID}}}},
		TrustedProxies: []string{"127.0.0.0/8"}, // so that registrations come from everywhere
		Rules: config.Rules{
			Scopes:         []config.Scope{{Name: "read", Description: "Read"}, {Name: "write", Description: "Write"}},
			AccessRules:    []config.AccessRule{{Name: "staff", Expression: `claims.email.endsWith("@example.com") && "staff" in claims.groups`}},
			RequiredScopes: map[string][]string{"mcp": {"read"}},
		},
	}
}

// ready waits until a URL answers with 200.
func ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if w, err := http.DefaultClient.Do(r); err == nil {
			w.Body.Close()
			if w.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", url, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
