//go:build e2e

// Package cluster tests the scripts of this directory. As root, it brings up a
// cluster of its own; the first time on a machine it builds Kubernetes.
package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/hack/loopback"
)

func TestTheClusterDoesWhatAClusterDoes(t *testing.T) {
	c := up(t)

	if again := c.script(t, "up.sh"); again != c.kubeconfig {
		t.Errorf("up.sh, called again, printed %q, want %q", again, c.kubeconfig)
	}

	probe := filepath.Join(t.TempDir(), "probe")
	build := exec.Command("go", "build", "-o", probe, "./probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the probe: %v\n%s", err, out)
	}
	c.script(t, "load-image.sh", probe, "localhost/probe:trial")
	c.apply(t, "testdata/workload.yaml")

	t.Run("an image that no registry has becomes Available", func(t *testing.T) {
		c.kubectl(t, "rollout", "status", "deployment/server", "--timeout=90s")
		c.kubectl(t, "wait", "--for=condition=Ready", "pod/client", "--timeout=60s")
	})
	ip := c.kubectl(t, "get", "service", "server", "-o=jsonpath={.spec.clusterIP}")

	t.Run("another pod reaches the Service", func(t *testing.T) {
		for _, host := range []string{ip, "server", "server.trial.svc.cluster.local", "server.trial.localhost"} {
			c.eventually(t, 20*time.Second, "server-", "exec", "client", "--", "/probe", "get", "http://"+host+":"+c.port)
		}
	})

	t.Run("an unknown name is unknown, and an address outside out of reach", func(t *testing.T) {
		c.refused(t, "no such host", "exec", "client", "--", "/probe", "get", "http://example.com")
		c.refused(t, "no route to host", "exec", "client", "--", "/probe", "get", "http://192.0.2.1")
	})

	t.Run("the host reaches the NodePort", func(t *testing.T) {
		if body := c.get(t, "/"); !strings.HasPrefix(body, "server-") {
			t.Errorf("got %q, want a pod's name", body)
		}
	})

	t.Run("a changed Secret reaches its volume", func(t *testing.T) {
		if word := c.get(t, "/secret"); word != "first" {
			t.Fatalf("got %q, want the word as it was created", word)
		}
		c.kubectl(t, "patch", "secret", "word", "--patch", `{"stringData": {"word": "second"}}`)
		within(t, 90*time.Second, func() error {
			if word := c.get(t, "/secret"); word != "second" {
				return fmt.Errorf("the word is still %q", word)
			}
			return nil
		})
	})

	t.Run("a service account may do what RBAC allows, and only that", func(t *testing.T) {
		c.eventually(t, 20*time.Second, "PodList", "exec", "client", "--", "/probe", "api", "/api/v1/namespaces/trial/pods")
		c.refused(t, "403 Forbidden", "exec", "client", "--", "/probe", "api", "/api/v1/namespaces/trial/secrets")
	})

	t.Run("a deleted pod is replaced", func(t *testing.T) {
		names := func() []string {
			return strings.Fields(c.kubectl(t, "get", "pods", "-l=app=server", "-o=jsonpath={.items[*].metadata.name}"))
		}
		deleted := names()[0]
		c.kubectl(t, "delete", "pod", deleted, "--timeout=60s")
		c.kubectl(t, "rollout", "status", "deployment/server", "--timeout=60s")
		if now := names(); len(now) != 2 || strings.Contains(strings.Join(now, " "), deleted) {
			t.Errorf("after %s was deleted there are %v, want two others", deleted, now)
		}
	})

	t.Run("pods outlive an outage of the API server", func(t *testing.T) {
		c.script(t, "component.sh", "stop", "kube-apiserver")
		time.Sleep(2 * time.Second) // A component that is not held back is back by then.
		if _, err := c.tryKubectl("get", "--raw=/readyz"); err == nil {
			t.Error("the API server answers although it is stopped")
		}
		c.get(t, "/")
		c.script(t, "component.sh", "start", "kube-apiserver")
		c.eventually(t, time.Minute, "ok", "get", "--raw=/readyz")
	})
}

type testCluster struct {
	state      string
	port       string // on the host, of the NodePort 30080
	kubeconfig string
	env        []string
}

