package controllers

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

// rival returns what is wrong with the publicURL or a route of server, because of another
// MCPServer that has the place, or "". A claim holds whether its server is accepted or not:
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
		other := &all.Items[i]
		c := collide(server, other)
		if c == nil {
			continue
		}
		yields, err := r.yields(ctx, server, other, c)
		if err != nil {
			return "", err
		}
		if yields {
			return c.message, nil
		}
	}
	return "", nil
}

// yields says whether server is the one of two that has not got the place: who had it
// first has it. Where none had it, as after a restore that has lost the status, it is who
// has keys for that publicURL, and then who was created first. Nothing counts that can be
// written on an MCPServer.
func (r *Reconciler) yields(ctx context.Context, server, other *v1alpha1.MCPServer, c *clash) (bool, error) {
	ours, theirs := claimed(server, c.place), claimed(other, c.others)
	switch {
	case ours != nil && theirs != nil && !ours.Equal(theirs):
		return theirs.Before(ours), nil
	case (ours != nil) != (theirs != nil):
		//rule:incumbent-yields
		return theirs != nil, nil
	case ours == nil:
		has, err := r.hasKeys(ctx, server)
		if err != nil {
			return false, err
		}
		have, err := r.hasKeys(ctx, other)
		if err != nil {
			return false, err
		}
		if has != have {
			return have, nil
		}
	}
	return older(other, server), nil
}

// hasKeys says whether there are keys for a server, of its own or to adopt, that were made
// for its publicURL.
func (r *Reconciler) hasKeys(ctx context.Context, server *v1alpha1.MCPServer) (bool, error) {
	keys := metadataOf(kindSecret)
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: server.Namespace, Name: resources.KeysName(server)}, keys)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading the metadata of Secret %s: %w", resources.KeysName(server), err)
	}
	return err == nil && resources.FitsPublicURL(server, keys) && (resources.IsOf(server, keys) || resources.IsRetained(server, keys)), nil
}

// claimed is since when a server has a place, or nil.
func claimed(server *v1alpha1.MCPServer, path string) *metav1.MicroTime {
	host, _ := publicPlace(server)
	for i := range server.Status.Claims {
		if c := &server.Status.Claims[i]; c.Host == host && c.Path == path {
			return &c.Since
		}
	}
	return nil
}

// claims are those that the status is to say: of what the spec asks for, what the server
// had before, and, if nobody is in the way, all of it.
func claims(s *scope, now time.Time) []v1alpha1.Claim {
	host, path := publicPlace(s.server)
	paths := []string{path}
	for i := range s.server.Spec.Routes {
		if r := &s.server.Spec.Routes[i]; r.Path != "/" {
			paths = append(paths, placeOf(path, r))
		}
	}
	var all []v1alpha1.Claim
	for _, p := range paths {
		switch since := claimed(s.server, p); {
		case since != nil:
			all = append(all, v1alpha1.Claim{Host: host, Path: p, Since: *since})
		case s.placed:
			all = append(all, v1alpha1.Claim{Host: host, Path: p, Since: metav1.NewMicroTime(now.Truncate(time.Microsecond))})
		}
	}
	return all
}

// clash is why two servers cannot be beside each other: the path that one would have, and
// the one that is in its way, and what to say of it.
type clash struct{ place, others, message string }

// collision is what a clash with other says to server, or "".
func collision(server, other *v1alpha1.MCPServer) string {
	if c := collide(server, other); c != nil {
		return c.message
	}
	return ""
}

// collide says why server cannot be beside other, or is nil. Whichever of the two it is
// asked of, there is a clash or there is none: who yields decides whom it is said to.
func collide(server, other *v1alpha1.MCPServer) *clash {
	host, path := publicPlace(server)
	otherHost, otherPath := publicPlace(other)
	if host != otherHost || server.UID == other.UID {
		return nil
	}
	who := fmt.Sprintf("MCPServer %s in namespace %s, which had it first", other.Name, other.Namespace)
	const instead = ": create an MCPServer with another publicURL."
	if path == otherPath {
		return &clash{path, otherPath, "publicURL: host and path are those of " + who + instead}
	}
	if within(path, "/.well-known") || within(otherPath, "/.well-known") {
		return &clash{path, otherPath, "publicURL: below /.well-known there are documents, of this MCPServer or of " + who + instead}
	}
	if rest, ok := strings.CutPrefix(path, otherPath); ok && strings.HasPrefix(rest, "/") {
		if config.IsOwnPath(rest) {
			return &clash{path, otherPath, "publicURL: at its path there are endpoints of the gateway of " + who + instead}
		}
		//rule:route-in-anothers-place
		if r := routeAt(other, rest); r != nil {
			return &clash{path, placeOf(otherPath, r), fmt.Sprintf("publicURL: its path meets that of routes[%s] of %s%s", r.Name, who, instead)}
		}
	}
	if rest, ok := strings.CutPrefix(otherPath, path); ok && strings.HasPrefix(rest, "/") {
		if config.IsOwnPath(rest) {
			return &clash{path, otherPath, "publicURL: where the gateway would have endpoints of its own, there is " + who + instead}
		}
		if r := routeAt(server, rest); r != nil {
			return &clash{placeOf(path, r), otherPath, fmt.Sprintf("routes[%s].path: it meets the path in publicURL of %s: choose another path.", r.Name, who)}
		}
	}
	return nil
}

// placeOf is the path of a route on its host. The one at / is publicURL itself.
func placeOf(path string, r *v1alpha1.Route) string { return path + strings.TrimSuffix(r.Path, "/") }

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
