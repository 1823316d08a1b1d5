// Package egress fetches what strangers name. A gateway stands where other
// things can be reached than from outside, so it connects to public addresses
// alone: each address that a name has is checked, and the connection goes to one
// of those that were, whatever the name says a moment later.
package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"time"
)

// Timeout bounds a fetch: names, connection, handshake and the whole answer.
const Timeout = 5 * time.Second

// maxHeader bounds an answer's header, in bytes.
const maxHeader = 16 << 10

// Options say where fetches may go.
type Options struct {
	// AllowedHosts, unless empty, are the only ones: names, *.example.com for all
	// below one, IP addresses; each with a port if it is not 443. A name or an
	// address that is not public must be here by itself.
	AllowedHosts []string
	// DeniedCIDRs are refused besides all that is not public. AllowedCIDRs are not
	// refused, though they are denied or not public.
	DeniedCIDRs, AllowedCIDRs []string
	// CABundleFile, when set, holds roots besides the system's. It is read for
	// each fetch.
	CABundleFile string
	// Lookup finds a name's addresses; unset, the system does.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
}

// Guard fetches from where it may.
type Guard struct {
	hosts           []hostRule
	denied, allowed []netip.Prefix
	roots           string
	lookup          func(ctx context.Context, host string) ([]netip.Addr, error)
	dialer          net.Dialer
	timeout         time.Duration
}

// New returns a guard, or says what in the options is not what it should be.
func New(o Options) (*Guard, error) {
	g := &Guard{roots: o.CABundleFile, lookup: o.Lookup, timeout: Timeout}
	if g.lookup == nil {
		g.lookup = lookUp
	}
	var err error
	for _, s := range o.AllowedHosts {
		r, err := parseHostRule(s)
		if err != nil {
			return nil, fmt.Errorf("allowed hosts: %w", err)
		}
		g.hosts = append(g.hosts, r)
	}
	if g.denied, err = parsePrefixes(o.DeniedCIDRs); err != nil {
		return nil, fmt.Errorf("denied CIDRs: %w", err)
	}
	if g.allowed, err = parsePrefixes(o.AllowedCIDRs); err != nil {
		return nil, fmt.Errorf("allowed CIDRs: %w", err)
	}
	return g, nil
}

// lookUp takes the name as it is: a pod's search domains would find example.com
// in the cluster first.
func lookUp(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host+".")
}

// ErrRefused says that the guard does not let a fetch go where it would.
var ErrRefused = errors.New("this server does not fetch from there")

func refusedf(why string) error { return fmt.Errorf("%w: %s", ErrRefused, why) }

// AnswerError says that there was an answer, but none to use.
type AnswerError struct{ Reason string }

func (e *AnswerError) Error() string { return e.Reason }

// Answer is what came back.
type Answer struct {
	Header http.Header
	Body   []byte
}

// Get fetches a URL, for a body of at most limit bytes. It follows no redirect,
// uses no proxy, and takes no encoding that could unfold. The error is
// ErrRefused, an *AnswerError, or that of the network.
func (g *Guard) Get(ctx context.Context, target string, limit int64) (*Answer, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, refusedf("the URL is not one")
	}
	if err := g.CheckURL(u); err != nil {
		return nil, err
	}
	client, err := g.client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, refusedf("the URL is not one")
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "Vestibule")
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := read(resp, limit)
	// Whoever is hung up on may still end an answer as if that were all of it.
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return answer, err
}

func read(resp *http.Response, limit int64) (*Answer, error) {
	switch encoding := resp.Header.Get("Content-Encoding"); {
	case resp.StatusCode/100 == 3:
		return nil, &AnswerError{"it redirects"}
	case resp.StatusCode != http.StatusOK:
		return nil, &AnswerError{fmt.Sprintf("its status is %d", resp.StatusCode)}
	case encoding != "" && encoding != "identity":
		return nil, &AnswerError{"it is compressed, which was not asked for"}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, err
	}
	//rule:fetch-of-any-size
	if int64(len(body)) > limit {
		return nil, &AnswerError{fmt.Sprintf("it is longer than %d bytes", limit)}
	}
	return &Answer{resp.Header, body}, nil
}

// client returns one for a single request: no connection outlives the check of
// its address, and the roots are those of now.
func (g *Guard) client() (*http.Client, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if g.roots != "" {
		pem, err := os.ReadFile(g.roots)
		if err != nil {
			return nil, fmt.Errorf("reading the CA bundle: %w", err)
		}
		if !roots.AppendCertsFromPEM(pem) {
			return nil, errors.New("the CA bundle holds no certificate")
		}
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            g.dial,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeader,
		},
		//rule:fetch-redirected
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// dial connects to one of the host's addresses, if all of them may be connected to.
func (g *Guard) dial(ctx context.Context, network, hostPort string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, err
	}
	addrs, err := g.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, addr := range addrs {
		//rule:address-unchecked
		if err := g.CheckAddr(addr); err != nil {
			return nil, err
		}
	}
	//rule:name-looked-up-twice
	err = errors.New("the host has no address")
	for _, addr := range addrs[:min(len(addrs), maxDials)] {
		var conn net.Conn
		if conn, err = g.dialOne(ctx, network, net.JoinHostPort(addr.Unmap().String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// maxDials bounds how many of a host's addresses are tried.
const maxDials = 4

// dialOne leaves time for the next address, should this one not answer.
func (g *Guard) dialOne(ctx context.Context, network, addrPort string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, g.timeout/3)
	defer cancel()
	return g.dialer.DialContext(ctx, network, addrPort)
}

func (g *Guard) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	return g.lookup(ctx, host)
}
