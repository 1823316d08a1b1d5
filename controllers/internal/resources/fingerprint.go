package resources

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/gateway/config"
)

// The entries of the key Secret that no gateway is given.
const (
	// identityKey is derived from the oldest key when the Secret is made, and stays when
	// keys are rotated.
	identityKey = "identity"
	// formerIdentityKey is the identity before the last drop of keys.
	formerIdentityKey = "identity-before-drop"
)

// KeyFingerprints are the fingerprints of a key Secret: the current one, and after a drop
// of keys the one before.
type KeyFingerprints []string

// FingerprintKeys returns the fingerprints of a key Secret. It returns none if the Secret
// has neither an identity nor keys to derive it from.
func FingerprintKeys(s *corev1.Secret) KeyFingerprints {
	current := s.Data[identityKey]
	if len(current) == 0 {
		set, err := config.ParseKeySet(s.Data[keysKey])
		if err != nil {
			return nil
		}
		if current, err = identityOf(&set.Keys[0]); err != nil {
			return nil
		}
	}
	all := KeyFingerprints{fingerprint(current)}
	if former := s.Data[formerIdentityKey]; len(former) > 0 {
		all = append(all, fingerprint(former))
	}
	return all
}

// Current returns the fingerprint to put into the status, or "" if there is none.
func (f KeyFingerprints) Current() string {
	if len(f) == 0 {
		return ""
	}
	return f[0]
}

// Fit reports whether the server may use the key Secret: its status names a fingerprint of
// this Secret, or none at all. The former one fits, since a controller may end after it has
// dropped keys and before it has written the status.
func (f KeyFingerprints) Fit(server *v1alpha1.MCPServer) bool {
	//rule:keys-of-another
	return server.Status.KeyFingerprint == "" || slices.Contains(f, server.Status.KeyFingerprint)
}

// identityOf derives an identity from a key, by which the key cannot be found.
func identityOf(k *config.Key) ([]byte, error) {
	identity, err := hkdf.Key(sha256.New, k.Secret, nil, "vestibule/v1/key-secret-identity", 32)
	if err != nil {
		return nil, fmt.Errorf("deriving the identity of the keys: %w", err)
	}
	return identity, nil
}

// fingerprint is public, and the identity is not: to plant a Secret with this fingerprint,
// the identity must be known.
func fingerprint(identity []byte) string {
	sum := sha256.Sum256(identity)
	return hex.EncodeToString(sum[:16])
}

// identify adds the identity to a key Secret that has none, and reports whether it had none.
func identify(s *corev1.Secret, set *config.KeySet) (added bool, err error) {
	if len(s.Data[identityKey]) > 0 {
		return false, nil
	}
	s.Data[identityKey], err = identityOf(&set.Keys[0])
	return true, err
}

// renewIdentity changes the identity after a drop of keys. A thief of the dropped keys has
// the old identity, too.
func renewIdentity(s *corev1.Secret, set *config.KeySet) error {
	renewed, err := identityOf(set.Newest())
	if err != nil {
		return err
	}
	//rule:drop-that-breaks-off
	s.Data[formerIdentityKey] = s.Data[identityKey]
	s.Data[identityKey] = renewed
	return nil
}
