package egress

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func newGuard(t testing.TB, o Options) *Guard {
	t.Helper()
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestWhichAddressesArePublic(t *testing.T) {
	g := newGuard(t, Options{DeniedCIDRs: []string{"9.9.9.0/24", "2600:1::/32"}, AllowedCIDRs: []string{"10.1.0.0/16", "9.9.9.9/32", "fd00:1::/32"}})
	for addr, public := range map[string]bool{
		"1.1.1.1": true, "172.32.0.1": true, "100.128.0.1": true, "2606:4700::1111": true, "2001:4860:4860::8888": true, "::ffff:1.1.1.1": true,
		// IPv4 that is not for just any host.
		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "100.64.0.1": false, "100.100.100.200": false, "127.0.0.1": false, "127.255.255.254": false,
		"169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false, "192.0.0.1": false, "192.0.0.192": false, "192.0.2.1": false,
		"192.88.99.1": false, "192.168.1.1": false, "198.18.0.1": false, "198.19.255.255": false, "198.51.100.1": false, "203.0.113.1": false,
		"224.0.0.1": false, "239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false, "168.63.129.16": false,
		// IPv6 likewise, and what carries an IPv4 address.
		"::": false, "::1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false, "::127.0.0.1": false, "::a9fe:a9fe": false,
		"64:ff9b::a9fe:a9fe": false, "64:ff9b::1.1.1.1": false, "64:ff9b:1::1": false, "2002:7f00:1::": false, "2002:a9fe:a9fe::1": false,
		"2001::1": false, "2001:0:4136:e378:8000:63bf:3fff:fdd2": false, "2001:db8::1": false, "2001:10::1": false, "2001:20::1": false, "3fff::1": false,
		"100::1": false, "fc00::1": false, "fd00:ec2::254": false, "fe80::1": false, "fec0::1": false, "ff02::1": false, "5f00::1": false, "fe80::1%eth0": false, "2606:4700::1%eth0": false,
		// What the configuration says.
		"9.9.9.8": false, "9.9.9.9": true, "::ffff:9.9.9.8": false, "2600:1::1": false, "10.1.2.3": true, "::ffff:10.1.2.3": true, "fd00:1::1": true, "fd00:2::1": false,
	} {
		err := g.CheckAddr(netip.MustParseAddr(addr))
		if (err == nil) != public || err != nil && !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", addr, err)
		}
	}
	if g.CheckAddr(netip.Addr{}) == nil {
		t.Error("no address at all is public")
	}
}

func TestWhichHostsAreAllowed(t *testing.T) {
	open := newGuard(t, Options{})
	for target, allowed := range map[string]bool{
		"https://app.example.com/c": true, "https://app.example.com:443/c": true, "https://xn--bcher-kva.example/c": true, "https://a_b.example.com/": true,
		"http://app.example.com/c": false, "https://app.example.com:8443/c": false, "https://user@app.example.com/c": false, "https:///c": false, "https:app.example.com": false,
		"https://APP.example.com/c": false, "https://app.example.com./c": false, "https://bücher.example/c": false,
		"https://app/c": false, "https://localhost/c": false, "https://a.localhost/c": false, "https://db.prod.svc/c": false, "https://db.prod.svc.cluster.local/c": false,
		"https://printer.local/c": false, "https://metadata.google.internal/c": false, "https://a.home.arpa/c": false, "https://nas.lan/c": false,
		"https://1.1.1.1/c": false, "https://[2606:4700::1111]/c": false, "https://[::ffff:127.0.0.1]/c": false, "https://2130706433/c": false, "https://0x7f000001/c": false,
		"https://127.1/c": false, "https://0x7f.1/c": false, "https://127.0.0.0x1/c": false, "https://0177.0.0.1/c": false,
	} {
		check(t, open, target, allowed)
	}
	listed := newGuard(t, Options{AllowedHosts: []string{"claude.ai", "*.example.com", "*.dev.example:8443", "clients.tools.svc:8443", "10.0.0.1", "[fd00::1]:8443"}})
	for target, allowed := range map[string]bool{
		"https://claude.ai/c": true, "https://claude.ai:8443/c": false, "https://evil.claude.ai/c": false, "https://notclaude.ai/c": false, "https://claude.ai.evil.example/c": false,
		"https://app.example.com/c": true, "https://a.b.example.com/c": true, "https://example.com/c": false, "https://evilexample.com/c": false, "https://app.example.com:8443/c": false,
		"https://a.dev.example:8443/c": true, "https://a.dev.example/c": false, "https://chatgpt.com/c": false,
		"https://clients.tools.svc:8443/c": true, "https://clients.tools.svc/c": false, "https://10.0.0.1/c": true, "https://10.0.0.2/c": false, "https://[fd00::1]:8443/c": true, "https://[fd00::1]/c": false,
	} {
		check(t, listed, target, allowed)
	}
	inside := newGuard(t, Options{AllowedHosts: []string{"*.local", "*.svc"}})
	check(t, inside, "https://db.prod.svc/c", false) // only by itself
	for _, bad := range []Options{
		{AllowedHosts: []string{"https://claude.ai"}}, {AllowedHosts: []string{""}}, {AllowedHosts: []string{"a..b"}}, {AllowedHosts: []string{"*"}}, {AllowedHosts: []string{"claude.ai:https"}},
		{DeniedCIDRs: []string{"10.0.0.1"}}, {AllowedCIDRs: []string{"x"}},
	} {
		if _, err := New(bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func check(t *testing.T, g *Guard, target string, allowed bool) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.CheckURL(u); (err == nil) != allowed {
		t.Errorf("%s: %v", target, err)
	}
}

// site is an https server on loopback, and a guard that may reach it there by
// the name app.example.com.
type site struct {
	*httptest.Server
	guard *Guard
	url   string
	hits  atomic.Int32
}

func newSite(t *testing.T, serve http.HandlerFunc) *site {
	t.Helper()
	s := &site{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.hits.Add(1)
		serve(w, r)
	}))
	t.Cleanup(s.Close)
	port := netip.MustParseAddrPort(s.Listener.Addr().String()).Port()
	s.url = fmt.Sprintf("https://example.com:%d/client.json", port) // the name in httptest's certificate
	bundle := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	s.guard = newGuard(t, Options{
		AllowedHosts: []string{fmt.Sprintf("example.com:%d", port)}, AllowedCIDRs: []string{"127.0.0.0/8"}, CABundleFile: bundle,
		Lookup: lookupOf("127.0.0.1"),
	})
	return s
}

