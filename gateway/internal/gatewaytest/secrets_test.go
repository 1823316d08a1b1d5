package gatewaytest

import (
	"encoding/base64"
	"testing"
)

func TestFind(t *testing.T) {
	raw := []byte("sixteen bytes it is, and more")
	token := "vst_at_" + base64.RawURLEncoding.EncodeToString(raw)
	secrets := map[string]string{"first secret": "first", "first secret and more": "longer", token: "token", "short": "short"}
	for _, row := range []struct {
		text, what string
		at         int
	}{
		{"", "", 0},
		{"short", "short", 0},
		{"first secre", "", 0},
		{"first secret", "first", 0},
		{"the first secret", "first", 4},
		{"its form is " + base64.StdEncoding.EncodeToString([]byte("first secret")), "first", 12},
		{"{\"token\":\"" + token + "\"}", "token", 10},
		{"bytes: " + string(raw), "token", 7},
	} {
		found := find([]byte(row.text), secrets)
		if found[row.at] != row.what || len(found) != min(len(row.what), 1) {
			t.Errorf("in %q is %v", row.text, found)
		}
	}
	if found := find([]byte("first secret, and token "+token), secrets); len(found) != 2 {
		t.Errorf("of two secrets are found %v", found)
	}
}
