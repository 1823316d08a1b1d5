package realcluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Etcd is one of three members in the cluster, for the records of MCPServers. Their
// data goes with their pods: a member whose pod is deleted is lost.
type Etcd struct {
	Namespace string

	certificates *etcdCertificates
}

// Endpoints are the URLs of the members.
func (e *Etcd) Endpoints() []string {
	var all []string
	for n := range 3 {
		all = append(all, fmt.Sprintf("https://etcd-%d.etcd.%s.svc:2379", n, e.Namespace))
	}
	return all
}

//go:embed etcd.yaml
var etcdManifests string

// DeployEtcd runs it, and waits until it is available.
func (c *Cluster) DeployEtcd(ctx context.Context, e *Etcd) error {
	directory, err := c.run(ctx, nil, "hack/cluster/build.sh", "etcd")
	if err != nil {
		return err
	}
	image, err := c.loadBinary(ctx, "etcd", filepath.Join(directory, "etcd"))
	if err != nil {
		return err
	}
	if e.certificates, err = newEtcdCertificates("*.etcd." + e.Namespace + ".svc"); err != nil {
		return err
	}
	manifests, err := render(etcdManifests, map[string]any{"Namespace": e.Namespace, "Image": image, "Certificates": e.certificates})
	if err != nil {
		return err
	}
	if err := c.Apply(ctx, manifests); err != nil {
		return err
	}
	_, err = c.Kubectl(ctx, "", "rollout", "status", "-n", e.Namespace, "statefulset/etcd", "--timeout=120s")
	return err
}

// KillEtcdLeader takes the member away that leads, for good.
func (c *Cluster) KillEtcdLeader(ctx context.Context, e *Etcd) error {
	for n := range 3 {
		pod := fmt.Sprintf("etcd-%d", n)
		metrics, err := c.Kubectl(ctx, "", "get", "--raw", "/api/v1/namespaces/"+e.Namespace+"/pods/"+pod+":2381/proxy/metrics")
		if err != nil {
			return err
		}
		if strings.Contains(metrics, "\netcd_server_is_leader 1\n") {
			_, err = c.Kubectl(ctx, "", "delete", "pod", "-n", e.Namespace, pod, "--force", "--grace-period=0")
			return err
		}
	}
	return errors.New("no member of the etcd leads")
}

const etcdClientManifests = `
apiVersion: v1
kind: ConfigMap
metadata: {name: etcd-ca, namespace: {{.Namespace}}}
data:
  ca.crt: {{quote .Certificates.CA}}
---
apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: {name: etcd-client, namespace: {{.Namespace}}, labels: {mcp.vestibule.dev/allowed-for: any}}
stringData:
  tls.crt: {{quote .Certificates.Client}}
  tls.key: {{quote .Certificates.ClientKey}}
`

// Admit gives a namespace what an MCPServer there needs to use it: the ConfigMap
// etcd-ca with the key ca.crt, and the Secret etcd-client.
func (c *Cluster) Admit(ctx context.Context, namespace string, e *Etcd) error {
	manifests, err := render(etcdClientManifests, map[string]any{"Namespace": namespace, "Certificates": e.certificates})
	if err != nil {
		return err
	}
	return c.Apply(ctx, manifests)
}

// loadBinary gives the cluster the image of a static program, and returns its name.
func (c *Cluster) loadBinary(ctx context.Context, name, path string) (image string, err error) {
	binary, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	image = repositoryOf(name) + ":" + fmt.Sprintf("%x", sha256.Sum256(binary))[:12]
	if err := c.node.loadBinary(ctx, path, image); err != nil {
		return "", fmt.Errorf("loading the image of %s: %w", name, err)
	}
	return image, nil
}

// etcdCertificates are in PEM.
type etcdCertificates struct{ CA, Server, ServerKey, Client, ClientKey string }

func newEtcdCertificates(host string) (*etcdCertificates, error) {
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "etcd authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	c := &etcdCertificates{}
	if c.CA, err = certificate(authority, authority, &key.PublicKey, key); err != nil {
		return nil, err
	}
	leaf := func(serial int64, name string, usage ...x509.ExtKeyUsage) (certificatePEM, keyPEM string, err error) {
		own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return "", "", err
		}
		der, err := x509.MarshalPKCS8PrivateKey(own)
		if err != nil {
			return "", "", err
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: authority.NotBefore,
			NotAfter: authority.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: usage, DNSNames: []string{host},
		}
		certificatePEM, err = certificate(template, authority, &own.PublicKey, key)
		return certificatePEM, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), err
	}
	// etcd's own gateway connects to it with the server's certificate.
	if c.Server, c.ServerKey, err = leaf(2, "etcd", x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth); err != nil {
		return nil, err
	}
	c.Client, c.ClientKey, err = leaf(3, "vestibule", x509.ExtKeyUsageClientAuth)
	return c, err
}

func certificate(template, parent *x509.Certificate, public *ecdsa.PublicKey, signer *ecdsa.PrivateKey) (string, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}
