package migration

import (
	"encoding/hex"
	"testing"
)

// Markers stay in a store as long as it does. Each of these was written by a gateway of
// its version, and is never written anew: add those of the next version before the one
// that changes their format. N reads N-1.
func TestFrozenMarkers(t *testing.T) {
	for version, markers := range map[string]map[string]uint8{
		"v1": {
			"013afe130e00a3010102503031323334353637383961626364656603508449f0d019578273063d912804402dd6": copying,
			"013afe130e00a301020250303132333435363738396162636465660350ad7e2a52bc98a4b465ecb6c56fc4a543": done,
			"013afe130e00a301030250303132333435363738396162636465660350983749580dcbe496ed13c4c8940a1827": left,
		},
	} {
		for written, state := range markers {
			value, err := hex.DecodeString(written)
			if err != nil {
				t.Fatal(err)
			}
			if m, err := readMarker(value); err != nil || m.State != state || string(m.Move) != "0123456789abcdef" || len(m.Nonce) != 16 {
				t.Errorf("%s: a marker of state %d is %+v: %v", version, state, m, err)
			}
		}
	}
}
