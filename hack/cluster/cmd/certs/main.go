// Command certs writes what the parts of a new cluster identify themselves with:
// keys, certificates by an authority of the cluster's own, and kubeconfigs.
//
//	certs -node NAME -ip IP,IP... -port PORT DIRECTORY
//
// In the directory, admin.kubeconfig connects from the host, through the forwarded
// port. The others are for use inside the node.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A cluster is made for a test or a demo. A year is longer than either.
const lifetime = 365 * 24 * time.Hour

func main() {
	log.SetFlags(0)
	log.SetPrefix("certs: ")
	var c cluster
	flag.StringVar(&c.node, "node", "", "`name` of the node")
	flag.StringVar(&c.port, "port", "", "`port` of the API server on the host's loopback")
	flag.Func("ip", "`addresses` of the API server besides loopback, the node's first", func(s string) error {
		for address := range strings.SplitSeq(s, ",") {
			ip := net.ParseIP(address)
			if ip == nil {
				return fmt.Errorf("%q is no address", address)
			}
			c.ips = append(c.ips, ip)
		}
		return nil
	})
	flag.Parse()
	if c.node == "" || c.port == "" || len(c.ips) == 0 || flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := c.write(flag.Arg(0)); err != nil {
		log.Fatal(err)
	}
}

type cluster struct {
	node string
	port string
	ips  []net.IP
}

func (c cluster) write(dir string) error {
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	files := map[string][]byte{"ca.crt": ca.certPEM}
	if files["ca.key"], err = encodeKey(ca.key); err != nil {
		return err
	}

	tokens, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if files["service-accounts.key"], err = encodeKey(tokens); err != nil {
		return err
	}

	loopback := net.IPv4(127, 0, 0, 1)
	for name, template := range map[string]*x509.Certificate{
		"apiserver": {
			Subject:     pkix.Name{CommonName: "kube-apiserver"},
			DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
			IPAddresses: append([]net.IP{loopback}, c.ips...),
		},
		"kubelet": {
			Subject:     pkix.Name{CommonName: "system:node:" + c.node, Organization: []string{"system:nodes"}},
			DNSNames:    []string{c.node},
			IPAddresses: []net.IP{c.ips[0]},
		},
		"admin":                   {Subject: pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}}},
		"kube-controller-manager": {Subject: pkix.Name{CommonName: "system:kube-controller-manager"}},
		"kube-proxy":              {Subject: pkix.Name{CommonName: "system:kube-proxy"}},
		"kube-scheduler":          {Subject: pkix.Name{CommonName: "system:kube-scheduler"}},
	} {
		cert, key, err := ca.issue(template)
		if err != nil {
			return fmt.Errorf("issuing the certificate of %s: %w", name, err)
		}
		files[name+".crt"], files[name+".key"] = cert, key

		// An API server has clients and is none.
		if name == "apiserver" {
			continue
		}
		kubeconfigs := map[string]string{name + ".kubeconfig": "6443"}
		if name == "admin" {
			kubeconfigs = map[string]string{"admin.kubeconfig": c.port, "inside.kubeconfig": "6443"}
		}
		for file, port := range kubeconfigs {
			if files[file], err = kubeconfig("https://127.0.0.1:"+port, ca.certPEM, cert, key); err != nil {
				return fmt.Errorf("encoding %s: %w", file, err)
			}
		}
	}

	var errs []error
	errs = append(errs, os.MkdirAll(dir, 0o700))
	for name, content := range files {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	return errors.Join(errs...)
}

type authority struct {
	cert    *x509.Certificate
	certPEM []byte
	key     *ecdsa.PrivateKey
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "cluster"},
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().Add(lifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	template.SerialNumber = big.NewInt(1)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, certPEM: encodeCertificate(der), key: key}, nil
}

// issue completes the template to a certificate for a client and a server alike.
func (a *authority) issue(template *x509.Certificate) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, nil, err
	}
	template.NotBefore, template.NotAfter = a.cert.NotBefore, a.cert.NotAfter
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, nil, err
	}
	if keyPEM, err = encodeKey(key); err != nil {
		return nil, nil, err
	}
	return encodeCertificate(der), keyPEM, nil
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

// kubeconfig is written as JSON, which every reader of YAML takes.
func kubeconfig(server string, ca, cert, key []byte) ([]byte, error) {
	type object = map[string]any
	const name = "vestibule"
	return json.MarshalIndent(object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": name,
		"contexts":        []object{{"name": name, "context": object{"cluster": name, "user": name}}},
		"clusters":        []object{{"name": name, "cluster": object{"server": server, "certificate-authority-data": ca}}},
		"users":           []object{{"name": name, "user": object{"client-certificate-data": cert, "client-key-data": key}}},
	}, "", "  ")
}
