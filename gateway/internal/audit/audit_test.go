package audit

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Whatever a stranger calls itself, an event is one line, as JSON and as text.
func FuzzRecord(f *testing.F) {
	for _, seed := range []string{"Claude", "a\n{\"audit\":true}", "\x1b[2J\u009b2J\u202e\u2028\u0085\x00", "\xff", strings.Repeat("ü", 100), "\U000e0001"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var asJSON, asText bytes.Buffer
		for _, h := range []slog.Handler{slog.NewJSONHandler(&asJSON, nil), slog.NewTextHandler(&asText, nil)} {
			New(slog.New(h), nil).RecordContext(t.Context(), Refused, slog.String("client_name", s), slog.String("claimed_client_id", Claimed(s)))
		}
		var v map[string]any
		if err := json.Unmarshal(asJSON.Bytes(), &v); err != nil || v["msg"] != string(Refused) || v["audit"] != true {
			t.Errorf("%q is logged as %q: %v", s, asJSON.String(), err)
		}
		for _, line := range []string{asJSON.String(), asText.String()} {
			if body, ok := strings.CutSuffix(line, "\n"); !ok || !utf8.ValidString(line) || strings.ContainsFunc(body, func(c rune) bool { return c != 0x7f && unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }) {
				t.Errorf("%q is logged as %q", s, line)
			}
		}
		if c := Claimed(s); len(c) > 128+len("…") || len(s) <= 128 && c != s {
			t.Errorf("%q claims to be %q", s, c)
		}
	})
}
