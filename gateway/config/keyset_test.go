package config

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var start = time.Unix(1_800_000_000, 0).UTC()

func TestKeysAreOnlyAppended(t *testing.T) {
	set := NewKeySet(start)
	first := set.Keys[0]
	if err := set.Append(start.Add(KeyPropagation)); err != nil {
		t.Fatal(err)
	}
	data, err := set.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseKeySet(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(set, got); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
	if diff := cmp.Diff(first, got.Keys[0]); diff != "" {
		t.Errorf("the first key has changed (-before +after):\n%s", diff)
	}
	second := got.Keys[1]
	if second.ID != 2 || !second.NotBefore.Equal(start.Add(KeyPropagation)) || len(second.Secret) != 32 || bytes.Equal(second.Secret, first.Secret) {
		t.Errorf("the second key: id %d, not before %v", second.ID, second.NotBefore)
	}
}

func TestKeyIDsRunOut(t *testing.T) {
	set := NewKeySet(start)
	for id := 2; id <= 255; id++ {
		if err := set.Append(start); err != nil {
			t.Fatalf("key %d: %v", id, err)
		}
	}
	if err := set.Append(start); err == nil {
		t.Error("key 256 has an id")
	}
	data, err := set.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseKeySet(data); err != nil {
		t.Errorf("255 keys: %v", err)
	}
}

func TestAKeySetIsReadStrictlyAndNeverQuoted(t *testing.T) {
	secret := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("s3cr"), 8))
	key := func(id int, secret string) string {
		return fmt.Sprintf(`{"id":%d,"notBefore":"2027-01-15T08:00:00Z","secret":%q}`, id, secret)
	}
	set := func(keys ...string) string { return `{"version":1,"keys":[` + strings.Join(keys, ",") + `]}` }
	if _, err := ParseKeySet([]byte(set(key(1, secret), key(2, secret)))); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"nothing":           "",
		"the secret alone":  secret,
		"no keys":           set(),
		"another version":   strings.Replace(set(key(1, secret)), `"version":1`, `"version":2`, 1),
		"an unknown member": strings.Replace(set(key(1, secret)), `"keys"`, `"`+secret+`":1,"keys"`, 1),
		"a second document": set(key(1, secret)) + secret,
		"id 0":              set(key(0, secret)),
		"id 256":            set(key(256, secret)),
		"the same id twice": set(key(1, secret), key(1, secret)),
		"a short secret":    set(key(1, secret[:40])),
		"a long secret":     set(key(1, secret[:40]+secret)),
		"no base64":         set(key(1, secret[:43]+"!")),
	} {
		_, err := ParseKeySet([]byte(bad))
		if err == nil || strings.Contains(err.Error(), secret[:20]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
