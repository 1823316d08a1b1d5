package gatewaytest

import (
	"fmt"
	"os"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
)

// keysFile is where a replica finds its keys.
func (s *Server) keysFile(replica int) string {
	if replica == 0 {
		return s.Config.KeysFile
	}
	return fmt.Sprintf("%s.%d", s.Config.KeysFile, replica)
}

// WriteKeys hands keys to a replica, as a kubelet does: some time later it has them,
// and never half of them.
func (s *Server) WriteKeys(t testing.TB, replica int, set *config.KeySet) {
	t.Helper()
	for _, k := range set.Keys {
		s.Secrets.Add("root key", string(k.Secret))
	}
	data, err := set.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	s.WriteKeysFile(t, replica, data)
}

// WriteKeysFile is WriteKeys with whatever document.
func (s *Server) WriteKeysFile(t testing.TB, replica int, document []byte) {
	t.Helper()
	file := s.keysFile(replica)
	if err := os.WriteFile(file+".new", document, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}
