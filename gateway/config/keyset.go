package config

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// KeyPropagation is how long after its making a key is minted with first, when
// it is not the only one: by then every gateway has been handed it.
const KeyPropagation = 15 * time.Minute

// KeySet is the document in a gateway's key Secret. Keys are only appended;
// everything that the gateway seals or mints says which key it is under.
type KeySet struct {
	Version int   `json:"version"`
	Keys    []Key `json:"keys"`
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
}

// NewKeySet returns a set with one new key that is good at once.
func NewKeySet(now time.Time) *KeySet {
	return &KeySet{Version: Version, Keys: []Key{newKey(1, now)}}
}

func newKey(id uint8, notBefore time.Time) Key {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	return Key{ID: id, NotBefore: notBefore.UTC().Truncate(time.Second), Secret: secret}
}

// Append adds a new key to be minted with from notBefore on.
func (s *KeySet) Append(notBefore time.Time) error {
	last := s.Keys[len(s.Keys)-1].ID
	if last == 255 {
		return errors.New("all 255 key ids are used")
	}
	s.Keys = append(s.Keys, newKey(last+1, notBefore))
	return nil
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
