package controllers

import (
	"context"
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/gateway/config"
)

// rival returns what is wrong with the publicURL or a route of server, because of an
// older MCPServer, or "". The older one's claim holds, whether it is accepted or not:
// else a third one would come and go with it.
func (r *Reconciler) rival(ctx context.Context, server *v1alpha1.MCPServer) (string, error) {
	var all v1alpha1.MCPServerList
	host, _ := publicPlace(server)
	options := []client.ListOption{client.UnsafeDisableDeepCopy}
	if r.Cached != nil {
		options = append(options, client.MatchingFields{byHost: host})
	}
	if err := r.Client.List(ctx, &all, options...); err != nil {
		return "", fmt.Errorf("listing MCPServers: %w", err)
	}
	for i := range all.Items {
		if other := &all.Items[i]; older(other, server) {
			if wrong := collision(server, other); wrong != "" {
				return wrong, nil
			}
		}
	}
	return "", nil
}

// collision says why server cannot be beside other, or is "". Whichever of the two it
// is asked of, there is one or there is none: who is older decides whom it is said to.
func collision(server, other *v1alpha1.MCPServer) string {
	host, path := publicPlace(server)
	otherHost, otherPath := publicPlace(other)
	if host != otherHost || server.UID == other.UID {
		return ""
	}
	who := fmt.Sprintf("the older MCPServer %s in namespace %s", other.Name, other.Namespace)
	const instead = ": create an MCPServer with another publicURL."
	if path == otherPath {
		return "publicURL: host and path are those of " + who + instead
	}
	if within(path, "/.well-known") || within(otherPath, "/.well-known") {
		return "publicURL: below /.well-known there are documents, of this MCPServer or of " + who + instead
	}
	if rest, ok := strings.CutPrefix(path, otherPath); ok && strings.HasPrefix(rest, "/") {
		if config.IsOwnPath(rest) {
			return "publicURL: at its path, the gateway of " + who + " has endpoints of its own" + instead
		}
		//rule:route-in-anothers-place
		if r := routeAt(other, rest); r != nil {
			return fmt.Sprintf("publicURL: its path meets that of routes[%s] of %s%s", r.Name, who, instead)
		}
	}
	if rest, ok := strings.CutPrefix(otherPath, path); ok && strings.HasPrefix(rest, "/") {
		if config.IsOwnPath(rest) {
			return "publicURL: where the gateway would have endpoints of its own, there is " + who + instead
		}
		if r := routeAt(server, rest); r != nil {
			return fmt.Sprintf("routes[%s].path: it meets the path in publicURL of %s: choose another path.", r.Name, who)
		}
	}
	return ""
}

// routeAt is a route that takes requests at a path below publicURL, or below that.
// The one at / takes those of no other, so it is met by whoever is below only if it
// passes everything on.
func routeAt(server *v1alpha1.MCPServer, path string) *v1alpha1.Route {
	for i := range server.Spec.Routes {
		r := &server.Spec.Routes[i]
		if r.Path == "/" && r.Transport == v1alpha1.TransportHTTP || r.Path != "/" && (within(path, r.Path) || within(r.Path, path)) {
			return r
		}
	}
	return nil
}

// within says whether a path is another, or below it.
func within(path, other string) bool { return path == other || strings.HasPrefix(path, other+"/") }

// publicPlace is host, with the port, and path of publicURL: one place on the web, whose
// cookies and documents cannot be those of two servers. The schema has it written in one
// way only.
func publicPlace(server *v1alpha1.MCPServer) (host, path string) {
	_, place, _ := strings.Cut(server.Spec.PublicURL, "://")
	host, path, ok := strings.Cut(place, "/")
	if ok {
		path = "/" + path
	}
	return host, path
}

// older orders MCPServers; of those made in the same second, one way or the other,
// but always the same.
func older(a, b *v1alpha1.MCPServer) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	//rule:both-are-younger
	return a.UID < b.UID
}
