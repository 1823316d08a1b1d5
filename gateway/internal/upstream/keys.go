package upstream

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// keysFor is how long an unknown key does not make us ask again.
const keysFor = 10 * time.Second

// keySet are the keys of a provider. They are fetched when one is needed that is
// not among them.
type keySet struct {
	fetch func(ctx context.Context, into any) error
	now   func() time.Time

	mu   sync.Mutex
	keys []jose.JSONWebKey
	at   time.Time
}

// VerifySignature returns what was signed. It returns ErrUnreachable if the keys
// cannot be had: then nothing is known of the signature.
func (s *keySet) VerifySignature(ctx context.Context, jws *jose.JSONWebSignature) ([]byte, error) {
	id, alg := oidc.GetKeyIDAndAlg(jws)
	key, err := s.find(ctx, id, alg)
	if err != nil {
		return nil, err
	}
	//rule:id-token-unsigned
	return jws.Verify(&key)
}

func (s *keySet) find(ctx context.Context, id, alg string) (jose.JSONWebKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, err := oidc.FindMatchingKey(id, oidc.KeyUseSignature, alg, s.keys...)
	if err == nil || s.now().Sub(s.at) < keysFor {
		return key, err
	}
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := s.fetch(ctx, &document); err != nil {
		return key, fmt.Errorf("%w: no keys: %s", ErrUnreachable, netText(err))
	}
	s.keys, s.at = nil, s.now()
	for _, raw := range document.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(raw) == nil { // others are for others
			s.keys = append(s.keys, k)
		}
	}
	return oidc.FindMatchingKey(id, oidc.KeyUseSignature, alg, s.keys...)
}
