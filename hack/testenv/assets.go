package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"vestibule.dev/vestibule/hack/repository"
)

// assets is the directory of kube-apiserver and etcd.
func assets() (string, error) {
	dir := os.Getenv("KUBEBUILDER_ASSETS")
	if dir == "" {
		var err error
		if dir, err = provide(); err != nil {
			return "", err
		}
	}
	for _, name := range []string{"kube-apiserver", "etcd"} {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("looking for the control plane's binaries: %w", err)
		}
	}
	return dir, nil
}

// provide runs hack/envtest.sh of the repository that the test runs in.
func provide() (string, error) {
	root, err := repository.Root()
	if err != nil {
		return "", fmt.Errorf("looking for hack/envtest.sh: %w; set KUBEBUILDER_ASSETS", err)
	}
	cmd := exec.Command(filepath.Join(root, "hack", "envtest.sh"))
	cmd.Stderr = os.Stderr // It says why it takes minutes.
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("running %s: %w", cmd.Path, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// kubeconfig is a kubeconfig of one context that connects as cfg does.
func kubeconfig(cfg *rest.Config) ([]byte, error) {
	const name = "testenv"
	content, err := clientcmd.Write(clientcmdapi.Config{
		CurrentContext: name,
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		Clusters: map[string]*clientcmdapi.Cluster{name: {
			Server:                   cfg.Host,
			CertificateAuthorityData: cfg.CAData,
		}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{name: {
			Token:                 cfg.BearerToken,
			ClientCertificateData: cfg.CertData,
			ClientKeyData:         cfg.KeyData,
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding a kubeconfig: %w", err)
	}
	return content, nil
}
