package keys

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"vestibule.dev/vestibule/gateway/config"
)

var (
	// ErrNotYet says that a key is newer than those known here: another replica was
	// handed it first. Nothing may be refused for that; it is a matter of minutes.
	ErrNotYet = errors.New("its key is not known here yet")
	// ErrDropped says that what is under a key has ended, since somebody else may
	// have the key.
	ErrDropped = errors.New("its key was dropped")
	// ErrUnknown says that a key is not known here, and is not about to be.
	ErrUnknown = errors.New("its key is not known here")
)

// ahead is how many ids after the newest known one may be in use elsewhere.
const ahead = 16

// Ring holds the keys that a gateway knows. All who use them share one, and see at
// once when its keys are replaced.
type Ring struct{ set atomic.Pointer[set] }

// set is immutable.
type set struct {
	keys    []*Key // in the order of their making: the newest last
	byID    [256]*Key
	dropped [256]bool
}

// NewRing derives the keys of a set.
func NewRing(s *config.KeySet) (*Ring, error) {
	derived, err := derive(s)
	if err != nil {
		return nil, err
	}
	r := &Ring{}
	r.set.Store(derived)
	return r, nil
}

// Replace lets the ring hold the keys of another set, if that continues the one
// before: no key has become another, and the newest is still there, or dropped. A
// set that does not would sign everybody out; then the ring stays as it is. One
// goroutine at a time may replace keys.
func (r *Ring) Replace(s *config.KeySet) error {
	next, err := derive(s)
	if err != nil {
		return err
	}
	now := r.set.Load()
	for _, k := range now.keys {
		//rule:another-key-under-the-id
		if other := next.byID[k.ID]; other != nil && !Equal(other.derived[LabelMAC].secret, k.derived[LabelMAC].secret) {
			return fmt.Errorf("key %d is not the one that it was", k.ID)
		}
	}
	if id := now.newest(); next.byID[id] == nil && !next.dropped[id] {
		return fmt.Errorf("key %d is missing, which was the newest", id)
	}
	//rule:compromised-key
	r.set.Store(next)
	return nil
}

func derive(s *config.KeySet) (*set, error) {
	next := &set{}
	for _, root := range s.Keys {
		k := &Key{ID: root.ID, notBefore: root.NotBefore, derived: map[Label]*subkey{}}
		for _, label := range labels {
			//rule:one-key-for-all-uses
			b, err := hkdf.Key(sha256.New, root.Secret, nil, string(label), 32)
			if err != nil {
				return nil, fmt.Errorf("deriving keys: %w", err)
			}
			k.derived[label] = newSubkey(b)
		}
		var err error
		if k.signing, err = deriveSigning(root.Secret); err != nil {
			return nil, fmt.Errorf("deriving keys: %w", err)
		}
		next.keys = append(next.keys, k)
		next.byID[root.ID] = k
	}
	for _, d := range s.Dropped {
		next.dropped[d.ID] = true
	}
	if len(next.keys) == 0 {
		return nil, errors.New("no keys")
	}
	return next, nil
}

func (s *set) newest() uint8 { return s.keys[len(s.keys)-1].ID }

// Current returns the key to mint and seal with: the newest whose time has
// come, or the oldest if the clock is before all of them.
func (r *Ring) Current(now time.Time) *Key { return r.Since(now)[0] }

// Since returns the keys that something may have been made with at that time or
// later, or will be: what was Current then, and all that are newer.
func (r *Ring) Since(then time.Time) []*Key {
	keys := r.set.Load().keys
	for i := len(keys) - 1; i > 0; i-- {
		//rule:new-key-at-once
		if !keys[i].notBefore.After(then) {
			return keys[i:]
		}
	}
	return keys
}

// Find returns the key with this id, or ErrNotYet, ErrDropped or ErrUnknown.
func (r *Ring) Find(id uint8) (*Key, error) {
	s := r.set.Load()
	if k := s.byID[id]; k != nil {
		return k, nil
	}
	// After id 255 comes 1.
	after := (int(id) - int(s.newest()) + 255) % 255
	switch {
	//rule:dropped-key-on-its-way
	case s.dropped[id]:
		return nil, ErrDropped
	//rule:key-on-its-way-unknown
	case id > 0 && after <= ahead:
		return nil, ErrNotYet
	}
	return nil, ErrUnknown
}

// Newest returns the id of the key that was made last.
func (r *Ring) Newest() uint8 { return r.set.Load().newest() }
