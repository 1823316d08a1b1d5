//go:build integration

package etcd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/conformance"
	"vestibule.dev/vestibule/hack/testenv"
)

// authority issues certificates into a directory.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{dir: t.TempDir()}
	a.issue(t, "ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// issue writes name.crt and name.key; the first certificate is the authority's own.
func (a *authority) issue(t *testing.T, name string, template *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	must(t, err)
	template.Subject = pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if a.cert == nil {
		a.cert, a.key = template, key
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	must(t, err)
	if a.key == key {
		a.cert, err = x509.ParseCertificate(cert)
		must(t, err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	writeFile(t, a.file(name+".crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	writeFile(t, a.file(name+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), 0o600))
}

// secured starts an etcd that speaks TLS and demands client certificates.
func secured(t *testing.T) (*testenv.Etcd, *authority) {
	ca := newAuthority(t)
	usage := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	ca.issue(t, "server", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: usage})
	return startEtcd(t, testenv.EtcdOptions{TLS: true, Args: []string{
		"--cert-file", ca.file("server.crt"), "--key-file", ca.file("server.key"),
		"--client-cert-auth", "--trusted-ca-file", ca.file("ca.crt"),
	}}), ca
}

var forClients = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}

// reads says what a read comes to, within little time.
func reads(t *testing.T, s *Store) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := s.Get(ctx, store.Grant, store.NewID(0))
	return err
}

func TestClientCertificates(t *testing.T) {
	e, ca := secured(t)
	stranger := newAuthority(t)
	stranger.issue(t, "gateway", &x509.Certificate{ExtKeyUsage: forClients})
	ca.issue(t, "gateway", &x509.Certificate{ExtKeyUsage: forClients})

	good := Options{
		Endpoints: e.Endpoints(), Prefix: newPrefix(), CAFile: ca.file("ca.crt"), CertFile: ca.file("gateway.crt"), KeyFile: ca.file("gateway.key"),
	}
	s := open(t, good)
	conformance.Start(t, s, conformance.Ignore)
	conformance.CreateRecord(t, s)

	for name, tc := range map[string]struct {
		change func(*Options)
		says   string
	}{
		"the system's roots":      {func(o *Options) { o.CAFile = "" }, "certificate signed by unknown authority"},
		"another's roots":         {func(o *Options) { o.CAFile = stranger.file("ca.crt") }, "certificate signed by unknown authority"},
		"no certificate":          {func(o *Options) { o.CertFile, o.KeyFile = "", "" }, ""},
		"another's certificate":   {func(o *Options) { o.CertFile, o.KeyFile = stranger.file("gateway.crt"), stranger.file("gateway.key") }, ""},
		"a certificate not there": {func(o *Options) { o.CertFile = ca.file("nothing.crt") }, "reading the client certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			tc.change(&o)
			err := reads(t, open(t, o))
			if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("a read comes to %v, want that the store is unavailable: %s", err, tc.says)
			}
		})
	}

	t.Run("a certificate that is renewed", func(t *testing.T) {
		o := good
		o.CertFile, o.KeyFile = stranger.file("gateway.crt"), stranger.file("gateway.key")
		s := open(t, o)
		if err := reads(t, s); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("with another's certificate a read comes to %v", err)
		}
		for _, name := range []string{"gateway.crt", "gateway.key"} {
			content, err := os.ReadFile(ca.file(name))
			must(t, err)
			writeFile(t, stranger.file(name), string(content))
		}
		conformance.Eventually(t, "the new certificate is used", func() bool { return errors.Is(reads(t, s), store.ErrNotFound) })
	})
}

