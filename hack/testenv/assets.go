package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
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
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("looking for hack/envtest.sh: %w", err)
	}
	for {
		script := filepath.Join(dir, "hack", "envtest.sh")
		if _, err := os.Stat(script); err == nil {
			cmd := exec.Command(script)
			cmd.Stderr = os.Stderr // It says why it takes minutes.
			out, err := cmd.Output()
			if err != nil {
				return "", fmt.Errorf("running %s: %w", script, err)
			}
			return strings.TrimSpace(string(out)), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("looking for hack/envtest.sh: not in a directory of the repository; set KUBEBUILDER_ASSETS")
		}
		dir = parent
	}
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