func lookupOf(addrs ...string) func(context.Context, string) ([]netip.Addr, error) {
	return func(context.Context, string) ([]netip.Addr, error) {
		var all []netip.Addr
		for _, a := range addrs {
			all = append(all, netip.MustParseAddr(a))
		}
		return all, nil
	}
}

func (s *site) get(t *testing.T) (*Answer, error) {
	t.Helper()
	return s.guard.Get(t.Context(), s.url, 1000)
}

func TestWhatIsFetched(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.Header.Get("Accept") != "application/json" || r.Header.Get("Accept-Encoding") != "" || r.Header.Get("Cookie") != "" {
			t.Errorf("the request is %s %v", r.Method, r.Header)
		}
		w.Header().Set("X-Test", "1")
		fmt.Fprintf(w, "%s", strings.Repeat("a", 1000))
	})
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	a, err := s.get(t)
	if err != nil || len(a.Body) != 1000 || a.Header.Get("X-Test") != "1" {
		t.Errorf("%+v, %v", a, err)
	}
}

// An answer that cannot be used is an AnswerError, and one that does not come in
// time an error of the network.
func TestAnswersThatAreNone(t *testing.T) {
	var gzipped bytes.Buffer
	z := gzip.NewWriter(&gzipped)
	_, _ = z.Write(make([]byte, 10<<20))
	_ = z.Close()
	stop := make(chan struct{})
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer inside.Close()
	for name, row := range map[string]struct {
		serve http.HandlerFunc
		says  string // of an AnswerError; else the network's
	}{
		"a redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, inside.URL, http.StatusFound) }, "redirects"},
		"a redirect, 308": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusPermanentRedirect)
		}, "redirects"},
		"not found":  {http.NotFound, "404"},
		"no content": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "204"},
		"too long":   {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "%s", strings.Repeat("a", 1001)) }, "longer than 1000"},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			for _, err := w.Write(make([]byte, 1000)); err == nil; _, err = w.Write(make([]byte, 1000)) {
			}
		}, "longer than 1000"},
		"unfolding": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(gzipped.Bytes())
		}, "compressed"},
		"an endless header": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("a", 32<<10)) }, ""},
		"no answer": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-stop:
			case <-r.Context().Done():
			}
		}, ""},
		"a header and no end": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-stop:
			case <-r.Context().Done():
			}
		}, ""},
		"drop by drop": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				fmt.Fprintf(w, "%s", " ")
				_ = http.NewResponseController(w).Flush()
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		}, ""},
		"less than announced": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprintf(w, "%s", "{}")
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, row.serve)
			if row.says == "" {
				s.guard.timeout = 300 * time.Millisecond
			}
			begun := time.Now()
			_, err := s.get(t)
			bad, ok := errors.AsType[*AnswerError](err)
			if err == nil || ok != (row.says != "") || ok && !strings.Contains(bad.Reason, row.says) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
	close(stop)
}

