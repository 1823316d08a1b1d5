package gatewaytest

import (
	"bytes"
	"encoding/base64"
	"strings"
	"sync"
	"testing"
)

// Secrets remembers every secret that a test meets, and everything that was
// written where no secret may be.
type Secrets struct {
	mu      sync.Mutex
	secrets map[string]string // to what they are
	written bytes.Buffer
}

// NewSecrets returns a collection that is searched when the test ends.
func NewSecrets(t testing.TB) *Secrets {
	s := &Secrets{secrets: map[string]string{}}
	t.Cleanup(func() { s.search(t) })
	return s
}

// Add remembers a secret, and returns it.
func (s *Secrets) Add(what, secret string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if secret != "" {
		s.secrets[secret] = what
	}
	return secret
}

// What says what a secret is, or "" of what is none.
func (s *Secrets) What(secret string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secrets[secret]
}

// Write takes in something that must hold no secret: a log, an error, a dump.
func (s *Secrets) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written.Write(p)
}

// Written is all that was written so far.
func (s *Secrets) Written() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written.String()
}

func (s *Secrets) search(t testing.TB) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for secret, what := range s.secrets {
		for _, form := range forms(secret) {
			if i := bytes.Index(s.written.Bytes(), form); i >= 0 {
				around := s.written.Bytes()[max(0, i-200):min(s.written.Len(), i+50)]
				t.Errorf("a secret (%s) stands where none may be, after: %q", what, around)
			}
		}
	}
}

// forms are the ways in which a secret might be written.
func forms(secret string) [][]byte {
	all := [][]byte{[]byte(secret), []byte(base64.StdEncoding.EncodeToString([]byte(secret)))}
	// Our own tokens are the base64url of bytes, behind a prefix of letters.
	encoded := secret[strings.LastIndexByte(secret[:min(len(secret), 8)], '_')+1:]
	if raw, err := base64.RawURLEncoding.DecodeString(encoded); err == nil && len(raw) >= 16 {
		all = append(all, raw)
	}
	return all
}
