package store

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestAnIDHasOneSpelling(t *testing.T) {
	id := NewID(0x0102)
	if id.Part() != 0x0102 {
		t.Errorf("the id is in part %#x, want 0x0102", id.Part())
	}
	text := id.String()
	if back, err := ParseID(text); err != nil || back != id {
		t.Errorf("id %s is read back as %s, %v", id, back, err)
	}
	for name, other := range map[string]string{
		"empty":        "",
		"too short":    text[:23],
		"too long":     text + "A",
		"padded":       text[:23] + "=",
		"a line break": text[:23] + "\n",
		"standard":     strings.Repeat("+", 24),
		"not base64":   strings.Repeat("!", 24),
	} {
		if _, err := ParseID(other); err == nil {
			t.Errorf("%s: %q is taken for an id", name, other)
		}
	}
}

func TestHeader(t *testing.T) {
	for name, at := range map[string]time.Time{
		"today":           time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		"after 32 bits":   time.Date(2150, 1, 1, 0, 0, 0, 0, time.UTC),
		"when time began": time.Unix(0, 0),
	} {
		value := append(AppendHeader(nil, at), "sealed"...)
		if got, ok := Expires(value); !ok || !got.Equal(at) {
			t.Errorf("%s: expires %v, %v, want %v", name, got, ok, at)
		}
	}
	if got, ok := Expires(AppendHeader(nil, time.Time{})); !ok || got.After(time.Unix(0, 0)) {
		t.Errorf("no time: expires %v, %v, want that it has expired", got, ok)
	}
	for name, value := range map[string][]byte{
		"none":              nil,
		"cut off":           AppendHeader(nil, time.Now())[:HeaderLen-1],
		"a later version":   {2, 0, 0, 0, 0, 0, 0},
		"an unknown header": []byte("unknown"),
	} {
		if _, ok := Expires(value); ok {
			t.Errorf("%s: there is a time of expiry", name)
		}
	}
}

func FuzzParseID(f *testing.F) {
	for _, seed := range []string{NewID(7).String(), strings.Repeat("A", 24), strings.Repeat("-", 24), strings.Repeat("A", 23), strings.Repeat("A", 23) + "\n", strings.Repeat("=", 24), "", "../../../../../../secret"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseID(s); err == nil && id.String() != s {
			t.Errorf("%q is taken for %s", s, id)
		} else if err != nil && id != (ID{}) {
			t.Errorf("%q: an id comes with an error", s)
		}
	})
}

func FuzzExpires(f *testing.F) {
	f.Add(AppendHeader(nil, time.Now()))
	f.Add([]byte{})
	f.Add([]byte{2, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{1, 255, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, value []byte) {
		if at, ok := Expires(value); ok && !bytes.Equal(AppendHeader(nil, at), value[:HeaderLen]) {
			t.Errorf("%x expires %v", value, at)
		}
	})
}