func TestNamesThatLeadInside(t *testing.T) {
	for name, addrs := range map[string][]string{
		"inside": {"10.0.0.1"}, "one of them inside": {"127.0.0.1", "10.0.0.1"}, "metadata": {"169.254.169.254"},
		"mapped": {"::ffff:10.0.0.1"}, "NAT64": {"64:ff9b::a00:1"}, "none": {},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(http.ResponseWriter, *http.Request) {})
			s.guard.lookup = lookupOf(addrs...)
			if _, err := s.get(t); err == nil || len(addrs) > 0 && !errors.Is(err, ErrRefused) {
				t.Errorf("got %v", err)
			}
			if s.hits.Load() > 0 {
				t.Error("somebody was asked")
			}
		})
	}
}

// A name that is public when it is checked, and leads inside when it is used.
func TestANameIsLookedUpOnce(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "%s", "{}") })
	lookups := 0
	s.guard.lookup = func(_ context.Context, host string) ([]netip.Addr, error) {
		lookups++
		if host != "example.com" {
			t.Errorf("%s is looked up", host)
		}
		return []netip.Addr{netip.MustParseAddr([]string{"127.0.0.1", "10.0.0.1"}[min(lookups-1, 1)])}, nil
	}
	if _, err := s.get(t); err != nil || lookups != 1 {
		t.Errorf("%d lookups, %v", lookups, err)
	}
	if _, err := s.get(t); !errors.Is(err, ErrRefused) || lookups != 2 {
		t.Errorf("the second time, %d lookups, %v", lookups, err)
	}
}

func TestTheNextAddressIsTried(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "%s", "{}") })
	s.guard.lookup = lookupOf("127.0.0.2", "127.0.0.1") // nobody listens at the first
	if _, err := s.get(t); err != nil {
		t.Error(err)
	}
}

func TestWhoeverAnswersMustProveTheName(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "%s", "{}") })
	wrong := strings.Replace(s.url, "example.com", "example.org", 1)
	u, err := url.Parse(wrong)
	if err != nil {
		t.Fatal(err)
	}
	s.guard.hosts = append(s.guard.hosts, hostRule{name: "example.org", port: u.Port()})
	if _, err := s.guard.Get(t.Context(), wrong, 1000); err == nil {
		t.Error("a certificate for another name is taken")
	}
	s.guard.roots = ""
	if _, err := s.get(t); err == nil {
		t.Error("a certificate of nobody known is taken")
	}
	for _, bundle := range []string{"", "no certificate"} {
		s.guard.roots = filepath.Join(t.TempDir(), "ca.crt")
		if bundle != "" {
			if err := os.WriteFile(s.guard.roots, []byte(bundle), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.get(t); err == nil || !strings.Contains(err.Error(), "CA bundle") {
			t.Errorf("with the bundle %q: %v", bundle, err)
		}
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "%s", "{}") })
	s.TLS.MaxVersion = tls.VersionTLS11
	if _, err := s.get(t); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
}

// Without exceptions, no URL leads anywhere but to port 443 of a public name.
func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{
		"https://app.example.com/c", "https://localhost/c", "https://127.0.0.1/c", "https://[::1]/c", "https://0x7f.1/c", "https://2130706433/c", "https://kubernetes.default.svc/api", "https://kubernetes.default.svc.cluster.local/", "https://metadata.google.internal/", "https://a.example.com:8443/", "https://a.example.com./", "https://A.example.com/", "https://u@a.example.com/", "http://a.example.com/", "https://а.example.com/", "https://1.2.3.4.nip.io/", "https://a..example.com/", "https:a", "https://a.example.com:443/", "https://a.127/", "https://a.0x/",
	} {
		f.Add(seed)
	}
	g, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.Parse(s)
		if err != nil || g.CheckURL(u) != nil {
			return
		}
		name := u.Hostname()
		_, isAddr := netip.ParseAddr(name)
		if u.Scheme != "https" || u.User != nil || u.Port() != "" && u.Port() != "443" || isAddr == nil || !strings.Contains(name, ".") || strings.ToLower(name) != name ||
			strings.HasSuffix(name, ".local") || strings.HasSuffix(name, ".svc") || strings.HasSuffix(name, ".internal") || strings.HasSuffix(name, ".localhost") || strings.ContainsAny(name, "%:/@\\ ") {
			t.Errorf("%q may be fetched, from %q", s, u.Host)
		}
	})
}

func FuzzCheckAddr(f *testing.F) {
	for _, seed := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "8.8.8.8", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fe80::1", "fc00::1", "2002:7f00:1::", "2606:4700::1", "::", "0.0.0.0", "::ffff:0:127.0.0.1", "100.64.0.1", "255.255.255.255"} {
		addr := netip.MustParseAddr(seed)
		f.Add(addr.AsSlice())
	}
	g, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		addr, ok := netip.AddrFromSlice(b)
		if !ok || g.CheckAddr(addr) != nil {
			return
		}
		if plain := addr.Unmap(); plain.IsPrivate() || plain.IsLoopback() || plain.IsLinkLocalUnicast() || plain.IsMulticast() || plain.IsUnspecified() || !plain.IsGlobalUnicast() {
			t.Errorf("%s may be reached", addr)
		}
	})
}
