// Package realcluster runs Vestibule on a real Kubernetes cluster of one node, for
// the demo and for tests: with kind where Docker and kind are, else with the
// cluster that hack/cluster builds from Go modules.
package realcluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"vestibule.dev/vestibule/hack/repository"
)

// Forward makes a NodePort reachable at a port of this machine's loopback.
type Forward struct{ Host, Node int }

// Options say which cluster.
type Options struct {
	// Name tells clusters on one machine apart.
	Name string
	// APIPort is where the API server is reachable on loopback.
	APIPort  int
	Forwards []Forward
	// Log takes what the tools say.
	Log io.Writer
}

// Cluster is one that is up.
type Cluster struct {
	// Kubeconfig is the path of an administrator's kubeconfig.
	Kubeconfig string

	opts    Options
	root    string // of the repository
	cache   string
	kubectl string
	plugins string // directory of kubectl's, if there is one
	node    node
}

// node is how the cluster is made.
type node interface {
	up(ctx context.Context) (kubeconfig string, err error)
	down(ctx context.Context) error
	// load builds the image of a command, and gives it to the node. The tag says
	// what is in it, so that a change of the program is a change of the image.
	load(ctx context.Context, command string) (tag string, err error)
	// loadBinary gives the node an image that is a static program alone.
	loadBinary(ctx context.Context, path, image string) error
	// component stops, starts or restarts a program of the control plane. It restarts the
	// kubelet and kube-proxy, too.
	component(ctx context.Context, action, name string) error
}

// New returns a cluster that is not up yet, or that an earlier run has left.
func New(o Options) (*Cluster, error) {
	root, err := repository.Root()
	if err != nil {
		return nil, err
	}
	c := &Cluster{opts: o, root: root, cache: os.Getenv("VESTIBULE_CACHE")}
	if c.cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("finding a place for the cluster: %w", err)
		}
		c.cache = filepath.Join(dir, "vestibule")
	}
	if haveKind() {
		c.node = &kind{c}
	} else {
		c.node = &modules{c}
	}
	return c, nil
}

// Up brings the cluster up, if it is not. It builds what is missing, which takes
// minutes the first time.
func (c *Cluster) Up(ctx context.Context) (err error) {
	if c.Kubeconfig, err = c.node.up(ctx); err != nil {
		return fmt.Errorf("bringing the cluster up: %w", err)
	}
	c.kubectl = filepath.Join(c.cache, "bin", "kubectl")
	if _, err := os.Stat(c.kubectl); err != nil {
		if c.kubectl, err = exec.LookPath("kubectl"); err != nil {
			return err
		}
	}
	return nil
}

// Down ends the cluster, and leaves nothing of it behind.
func (c *Cluster) Down(ctx context.Context) error { return c.node.down(ctx) }

// repositoryOf is the name of a command's image without its tag.
func repositoryOf(command string) string { return "localhost/vestibule/" + command }

// Load builds the image of a command, gives it to the cluster, and returns its name.
func (c *Cluster) Load(ctx context.Context, command string) (image string, err error) {
	tag, err := c.node.load(ctx, command)
	if err != nil {
		return "", fmt.Errorf("loading the image of %s: %w", command, err)
	}
	return repositoryOf(command) + ":" + tag, nil
}

// LoadPackage is Load for a program of another module.
func (c *Cluster) LoadPackage(ctx context.Context, path string) (image string, err error) {
	name := filepath.Base(path)
	program := filepath.Join(c.cache, "images", name)
	if _, err := c.run(ctx, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-o", program, path); err != nil {
		return "", fmt.Errorf("building %s: %w", path, err)
	}
	return c.loadBinary(ctx, name, program)
}

// Stop kills a program of the control plane, such as kube-apiserver, and keeps it
// from coming back until Start.
func (c *Cluster) Stop(ctx context.Context, component string) error {
	return c.node.component(ctx, "stop", component)
}

// Start ends what Stop began. It does not wait.
func (c *Cluster) Start(ctx context.Context, component string) error {
	return c.node.component(ctx, "start", component)
}

// Restart kills a program of the control plane, the kubelet or kube-proxy, which then
// starts again. It does not wait.
func (c *Cluster) Restart(ctx context.Context, component string) error {
	return c.node.component(ctx, "restart", component)
}

