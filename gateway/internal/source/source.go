// Package source says where requests come from, and bounds how much one source
// may ask for.
package source

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Resolver finds the address of a request's sender.
type Resolver struct{ trusted []netip.Prefix }

// NewResolver returns a resolver that believes the X-Forwarded-For of peers in
// these CIDRs, and of no others.
func NewResolver(trustedProxies []string) (*Resolver, error) {
	r := &Resolver{}
	for _, cidr := range trustedProxies {
		p, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil, fmt.Errorf("trusted proxies: %w", err)
		}
		r.trusted = append(r.trusted, p.Masked())
	}
	return r, nil
}

// Of returns the address of the nearest sender that is not a trusted proxy:
// what stands further left in X-Forwarded-For, anybody can have written. It is
// the zero address if the peer's own cannot be told.
func (r *Resolver) Of(req *http.Request) netip.Addr {
	peer := peerOf(req)
	//rule:anybody-is-a-proxy
	if !r.trusts(peer) {
		return peer
	}
	hops := strings.Split(strings.Join(req.Header.Values("X-Forwarded-For"), ","), ",")
	//rule:forwarded-from-the-left
	for _, hop := range slices.Backward(hops) {
		addr, ok := parseHop(hop)
		if !ok {
			return peer // the trusted proxy itself vouches for no more than this
		}
		peer = addr
		if !r.trusts(addr) {
			break
		}
	}
	return peer
}

type addrKey struct{}

// Mark lets what serves a request know its sender, by AddrOf.
func (r *Resolver) Mark(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		next(w, req.WithContext(context.WithValue(req.Context(), addrKey{}, r.Of(req))))
	}
}

// AddrOf returns the sender of the request that ctx belongs to, as Mark found
// it, or the zero address.
func AddrOf(ctx context.Context) netip.Addr {
	addr, _ := ctx.Value(addrKey{}).(netip.Addr)
	return addr
}

// HostOf returns the host that the sender asked for: the Host header, or what a
// trusted proxy says that it was.
func (r *Resolver) HostOf(req *http.Request) string {
	//rule:forwarded-host
	if r.trusts(peerOf(req)) {
		if forwarded := req.Header.Values("X-Forwarded-Host"); len(forwarded) == 1 && !strings.Contains(forwarded[0], ",") {
			return forwarded[0]
		}
	}
	return req.Host
}

func (r *Resolver) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(r.trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}

func peerOf(req *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(req.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// parseHop reads one element of X-Forwarded-For, which may come with a port.
func parseHop(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}