func TestUsersAndTheirPrefixes(t *testing.T) {
	e := startEtcd(t, testenv.EtcdOptions{})
	mine, others := newPrefix(), newPrefix()
	setUp := admin(t, e.Endpoints()...)
	for _, user := range []string{"root", "weather"} {
		_, err := setUp.UserAdd(t.Context(), user, "old-password")
		must(t, err)
		_, err = setUp.RoleAdd(t.Context(), user)
		must(t, err)
		_, err = setUp.UserGrantRole(t.Context(), user, user)
		must(t, err)
	}
	_, err := setUp.RoleGrantPermission(t.Context(), "weather", mine+"/", clientv3.GetPrefixRangeEnd(mine+"/"), clientv3.PermissionType(clientv3.PermReadWrite))
	must(t, err)
	_, err = setUp.AuthEnable(t.Context())
	must(t, err)

	dir := t.TempDir()
	o := Options{Endpoints: e.Endpoints(), Prefix: mine, UserFile: filepath.Join(dir, "username"), PasswordFile: filepath.Join(dir, "password")}
	writeFile(t, o.UserFile, "weather\n")
	writeFile(t, o.PasswordFile, "old-password\n")
	s, seen := open(t, o), &conformance.Told{}
	conformance.Start(t, s, seen.Observe)
	id, value := conformance.CreateRecord(t, s)

	for name, change := range map[string]func(*Options){
		"the prefix of another": func(o *Options) { o.Prefix = others },
		"no user":               func(o *Options) { o.UserFile, o.PasswordFile = "", "" },
		"a wrong password":      func(o *Options) { o.PasswordFile = o.UserFile },
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			change(&o)
			stranger := open(t, o)
			for what, err := range map[string]error{
				"a read":  reads(t, stranger),
				"a write": stranger.CompareAndSwap(t.Context(), store.Grant, id, nil, value),
				"a sweep": stranger.CompareAndSwap(t.Context(), store.Grant, id, value, nil),
				"a watch": stranger.follow(t.Context()),
			} {
				if what == "a watch" {
					err = explain("watching", err)
				}
				if !errors.Is(err, store.ErrForbidden) || !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("%s comes to %v, want that it is forbidden", what, err)
				}
			}
		})
	}

	t.Run("a password that is changed", func(t *testing.T) {
		root, err := clientv3.New(clientv3.Config{Endpoints: e.Endpoints(), Username: "root", Password: "old-password"})
		must(t, err)
		_, err = root.UserChangePassword(t.Context(), "weather", "new-password")
		must(t, errors.Join(err, root.Close()))
		writeFile(t, o.PasswordFile, "new-password")
		// Tokens end with the process that gave them.
		must(t, e.Kill(0))
		must(t, e.Restart(0))
		next := conformance.NewValue("next")
		must(t, s.CompareAndSwap(t.Context(), store.Grant, id, value, next))
		other := open(t, o)
		last := conformance.NewValue("last")
		must(t, other.CompareAndSwap(t.Context(), store.Grant, id, next, last))
		conformance.Eventually(t, "the watch goes on", func() bool { return seen.Knows(id, last) })
	})
}

// A member learns of a token later than the one that has given it.
func TestATokenThatAMemberDoesNotKnowYet(t *testing.T) {
	dir := t.TempDir()
	o := options(newPrefix(), nil)
	o.UserFile, o.PasswordFile = filepath.Join(dir, "username"), filepath.Join(dir, "password")
	writeFile(t, o.UserFile, "weather")
	writeFile(t, o.PasswordFile, "password")
	var refusals atomic.Int64
	o.DialOptions = []grpc.DialOption{grpc.WithChainUnaryInterceptor(
		func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			if answer, ok := reply.(*etcdserverpb.AuthenticateResponse); ok {
				answer.Token = "a token"
				return nil
			}
			if refusals.Add(-1) >= 0 {
				return rpctypes.ErrGRPCInvalidAuthToken
			}
			return invoke(ctx, method, req, reply, cc, opts...)
		})}
	s := open(t, o)
	// More than the client tries by itself, with the token that there is and with a new one.
	const many = 12
	refusals.Store(many)
	if err := reads(t, s); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a read comes to %v", err)
	}
	refusals.Store(many)
	conformance.CreateRecord(t, s)
}

func TestWhatCannotWorkIsSaid(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "empty"), "")
	for _, tc := range []struct {
		o    Options
		says string
	}{
		{Options{Prefix: "weather"}, "the prefix must begin with a slash and not end in one"},
		{Options{Prefix: "/weather/"}, "the prefix must begin with a slash and not end in one"},
		{Options{Prefix: "/"}, "the prefix must begin with a slash and not end in one"},
		{Options{}, "the prefix must begin with a slash and not end in one"},
		{Options{Prefix: "/a"}, "there must be an endpoint"},
		{Options{Prefix: "/a", Endpoints: []string{"127.0.0.1:2379"}}, "endpoints must be http or https URLs"},
		{Options{Prefix: "/a", Endpoints: []string{"unix:///a"}}, "endpoints must be http or https URLs"},
		{Options{Prefix: "/a", Endpoints: []string{"https://user:secret@a:1"}}, "endpoints must be http or https URLs, without a user"},
		{Options{Prefix: "/a", Endpoints: []string{"https://a:1", "http://127.0.0.1:1"}}, "endpoints must be all http or all https"},
		{Options{Prefix: "/a", Endpoints: []string{"https://a:1"}, CertFile: "a"}, "a certificate needs its key, and a user a password"},
		{Options{Prefix: "/a", Endpoints: []string{"https://a:1"}, PasswordFile: "a"}, "a certificate needs its key, and a user a password"},
		{Options{Prefix: "/a", Endpoints: []string{"http://a:1"}, UserFile: "a", PasswordFile: "a"}, "a password over http is everybody's: endpoints must be https"},
		{Options{Prefix: "/a", Endpoints: []string{"http://a:1"}, CertFile: "a", KeyFile: "a"}, "a certificate is of no use over http: endpoints must be https"},
		{Options{Prefix: "/a", Endpoints: []string{"http://a:1"}, CAFile: "a"}, "a certificate is of no use over http: endpoints must be https"},
		{Options{Prefix: "/a", Endpoints: []string{"https://a:1"}, CAFile: filepath.Join(dir, "nothing")}, "reading the CA bundle"},
		{Options{Prefix: "/a", Endpoints: []string{"https://a:1"}, CAFile: filepath.Join(dir, "empty")}, "has no certificate in it"},
	} {
		if _, err := New(tc.o); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("New: %v, want %q", err, tc.says)
		}
	}
}
