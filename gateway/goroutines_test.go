package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// When Serve returns, none of the goroutines that it has started runs any more: not the
// watches, nor what follows files and reports. Close may let go what they used.
func TestServeWaitsForItsGoroutines(t *testing.T) {
	t.Parallel()
	files := newMounted(t)
	cert, key := newPair(t, 1)
	files.put(t, cert, key)
	public := gatewaytest.Listen(t)
	s := gatewaytest.Describe(t, "https://"+public.Addr().String(), gatewaytest.Setup{Configure: func(c *config.Config) {
		c.TLS = &files.TLS
		c.Cluster = &config.Cluster{Namespace: "one", Policy: "policy", Report: "report"}
		c.Store = config.Store{Type: config.StoreKubernetes, Kubernetes: &config.KubernetesStore{
			Kind: "ConfigMap", Namespace: "one", Name: "weather", ClientShards: 1, GrantShards: 1, Replicas: 1,
		}}
	}})
	g, err := gateway.New(s.Config, s.Keys, gateway.Options{
		Kubeconfig: standInAPIServer(t), PodUID: "uid", ConfigName: "config", Log: s.Log(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	// A goroutine has the labels of the one that started it.
	go pprof.Do(ctx, pprof.Labels("started-by", t.Name()), func(ctx context.Context) {
		ended <- g.Serve(ctx, public, nil, gateway.Timing{Finish: soon})
	})
	<-g.Synced()
	if n := len(startedBy(t)); n < 5 {
		t.Errorf("while it serves there are only %d goroutines", n)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, stack := range startedBy(t) {
		if strings.Contains(stack, "vestibule.dev/vestibule/gateway.(*") || strings.Contains(stack, "vestibule.dev/vestibule/gateway/internal/") {
			t.Errorf("after the end there is still\n%s", stack)
		}
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

// startedBy returns the stacks of the goroutines with the test's label.
func startedBy(t *testing.T) []string {
	t.Helper()
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		t.Fatal(err)
	}
	var stacks []string
	for stack := range strings.SplitSeq(b.String(), "\n\n") {
		if strings.Contains(stack, fmt.Sprintf("%q:%q", "started-by", t.Name())) {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// standInAPIServer has all objects that are asked for, without anything in them, and
// watches of them that say so and then nothing. It returns the path of a kubeconfig.
func standInAPIServer(t *testing.T) string {
	t.Helper()
	const object = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"resourceVersion":"7","annotations":{"k8s.io/initial-events-end":"true"}}}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if !r.URL.Query().Has("watch") {
			_, _ = io.WriteString(w, object)
			return
		}
		fmt.Fprintf(w, `{"type":"ADDED","object":%s}{"type":"BOOKMARK","object":%s}`, object, object)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	content := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c"}}],"clusters":[{"name":"c","cluster":{"server":%q}}]}`, server.URL)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
