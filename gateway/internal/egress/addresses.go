package egress

import (
	"fmt"
	"net/netip"
	"slices"
)

func prefixes(cidrs ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(cidrs))
	for i, s := range cidrs {
		all[i] = netip.MustParsePrefix(s)
	}
	return all
}

// special are the addresses that are not just any host on the internet: those of
// IANA's special-purpose registries (RFC 6890), and one that is public by number only.
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32", // what serves Azure's machines their secrets
	// Within 2000::/3. Teredo is in the first, 6to4 is the third: both lead on to
	// any IPv4 address.
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

// globalUnicast is all of IPv6 that is given to hosts on the internet. What is
// outside of it leads inside (unique local, link-local), to IPv4 (mapped, NAT64),
// or nowhere.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// CheckAddr says why no connection may go to this address, or returns nil.
func (g *Guard) CheckAddr(addr netip.Addr) error {
	if addr.Zone() != "" {
		return refusedf("an address of the host is on a local link")
	}
	addr = addr.Unmap()
	within := func(p netip.Prefix) bool { return p.Contains(addr) }
	switch {
	case slices.ContainsFunc(g.allowed, within):
		return nil
	case slices.ContainsFunc(g.denied, within):
		return refusedf("an address of the host is in a denied range")
	//rule:fetch-from-inside fetch-from-inside-by-v6
	case addr.Is6() && !globalUnicast.Contains(addr), slices.ContainsFunc(special, within), !addr.IsValid():
		return refusedf("an address of the host is not public")
	}
	return nil
}

func parsePrefixes(cidrs []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, s := range cidrs {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%q is not a CIDR", s)
		}
		all = append(all, p.Masked())
	}
	return all, nil
}