// up brings up a cluster that goes, all of it, when the test ends.
func up(t *testing.T) *testCluster {
	t.Helper()
	home, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cache := cmp.Or(os.Getenv("VESTIBULE_CACHE"), filepath.Join(home, "vestibule"))
	c := &testCluster{state: filepath.Join(cache, "cluster-test"), port: freePort(t)}
	c.env = append(os.Environ(),
		"KUBECACHEDIR="+filepath.Join(c.state, "kubectl"),
		"VESTIBULE_CACHE="+cache,
		"VESTIBULE_CLUSTER_STATE="+c.state,
		"VESTIBULE_CLUSTER_API_PORT="+freePort(t),
		"VESTIBULE_CLUSTER_FORWARD="+c.port+"=30080")

	c.script(t, "down.sh") // What an earlier run left that was killed.
	t.Cleanup(func() { c.script(t, "down.sh") })
	c.kubeconfig = c.script(t, "up.sh")

	cgroups, err := os.ReadFile(filepath.Join(c.state, "cgroups"))
	if err != nil {
		t.Fatal(err)
	}
	namespaces := strings.Fields(c.script(t, "in-node.sh", "readlink", "/proc/self/ns/net", "/proc/self/ns/pid"))
	t.Cleanup(func() {
		c.script(t, "down.sh")
		c.checkGone(t, strings.Fields(string(cgroups)), namespaces)
	})
	return c
}

// checkGone fails the test when anything of the cluster is left.
func (c *testCluster) checkGone(t *testing.T, cgroups, namespaces []string) {
	t.Helper()
	if len(cgroups) < 5 || len(namespaces) != 2 {
		t.Errorf("the cluster had the cgroups %v and the namespaces %v, so few?", cgroups, namespaces)
	}
	for _, path := range append(cgroups, c.state) {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
	// Not at once: a process that has ended is there until its parent has noticed.
	within(t, 5*time.Second, func() error {
		links, err := filepath.Glob("/proc/[0-9]*/ns/*")
		for _, link := range links {
			if target, err := os.Readlink(link); err == nil && slices.Contains(namespaces, target) {
				return fmt.Errorf("a process is left: %s is %s", link, target)
			}
		}
		return err
	})
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), c.state) {
		t.Errorf("mounts are left below %s:\n%s", c.state, mounts)
	}
	if conn, err := net.Dial("tcp", "127.0.0.1:"+c.port); err == nil {
		_ = conn.Close()
		t.Errorf("port %s is still open", c.port)
	}
}

// script runs a script of this directory and returns its output.
func (c *testCluster) script(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command("./"+name, args...)
	cmd.Env = c.env
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return strings.TrimSpace(string(out))
}

func (c *testCluster) apply(t *testing.T, manifest string) {
	t.Helper()
	content, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), filepath.Base(manifest))
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(content), "$PORT", c.port)), 0o600); err != nil {
		t.Fatal(err)
	}
	c.kubectl(t, "apply", "-f", path)
}

func (c *testCluster) tryKubectl(args ...string) (string, error) {
	bin := filepath.Join(filepath.Dir(c.state), "bin", "kubectl")
	cmd := exec.Command(bin, append([]string{"--kubeconfig", c.kubeconfig, "--namespace", "trial"}, args...)...)
	cmd.Env = c.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *testCluster) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.tryKubectl(args...)
	if err != nil {
		t.Fatalf("kubectl %v: %v\n%s", args, err, out)
	}
	return out
}

// eventually waits until kubectl succeeds with want in its output.
func (c *testCluster) eventually(t *testing.T, limit time.Duration, want string, args ...string) {
	t.Helper()
	within(t, limit, func() error {
		out, err := c.tryKubectl(args...)
		if err == nil && !strings.Contains(out, want) {
			err = fmt.Errorf("no %q in the output", want)
		}
		if err != nil {
			return fmt.Errorf("kubectl %v: %w\n%s", args, err, out)
		}
		return nil
	})
}

// refused checks that kubectl fails for the reason why.
func (c *testCluster) refused(t *testing.T, why string, args ...string) {
	t.Helper()
	if out, err := c.tryKubectl(args...); err == nil || !strings.Contains(out, why) {
		t.Errorf("kubectl %v: %v, want a failure with %q in\n%s", args, err, why, out)
	}
}

// get is a request from the host.
func (c *testCluster) get(t *testing.T, path string) string {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get("http://127.0.0.1:" + c.port + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return string(body)
}

func within(t *testing.T, limit time.Duration, attempt func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := attempt()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %v", limit, err)
		}
		time.Sleep(500 * time.Millisecond)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(loopback.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}
