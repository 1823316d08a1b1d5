package realcluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// haveKind says whether kind can make a cluster here.
func haveKind() bool {
	if _, err := exec.LookPath("kind"); err != nil {
		return false
	}
	return exec.Command("docker", "info").Run() == nil
}

// kind is a cluster of kind's.
type kind struct{ *Cluster }

func (k *kind) name() string { return "vestibule-" + k.opts.Name }

func (k *kind) up(ctx context.Context) (string, error) {
	kubeconfig := filepath.Join(k.cache, k.name()+".kubeconfig")
	names, err := k.run(ctx, nil, "kind", "get", "clusters")
	if err != nil {
		return "", err
	}
	for name := range strings.FieldsSeq(names) {
		if name == k.name() {
			return kubeconfig, nil
		}
	}
	var config strings.Builder
	config.WriteString("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n- role: control-plane\n  extraPortMappings:\n")
	for _, f := range k.opts.Forwards {
		fmt.Fprintf(&config, "  - {hostPort: %d, containerPort: %d, listenAddress: 127.0.0.1}\n", f.Host, f.Node)
	}
	file := filepath.Join(k.cache, k.name()+".yaml")
	if err := os.MkdirAll(k.cache, 0o700); err != nil {
		return "", err
	}
	if err := os.WriteFile(file, []byte(config.String()), 0o600); err != nil {
		return "", err
	}
	if _, err := k.run(ctx, nil, "kind", "create", "cluster", "--name", k.name(), "--config", file, "--kubeconfig", kubeconfig, "--wait", "120s"); err != nil {
		return "", err
	}
	return kubeconfig, k.rewriteDNS(ctx, kubeconfig)
}

// rewriteDNS has pods find NAME.NAMESPACE.localhost at that Service, as the
// cluster of hack/cluster does. So one URL means the same inside and outside.
func (k *kind) rewriteDNS(ctx context.Context, kubeconfig string) error {
	k.Kubeconfig, k.kubectl = kubeconfig, "kubectl"
	corefile, err := k.Kubectl(ctx, "", "get", "configmap", "-n", "kube-system", "coredns", "-o", `jsonpath={.data.Corefile}`)
	if err != nil {
		return err
	}
	const rule = "    rewrite name regex (.*)\\.(.*)\\.localhost {1}.{2}.svc.cluster.local answer auto\n"
	corefile = strings.Replace(corefile, ".:53 {\n", ".:53 {\n"+rule, 1)
	patch := fmt.Sprintf(`{"data":{"Corefile":%q}}`, corefile)
	if _, err := k.Kubectl(ctx, "", "patch", "configmap", "-n", "kube-system", "coredns", "--type=merge", "-p", patch); err != nil {
		return err
	}
	_, err = k.Kubectl(ctx, "", "rollout", "restart", "-n", "kube-system", "deployment/coredns")
	return err
}

func (k *kind) down(ctx context.Context) error {
	_, err := k.run(ctx, nil, "kind", "delete", "cluster", "--name", k.name())
	return err
}

func (k *kind) load(ctx context.Context, command string) (string, error) {
	id, err := k.run(ctx, nil, "docker", "build", "--quiet", "--build-arg", "COMMAND="+command, ".")
	if err != nil {
		return "", err
	}
	tag := strings.TrimPrefix(id, "sha256:")
	tag = tag[:min(12, len(tag))]
	image := repositoryOf(command) + ":" + tag
	if _, err := k.run(ctx, nil, "docker", "tag", id, image); err != nil {
		return "", err
	}
	_, err = k.run(ctx, nil, "kind", "load", "docker-image", image, "--name", k.name())
	return tag, err
}

func (k *kind) loadBinary(ctx context.Context, path, image string) error {
	dir, err := os.MkdirTemp("", "vestibule-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a directory too many does no harm
	binary, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, binary, 0o755); err != nil {
		return err
	}
	dockerfile := "FROM scratch\nCOPY program /program\nENTRYPOINT [\"/program\"]\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o600); err != nil {
		return err
	}
	if _, err := k.run(ctx, nil, "docker", "build", "--quiet", "--tag", image, dir); err != nil {
		return err
	}
	_, err = k.run(ctx, nil, "kind", "load", "docker-image", image, "--name", k.name())
	return err
}

// component takes the manifest of a static pod away from the kubelet, or gives it back. To
// restart a program it kills the process: the kubelet or systemd starts another.
func (k *kind) component(ctx context.Context, action, name string) error {
	node := k.name() + "-control-plane"
	if action == "restart" {
		_, err := k.run(ctx, nil, "docker", "exec", node, "pkill", "-KILL", "-f", "^(/[^ ]*/)?"+name+" ")
		return err
	}
	const manifests, aside = "/etc/kubernetes/manifests/", "/root/"
	from, to := manifests, aside
	if action == "start" {
		from, to = aside, manifests
	}
	_, err := k.run(ctx, nil, "docker", "exec", node, "mv", from+name+".yaml", to)
	return err
}