// Plugin builds Vestibule's plug-in, which Kubectl knows from then on.
func (c *Cluster) Plugin(ctx context.Context) error {
	c.plugins = filepath.Join(c.cache, "plugins")
	_, err := c.run(ctx, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-o", filepath.Join(c.plugins, "kubectl-vestibule"), "./cmd/kubectl-vestibule")
	return err
}

// Kubectl runs kubectl, and returns what it prints.
func (c *Cluster) Kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.kubectl, args...)
	cmd.Dir = c.root
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig, "KUBECACHEDIR="+filepath.Join(c.cache, "kubectl"),
		"PATH="+c.plugins+string(os.PathListSeparator)+os.Getenv("PATH"))
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return strings.TrimSpace(stdout.String()), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

// Helm runs helm, and returns what it prints.
func (c *Cluster) Helm(ctx context.Context, args ...string) (string, error) {
	return c.run(ctx, []string{"KUBECONFIG=" + c.Kubeconfig}, "go", append([]string{"tool", "-modfile=hack/release/go.mod", "helm"}, args...)...)
}

// Apply applies manifests.
func (c *Cluster) Apply(ctx context.Context, manifests string) error {
	_, err := c.Kubectl(ctx, manifests, "apply", "--server-side", "--force-conflicts", "-f", "-")
	return err
}

// overlay is config/default with the images of this cluster. kustomize takes no
// absolute paths, so it lies in the repository while it is needed.
const overlay = `resources: [../config/default]
images:
- {name: controller, newName: %q, newTag: %q}
- {name: gateway, newName: %q, newTag: %q}
`

// Deploy loads the images of controller and gateway, installs Vestibule as
// config/default has it, and waits until the controller is available.
func (c *Cluster) Deploy(ctx context.Context) error {
	var names []any
	for _, command := range []string{"controller", "gateway"} {
		image, err := c.Load(ctx, command)
		if err != nil {
			return err
		}
		repository, tag, _ := strings.Cut(image, ":")
		names = append(names, repository, tag)
	}
	dir, err := os.MkdirTemp(c.root, ".deploy-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a directory too many does no harm
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), fmt.Appendf(nil, overlay, names...), 0o600); err != nil {
		return err
	}
	if _, err := c.Kubectl(ctx, "", "apply", "--server-side", "--force-conflicts", "-k", dir); err != nil {
		return err
	}
	_, err = c.Kubectl(ctx, "", "rollout", "status", "--timeout=120s", "-n", "vestibule-system", "deployment/vestibule-controller")
	return err
}

// run runs a program of the repository, logs what it says, and returns what it prints.
func (c *Cluster) run(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = c.root
	cmd.Env = append(os.Environ(), env...)
	var stdout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, c.opts.Log
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return strings.TrimSpace(stdout.String()), nil
}

// modules is the cluster of hack/cluster.
type modules struct{ *Cluster }

func (m *modules) env() []string {
	var forwards []string
	for _, f := range m.opts.Forwards {
		forwards = append(forwards, fmt.Sprintf("%d=%d", f.Host, f.Node))
	}
	return []string{
		"VESTIBULE_CACHE=" + m.cache,
		"VESTIBULE_CLUSTER_STATE=" + filepath.Join(m.cache, "cluster-"+m.opts.Name),
		"VESTIBULE_CLUSTER_API_PORT=" + strconv.Itoa(m.opts.APIPort),
		"VESTIBULE_CLUSTER_FORWARD=" + strings.Join(forwards, " "),
	}
}

func (m *modules) up(ctx context.Context) (string, error) {
	return m.run(ctx, m.env(), "hack/cluster/up.sh")
}

func (m *modules) down(ctx context.Context) error {
	_, err := m.run(ctx, m.env(), "hack/cluster/down.sh")
	return err
}

func (m *modules) load(ctx context.Context, command string) (string, error) {
	content, err := m.run(ctx, nil, "hack/image.sh", command, filepath.Join(m.cache, "images"))
	if err != nil {
		return "", err
	}
	lines := strings.Split(content, "\n")
	binary, err := os.ReadFile(lines[0])
	if err != nil {
		return "", err
	}
	tag := fmt.Sprintf("%x", sha256.Sum256(binary))[:12]
	args := append([]string{lines[0], repositoryOf(command) + ":" + tag}, lines[1:]...)
	_, err = m.run(ctx, m.env(), "hack/cluster/load-image.sh", args...)
	return tag, err
}

func (m *modules) loadBinary(ctx context.Context, path, image string) error {
	_, err := m.run(ctx, m.env(), "hack/cluster/load-image.sh", path, image)
	return err
}

func (m *modules) component(ctx context.Context, action, name string) error {
	_, err := m.run(ctx, m.env(), "hack/cluster/component.sh", action, name)
	return err
}
