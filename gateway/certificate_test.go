package gateway_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// newPair makes a certificate of this serial number, for 127.0.0.1, and its key.
func newPair(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "gateway"}, DNSNames: []string{"gateway.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// secured is a gateway that serves with the certificate in its files.
type secured struct {
	*running
	files mounted
}

func serveTLS(t *testing.T) *secured {
	t.Helper()
	s := &secured{files: newMounted(t)}
	s.write(t, 1)
	s.running = serve(t, gatewaytest.Setup{
		Configure: func(c *config.Config) { c.TLS = &s.files.TLS }, Intervals: gateway.Intervals{Certificate: 5 * time.Millisecond},
	}, gateway.Timing{Finish: soon})
	s.waitReady(t, http.StatusOK)
	return s
}

func (s *secured) write(t *testing.T, serial int64) {
	t.Helper()
	cert, key := newPair(t, serial)
	s.files.put(t, cert, key)
}

// mounted are files in a volume, as the kubelet makes them.
type mounted struct {
	config.TLS
	dir string
}

func newMounted(t *testing.T) mounted {
	dir := t.TempDir()
	return mounted{config.TLS{CertFile: filepath.Join(dir, "data", "tls.crt"), KeyFile: filepath.Join(dir, "data", "tls.key")}, dir}
}

// put puts new files in the place of the old ones, all at once.
func (m mounted) put(t *testing.T, cert, key []byte) {
	t.Helper()
	version, link := t.TempDir(), filepath.Join(m.dir, "new")
	for name, content := range map[string][]byte{"tls.crt": cert, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(version, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(version, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link, filepath.Join(m.dir, "data")); err != nil {
		t.Fatal(err)
	}
}

// connect opens a connection of its own, and returns the serial number of the
// certificate that it is served with.
func (s *secured) connect(t *testing.T, versions ...string) (*tls.Conn, int64) {
	t.Helper()
	conn, err := tls.Dial("tcp", s.Addrs[0], &tls.Config{InsecureSkipVerify: true, NextProtos: versions})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// becomes waits until new connections are served with a certificate.
func (s *secured) becomes(t *testing.T, serial int64) {
	t.Helper()
	for deadline := time.Now().Add(soon); ; time.Sleep(5 * time.Millisecond) {
		conn, got := s.connect(t)
		_ = conn.Close()
		if got == serial {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("new connections get certificate %d, not %d", got, serial)
		}
	}
}

// ask sends a request over a connection that is kept.
func (s *secured) ask(t *testing.T, conn *tls.Conn) {
	t.Helper()
	if _, err := fmt.Fprintf(conn, "GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: %s\r\n\r\n", s.Addrs[0]); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK || resp.Close {
		t.Errorf("%s, close %v, %v", resp.Status, resp.Close, err)
	}
}

func TestACertificateIsRenewedWhileItServes(t *testing.T) {
	t.Parallel()
	s := serveTLS(t)
	old, serial := s.connect(t, "http/1.1")
	if serial != 1 {
		t.Fatalf("certificate %d", serial)
	}
	s.ask(t, old)

	s.write(t, 2)
	s.becomes(t, 2)
	s.ask(t, old) // its connection is as good as before
	if problem := gateway.PolicyCheck(s.gateway); problem != "" {
		t.Errorf("it reports %s", problem)
	}

	// What cannot be used changes nothing, and is said.
	cert, _ := newPair(t, 3)
	_, other := newPair(t, 3)
	s.files.put(t, cert, other)
	for deadline := time.Now().Add(soon); gateway.PolicyCheck(s.gateway) != config.ReasonCertificateInvalid; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a key of another certificate is not reported")
		}
	}
	s.becomes(t, 2)
	s.ask(t, old)

	s.write(t, 4)
	s.becomes(t, 4)
	s.ask(t, old)
	for deadline := time.Now().Add(soon); gateway.PolicyCheck(s.gateway) != ""; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a good certificate is reported as a bad one")
		}
	}
	if n := strings.Count(s.Secrets.Written(), `"msg":"the newest certificate is not used"`); n != 1 {
		t.Errorf("it is logged %d times", n)
	}
}

func TestWithTLSTheVersionIsNegotiated(t *testing.T) {
	t.Parallel()
	s := serveTLS(t)
	for _, versions := range [][]string{{"h2", "http/1.1"}, {"http/1.1"}} {
		protocols := &http.Protocols{}
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(versions[0] == "h2")
		client := &http.Client{Transport: &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, NextProtos: versions}}}
		resp, err := client.Get("https://" + s.Addrs[0] + "/.well-known/oauth-authorization-server")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.TLS.NegotiatedProtocol != versions[0] {
			t.Errorf("%v: %s with %q", versions, resp.Status, resp.TLS.NegotiatedProtocol)
		}
		client.CloseIdleConnections()
	}
	if _, err := tls.Dial("tcp", s.Addrs[0], &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	resp, err := http.Get("http://" + s.Addrs[0] + "/.well-known/oauth-authorization-server")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS: %s", resp.Status)
	}
}

// A gateway does not start without a certificate that it was told to serve with.
func TestWithoutItsCertificateNoGatewayStarts(t *testing.T) {
	t.Parallel()
	files := newMounted(t)
	s := gatewaytest.Describe(t, "http://127.0.0.1:1", gatewaytest.Setup{Configure: func(c *config.Config) { c.TLS = &files.TLS }})
	start := func() error {
		g, err := gateway.New(s.Config, s.Keys, gateway.Options{Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			_ = g.Close()
		}
		return err
	}
	if err := start(); err == nil || !strings.Contains(err.Error(), "reading the certificate") {
		t.Errorf("without files: %v", err)
	}
	cert, _ := newPair(t, 1)
	_, key := newPair(t, 2)
	files.put(t, cert, key)
	if err := start(); err == nil || !strings.Contains(err.Error(), "does not match") {
		t.Errorf("with another's key: %v", err)
	}
}
