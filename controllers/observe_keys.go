package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

// knownKeys is what is remembered of a key Secret. None of it is secret.
type knownKeys struct {
	// blank is the Secret without its keys.
	blank        *corev1.Secret
	fingerprints resources.KeyFingerprints
}

// observeKeys compares the key Secret that the server has or may adopt with the fingerprint
// in the status.
func (r *Reconciler) observeKeys(ctx context.Context, s *scope, seen *conditions.Store) error {
	keys := s.keys()
	if keys == nil {
		return nil
	}
	known, ok := r.keys.at(s.keysID(), stateOf(keys))
	// The cache may be late: a mismatch is believed only after a look at the API server.
	if !ok || !known.fingerprints.Fit(s.server) {
		secret, err := r.readKeys(ctx, s)
		if err != nil || secret == nil {
			return err
		}
		known = r.rememberKeys(s, secret)
	}
	seen.KeysReplaced = !known.fingerprints.Fit(s.server)
	s.fingerprint = known.fingerprints.Current()
	return nil
}

// readKeys reads the key Secret from the API server. It returns nil if there is none.
func (r *Reconciler) readKeys(ctx context.Context, s *scope) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	name := resources.KeysName(s.server)
	err := r.Live.Get(ctx, client.ObjectKey{Namespace: s.server.Namespace, Name: name}, secret)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading Secret %s: %w", name, err)
	}
	if err != nil {
		return nil, nil
	}
	return secret, nil
}

// rememberKeys notes what is known of a key Secret. One that cannot be read is not
// remembered: rotateKeys reports why.
func (r *Reconciler) rememberKeys(s *scope, secret *corev1.Secret) knownKeys {
	known := knownKeys{fingerprints: resources.FingerprintKeys(secret)}
	blank, err := resources.BlankKeys(secret)
	if err != nil {
		return known
	}
	known.blank = blank
	r.keys.remember(s.keysID(), stateOf(secret), known)
	return known
}

func (s *scope) keysID() string {
	return memoID(client.ObjectKeyFromObject(s.server), child{kindSecret, resources.KeysName(s.server)})
}

// keyFingerprint returns the fingerprint of the keys that the server uses, or "" if it is
// not known.
func (s *scope) keyFingerprint() string {
	if s.seen.Store == nil || s.seen.Store.KeysReplaced || s.own(child{kindSecret, resources.KeysName(s.server)}) == nil {
		return ""
	}
	return s.fingerprint
}

// noteAdoption notes what the keys and the records of the server are sealed to after this
// pass.
func (s *scope) noteAdoption(now time.Time) {
	s.seen.At = now.UTC().Truncate(time.Second)
	if seen := s.seen.Store; seen != nil && !seen.KeysLost && !seen.KeysReplaced {
		seen.SealedTo = resources.SealedTo(s.server, s.own(child{kindSecret, resources.KeysName(s.server)}))
	}
}
