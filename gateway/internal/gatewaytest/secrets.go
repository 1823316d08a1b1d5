package gatewaytest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
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
	written := s.written.Bytes()
	for at, what := range find(written, s.secrets) {
		t.Errorf("a secret (%s) stands where none may be, after: %q", what, written[max(0, at-200):min(len(written), at+50)])
	}
}

// find returns where secrets stand in a text, in any of their forms, and what they are. It
// reads the text once: there are thousands of secrets, and megabytes of text.
func find(text []byte, secrets map[string]string) map[int]string {
	type form struct {
		bytes []byte
		what  string
	}
	found := map[int]string{}
	byBeginning := map[uint64][]form{} // by the first eight bytes
	for secret, what := range secrets {
		for _, f := range forms(secret) {
			if len(f) < 8 {
				if at := bytes.Index(text, f); at >= 0 {
					found[at] = what
				}
				continue
			}
			beginning := binary.BigEndian.Uint64(f)
			byBeginning[beginning] = append(byBeginning[beginning], form{f, what})
		}
	}
	var last uint64 // eight bytes
	for i, b := range text {
		last = last<<8 | uint64(b)
		for _, f := range byBeginning[last] {
			if at := i - 7; at >= 0 && bytes.HasPrefix(text[at:], f.bytes) {
				found[at] = f.what
			}
		}
	}
	return found
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
