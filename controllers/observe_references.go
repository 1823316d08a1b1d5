package controllers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

// observeReferences looks at each key that the spec refers to.
func (r *Reconciler) observeReferences(ctx context.Context, s *scope) error {
	references := []conditions.Reference{} // Not nil: it is known that there is none.
	for _, ref := range resources.References(s.server) {
		seen, err := r.lookAt(ctx, s, child{ref.Kind, ref.Name})
		if err != nil {
			return err
		}
		digest, found := seen.digests[ref.Key]
		reference := conditions.Reference{
			Reference: ref, Exists: seen.exists, NotAllowed: seen.notAllowed, Found: found, Digest: digest,
		}
		if ref.Followed {
			reference.Unusable = seen.noCertificate
			r.judge(s, &reference, seen.leaf)
		}
		references = append(references, reference)
	}
	s.seen.References = references
	return nil
}

// judge says what is wrong with the certificate of gateway.tls, if there is one.
func (r *Reconciler) judge(s *scope, reference *conditions.Reference, leaf *x509.Certificate) {
	if leaf == nil {
		return
	}
	//rule:expired-certificate-unseen
	if r.Now().After(leaf.NotAfter) {
		reference.Expired = leaf.NotAfter
	} else {
		//rule:expiry-not-awaited
		s.lookAgain(leaf.NotAfter.Add(time.Second))
	}
	name := resources.Name(s.server) // of the Service
	names := []string{name}
	for _, domain := range []string{s.server.Namespace, "svc", "cluster.local"} {
		name += "." + domain
		names = append(names, name)
	}
	if u, err := url.Parse(s.server.Spec.PublicURL); err == nil {
		names = append(names, u.Hostname())
	}
	//rule:misnamed-certificate-unseen
	reference.Misnamed = !slices.ContainsFunc(names, func(name string) bool { return leaf.VerifyHostname(name) == nil })
}

// referred is what is known of an object that the spec refers to.
type referred struct {
	exists, notAllowed bool
	// digests stand for what it has under each of its keys.
	digests map[string]string
	// noCertificate is why a Secret has no certificate with its key; empty if it has.
	noCertificate string
	// leaf is the certificate, if there is one.
	leaf *x509.Certificate
}

// lookAt has the metadata from the cache, which says when to read the content again.
// That of a Secret that the server may not use is nobody's business.
func (r *Reconciler) lookAt(ctx context.Context, s *scope, c child) (referred, error) {
	key, id := client.ObjectKey{Namespace: s.server.Namespace, Name: c.name}, memoID(client.ObjectKeyFromObject(s.server), c)
	meta := metadataOf(c.kind)
	err := r.Client.Get(ctx, key, meta)
	if client.IgnoreNotFound(err) != nil {
		return referred{}, fmt.Errorf("reading the metadata of %s %s: %w", c.kind, c.name, err)
	}
	if err != nil {
		return referred{}, nil
	}
	if c.kind == kindSecret && !s.server.MayUse(meta) {
		return referred{exists: true, notAllowed: true}, nil
	}
	if known, ok := r.contents.at(id, stateOf(meta)); ok {
		return known, nil
	}
	o := newObject(c.kind)
	err = r.Live.Get(ctx, key, o)
	if client.IgnoreNotFound(err) != nil {
		return referred{}, fmt.Errorf("reading %s %s: %w", c.kind, c.name, err)
	}
	if err != nil {
		return referred{}, nil
	}
	read := read(o)
	r.contents.remember(id, stateOf(o), read)
	return read, nil
}

func read(o client.Object) referred {
	r := referred{exists: true, digests: map[string]string{}}
	switch o := o.(type) {
	case *corev1.Secret:
		for k, v := range o.Data {
			r.digests[k] = resources.Digest(v)
		}
		// Its errors quote nothing.
		pair, err := tls.X509KeyPair(o.Data[corev1.TLSCertKey], o.Data[corev1.TLSPrivateKeyKey])
		if err != nil {
			r.noCertificate = strings.TrimPrefix(err.Error(), "tls: ")
		}
		r.leaf = pair.Leaf
	case *corev1.ConfigMap:
		for k, v := range o.Data {
			r.digests[k] = resources.Digest([]byte(v))
		}
		for k, v := range o.BinaryData {
			r.digests[k] = resources.Digest(v)
		}
	}
	return r
}
