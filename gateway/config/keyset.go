package config

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// KeyPropagation is how long after its making a key is minted with first, when
// it is not the only one: by then every gateway has been handed it.
const KeyPropagation = 15 * time.Minute

// SessionTTL is how long a session id is good that a gateway has sealed. A client
// whose id is not, starts another session by itself.
const SessionTTL = 30 * 24 * time.Hour

// MaxKeys is how many keys a set has at most: half of the ids that there are, so
// that an id is not used again before all under it has long ended.
const MaxKeys = 128

// KeySet is the document in a gateway's key Secret. Everything that the gateway
// seals or mints says which key it is under.
//
// A gateway of a version before Dropped and Key.Made refuses a document that has
// them: one that runs goes on with the keys that it has, one that starts then does
// not. So they are written only when a key is dropped, which is rare.
type KeySet struct {
	Version int `json:"version"`
	// Keys are in the order of their making.
	Keys []Key `json:"keys"`
	// Dropped are the keys that were dropped before their time, because somebody
	// else may have them: all that is under them has ended.
	Dropped []DroppedKey `json:"dropped,omitempty"`
}

// Key is one root secret. Every use derives its own key from it.
type Key struct {
	// ID is 1 to 255 and unique in its set.
	ID uint8 `json:"id"`
	// NotBefore is when the gateway starts to mint with this key. It accepts
	// what is under it as soon as it knows it.
	NotBefore time.Time `json:"notBefore"`
	// Secret is 32 random bytes.
	Secret []byte `json:"secret"`
	// Made is when it was made, where that cannot be told from NotBefore.
	Made time.Time `json:"made,omitzero"`
}

// DroppedKey is what is left of a key that was dropped.
type DroppedKey struct {
	ID uint8     `json:"id"`
	At time.Time `json:"at"`
}

// MadeAt returns when the key was made, in whole seconds.
func (k *Key) MadeAt() time.Time {
	switch {
	case !k.Made.IsZero():
		return k.Made
	case k.ID == 1: // the first of all, which is good at once
		return k.NotBefore
	}
	return k.NotBefore.Add(-KeyPropagation)
}

// NewKeySet returns a set with one new key that is good at once.
func NewKeySet(now time.Time) *KeySet {
	return &KeySet{Version: Version, Keys: []Key{newKey(1, now, now)}}
}

func newKey(id uint8, made, notBefore time.Time) Key {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	k := Key{ID: id, NotBefore: wholeSecond(notBefore), Secret: secret}
	if made = wholeSecond(made); !k.MadeAt().Equal(made) {
		k.Made = made
	}
	return k
}

func wholeSecond(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// Newest returns the key that was made last.
func (s *KeySet) Newest() *Key { return &s.Keys[len(s.Keys)-1] }

// Append adds a new key to be minted with from notBefore on, which is
// KeyPropagation from now. It fails if there are MaxKeys.
func (s *KeySet) Append(notBefore time.Time) error {
	if len(s.Keys) >= MaxKeys {
		return fmt.Errorf("there are %d keys, and no more are kept", MaxKeys)
	}
	id, err := s.nextID()
	if err != nil {
		return err
	}
	s.Keys = append(s.Keys, newKey(id, notBefore.Add(-KeyPropagation), notBefore))
	return nil
}

// nextID is the one after the newest key's; after the last comes the first.
func (s *KeySet) nextID() (uint8, error) {
	id := s.Newest().ID%255 + 1
	if slices.ContainsFunc(s.Keys, func(k Key) bool { return k.ID == id }) ||
		slices.ContainsFunc(s.Dropped, func(d DroppedKey) bool { return d.ID == id }) {
		return 0, errors.New("all 255 key ids are in use")
	}
	return id, nil
}

// Drop ends the keys that were made before a time, and all that is under them, and
// adds one that is good at once. It returns how many it has ended; if there is none,
// it changes nothing.
func (s *KeySet) Drop(before, now time.Time) (int, error) {
	before = wholeSecond(before) // as MadeAt is
	dropped := slices.Clone(s.Dropped)
	kept := slices.DeleteFunc(slices.Clone(s.Keys), func(k Key) bool {
		gone := k.MadeAt().Before(before)
		if gone {
			dropped = append(dropped, DroppedKey{ID: k.ID, At: wholeSecond(now)})
		}
		return gone
	})
	n := len(s.Keys) - len(kept)
	if n == 0 {
		return 0, nil
	}
	id, err := s.nextID()
	if err != nil {
		return 0, err
	}
	kept = append(kept, newKey(id, now, now))
	s.Keys, s.Dropped = kept, dropped
	return n, nil
}

// Retire removes the keys under which nothing lives any more, and forgets dropped
// ones likewise: those that were not minted with any more lived before now. It
// returns the ids of the removed ones, and when the next may go; zero if none.
func (s *KeySet) Retire(lived time.Duration, now time.Time) (removed []uint8, next time.Time) {
	due := func(since time.Time) bool {
		end := since.Add(lived)
		if !end.After(now) {
			return true
		}
		if next.IsZero() || end.Before(next) {
			next = end
		}
		return false
	}
	var kept []Key
	for i, k := range s.Keys {
		var since time.Time // when a younger one took over
		for _, younger := range s.Keys[i+1:] {
			if since.IsZero() || younger.NotBefore.Before(since) {
				since = younger.NotBefore
			}
		}
		if !since.IsZero() && due(since) {
			removed = append(removed, k.ID)
			continue
		}
		kept = append(kept, k)
	}
	s.Keys = kept
	s.Dropped = slices.DeleteFunc(s.Dropped, func(d DroppedKey) bool { return due(d.At) })
	if len(s.Dropped) == 0 {
		s.Dropped = nil
	}
	return removed, next
}

// Marshal returns the document.
func (s *KeySet) Marshal() ([]byte, error) { return json.Marshal(s) }

// ParseKeySet reads a document strictly. Its errors never quote it.
func ParseKeySet(data []byte) (*KeySet, error) {
	var s KeySet
	if err := decodeStrict(data, &s); err != nil {
		return nil, errors.New("not a key set that this gateway can read")
	}
	if len(s.Keys) == 0 {
		return nil, errors.New("the key set holds no key")
	}
	seen := map[uint8]bool{}
	for i, k := range s.Keys {
		if k.ID == 0 || seen[k.ID] || len(k.Secret) != 32 {
			return nil, fmt.Errorf("keys[%d]: needs an id of its own from 1 to 255 and a secret of 32 bytes", i)
		}
		seen[k.ID] = true
	}
	for i, d := range s.Dropped {
		if d.ID == 0 || seen[d.ID] {
			return nil, fmt.Errorf("dropped[%d]: needs an id of its own from 1 to 255", i)
		}
		seen[d.ID] = true
	}
	return &s, nil
}

// LoadKeySet reads the key set in the file at path.
func LoadKeySet(path string) (*KeySet, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the key set: %w", err)
	}
	s, err := ParseKeySet(data)
	if err != nil {
		return nil, fmt.Errorf("key set %s: %w", path, err)
	}
	return s, nil
}
