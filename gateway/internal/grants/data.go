package grants

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/tokens"
	"vestibule.dev/vestibule/gateway/internal/upstream"
)

// data is what the grant keeps of its user beyond what lists need.
type data struct {
	// Claims are what the upstream said last.
	Claims map[string]any `cbor:"1,keyasint,omitempty"`
	// Upstream is set if the upstream can be asked again.
	Upstream *upstreamTokens `cbor:"2,keyasint,omitempty"`
	// Sources are set if the upstream can be asked again. Older gateways store none.
	Sources *sources `cbor:"3,keyasint,omitempty"`
}

// sources are upstream.Sources as the grant keeps them.
type sources struct {
	Userinfo []string `cbor:"1,keyasint,omitempty"`
}

func keepSources(s *upstream.Sources) *sources {
	if s == nil {
		return nil
	}
	return &sources{Userinfo: s.Userinfo}
}

func (s *sources) kept() *upstream.Sources {
	if s == nil {
		return nil
	}
	return &upstream.Sources{Userinfo: s.Userinfo}
}

var errData = errors.New("the grant's data does not open with this token")

// newDataKey returns a random data key.
func newDataKey() []byte {
	key := make([]byte, 32)
	//rule:data-key-guessable
	_, _ = rand.Read(key) // never fails (crypto/rand)
	return key
}

// hold returns a token as the record keeps it: its hash, and the data key under it.
func hold(id store.ID, token string, dataKey []byte) (heldToken, error) {
	wrapped, err := wrap(id, token, dataKey)
	return heldToken{Hash: tokens.Hash(token), DataKey: wrapped}, err
}

// tokenCipher is what a data key is wrapped with: nobody has it without the token.
func tokenCipher(id store.ID, token string) (cipher.AEAD, error) {
	kek, err := hkdf.Key(sha256.New, []byte(token), id[:], "vestibule/v1/data-key", 32)
	if err != nil {
		return nil, err
	}
	return keys.NewAEAD(kek)
}

func wrap(id store.ID, token string, dataKey []byte) ([]byte, error) {
	aead, err := tokenCipher(id, token)
	if err != nil {
		return nil, fmt.Errorf("wrapping a data key: %w", err)
	}
	return aead.Seal(nil, nil, dataKey, id[:]), nil
}

func unwrap(id store.ID, token string, wrapped []byte) ([]byte, error) {
	aead, err := tokenCipher(id, token)
	if err != nil {
		return nil, fmt.Errorf("unwrapping a data key: %w", err)
	}
	dataKey, err := aead.Open(nil, nil, wrapped, id[:])
	if err != nil {
		return nil, errData
	}
	return dataKey, nil
}

func sealData(id store.ID, dataKey []byte, d data) ([]byte, error) {
	plain, err := cbor.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encoding claims: %w", err)
	}
	if len(plain) > MaxData {
		return nil, fmt.Errorf("the user's claims are longer than %d bytes", MaxData)
	}
	aead, err := keys.NewAEAD(dataKey)
	if err != nil {
		return nil, fmt.Errorf("sealing claims: %w", err)
	}
	return aead.Seal(nil, nil, plain, id[:]), nil
}

func openData(id store.ID, dataKey, sealed []byte) (data, error) {
	var d data
	aead, err := keys.NewAEAD(dataKey)
	if err != nil {
		return d, fmt.Errorf("opening claims: %w", err)
	}
	plain, err := aead.Open(nil, nil, sealed, id[:])
	if err != nil {
		return d, errData
	}
	if err := claimsDecoder.Unmarshal(plain, &d); err != nil {
		return d, fmt.Errorf("decoding claims: %w", err)
	}
	return d, nil
}
