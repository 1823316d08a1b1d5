package egress

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// hostRule is one of the hosts that are allowed.
type hostRule struct {
	name, port string
	// below says that it stands for every host below name.
	below bool
}

// parseHostRule reads a host name, with or without a port; an IP address
// likewise, one of IPv6 in brackets; or *.example.com.
func parseHostRule(s string) (hostRule, error) {
	r := hostRule{name: s, port: httpsPort}
	if host, port, err := net.SplitHostPort(s); err == nil {
		r.name, r.port = host, port
	} else {
		r.name = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	}
	if rest, ok := strings.CutPrefix(r.name, "*."); ok {
		r.name, r.below = rest, true
	}
	_, err := netip.ParseAddr(r.name)
	if !portNumber.MatchString(r.port) || err != nil && !hostName.MatchString(r.name) {
		return r, fmt.Errorf("%q is not a host", s)
	}
	return r, nil
}

const httpsPort = "443"

// hostName is how a name must be written: one way, so that what is compared is
// what is looked up.
var hostName = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$`)

var portNumber = regexp.MustCompile(`^[1-9][0-9]{0,4}$`)

// notPublic are top-level names that no public host has, as RFC 6761 and its
// like reserve them, or as clusters and private networks use them.
var notPublic = regexp.MustCompile(`(^|\.)(localhost|local|localdomain|internal|intranet|lan|svc|home\.arpa)$|(^|\.)(\d+|0x[0-9a-f]*)$`)

// CheckURL says why nothing may be fetched from this URL, or returns nil. It must
// be https. A host that is allowed by its own name may be any; every other must
// have a public name, and port 443.
func (g *Guard) CheckURL(u *url.URL) error {
	if u.Scheme != "https" || u.Opaque != "" || u.User != nil || u.Host == "" {
		return refusedf("the URL is not https, or names a user")
	}
	name, port := u.Hostname(), u.Port()
	if port == "" {
		port = httpsPort
	}
	below := false
	for _, r := range g.hosts {
		if !r.below && r.name == name && r.port == port {
			return nil
		}
		below = below || r.below && r.port == port && strings.HasSuffix(name, "."+r.name)
	}
	//rule:fetch-from-any-host
	if len(g.hosts) > 0 && !below {
		return refusedf("the host is not one of the allowed ones")
	}
	if port != httpsPort && !below {
		return refusedf("the port is not 443")
	}
	if !hostName.MatchString(name) || !strings.Contains(name, ".") || notPublic.MatchString(name) {
		return refusedf("the host has no public name in lower case")
	}
	return nil
}
