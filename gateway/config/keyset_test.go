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

func ids(set *KeySet) (all []uint8) {
	for _, k := range set.Keys {
		all = append(all, k.ID)
	}
	return all
}

// append makes a key now.
func appendKey(t *testing.T, set *KeySet, now time.Time) {
	t.Helper()
	if err := set.Append(now.Add(KeyPropagation)); err != nil {
		t.Fatal(err)
	}
}

// Ids begin anew when they have run out, and none is given twice at a time.
func TestKeyIDsGoRound(t *testing.T) {
	set, now := NewKeySet(start), start
	for made := 2; made <= 1000; made++ {
		now = now.Add(24 * time.Hour)
		set.Retire(100*24*time.Hour, now)
		appendKey(t, set, now)
		if got, want := set.Newest().ID, uint8((made-1)%255+1); got != want {
			t.Fatalf("key %d has id %d, want %d", made, got, want)
		}
		if !set.Newest().MadeAt().Equal(now) {
			t.Fatalf("key %d was made at %v, not %v", made, set.Newest().MadeAt(), now)
		}
	}
	if n := len(set.Keys); n != 101 && n != 102 {
		t.Errorf("%d keys for 100 days", n)
	}
}

func TestThereAreOnlySoManyKeys(t *testing.T) {
	set := NewKeySet(start)
	for range MaxKeys - 1 {
		appendKey(t, set, start)
	}
	if err := set.Append(start); err == nil || len(set.Keys) != MaxKeys {
		t.Errorf("%d keys, %v", len(set.Keys), err)
	}
	// Dropping makes room, but ids of dropped keys stay in use.
	for n := range 127 {
		now := start.Add(time.Duration(n+1) * time.Hour)
		if _, err := set.Drop(now, now); err != nil {
			t.Fatalf("drop %d: %v", n, err)
		}
		reread(t, set)
	}
	now := start.Add(time.Hour * 1000)
	if _, err := set.Drop(now, now); err == nil || len(set.Keys) != 1 {
		t.Errorf("with all ids in use, %d keys, %v", len(set.Keys), err)
	}
	if set.Retire(time.Hour, now.Add(time.Hour)); set.Dropped != nil {
		t.Errorf("nothing lives under dropped keys, but they are kept: %v", set.Dropped)
	}
	if _, err := set.Drop(now, now); err != nil {
		t.Error(err)
	}
}

// reread is what a gateway that loads the document has.
func reread(t *testing.T, set *KeySet) *KeySet {
	t.Helper()
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
	return got
}

// A drop ends what was made before, to the second; what it makes is not ended by the
// same command again, whenever that is read.
func TestKeysAreDropped(t *testing.T) {
	at := start.Add
	for name, c := range map[string]struct {
		before, now time.Duration
		dropped     int
		keys        []uint8
	}{
		"before all":               {0, time.Hour, 0, []uint8{1, 2}},
		"after the first":          {time.Second, time.Hour, 1, []uint8{2, 3}},
		"as the second was made":   {30 * time.Minute, time.Hour, 1, []uint8{2, 3}},
		"while it was distributed": {31 * time.Minute, 32 * time.Minute, 2, []uint8{3}},
		"after both":               {time.Hour, time.Hour, 2, []uint8{3}},
		"within a second":          {time.Hour + 600*time.Millisecond, time.Hour + 700*time.Millisecond, 2, []uint8{3}},
	} {
		set := NewKeySet(start)
		appendKey(t, set, at(30*time.Minute))
		n, err := set.Drop(at(c.before), at(c.now))
		if err != nil || n != c.dropped || !cmp.Equal(ids(set), c.keys) {
			t.Errorf("%s: %d dropped, keys %v, %v", name, n, ids(set), err)
		}
		if n > 0 && (set.Newest().NotBefore.After(at(c.now)) || len(set.Dropped) != n) {
			t.Errorf("%s: the new key is good from %v on, dropped %v", name, set.Newest().NotBefore, set.Dropped)
		}
		set = reread(t, set)
		for _, later := range []time.Duration{0, time.Minute, 1000 * time.Hour} {
			if n, err := set.Drop(at(c.before), at(c.now+later)); err != nil || n != 0 {
				t.Errorf("%s, again: %d dropped, %v", name, n, err)
			}
		}
	}
}

func TestKeysAreRetired(t *testing.T) {
	const lived = 10 * time.Hour
	at := start.Add
	set := NewKeySet(start)
	appendKey(t, set, at(time.Hour)) // takes over at 1:15
	appendKey(t, set, at(5*time.Hour))
	over := time.Hour + KeyPropagation + lived
	if removed, next := set.Retire(lived, at(over-time.Second)); removed != nil || !next.Equal(at(over)) {
		t.Errorf("a second early: %v removed, next at %v", removed, next)
	}
	removed, next := set.Retire(lived, at(over))
	if !cmp.Equal(removed, []uint8{1}) || !next.Equal(at(over+4*time.Hour)) || !cmp.Equal(ids(set), []uint8{2, 3}) {
		t.Errorf("%v removed, next at %v, left %v", removed, next, ids(set))
	}
	removed, next = set.Retire(lived, at(1000*time.Hour))
	if !cmp.Equal(removed, []uint8{2}) || !next.IsZero() || !cmp.Equal(ids(set), []uint8{3}) {
		t.Errorf("at last: %v removed, next at %v, left %v", removed, next, ids(set))
	}
}

// What an older gateway cannot read is written only once a key was dropped.
func TestAnOrdinarySetHasNoNewMembers(t *testing.T) {
	set := NewKeySet(start)
	appendKey(t, set, start.Add(time.Hour))
	for _, member := range []string{"dropped", "made"} {
		data, err := set.Marshal()
		if err != nil || bytes.Contains(data, []byte(member)) {
			t.Errorf("%s is in %s, %v", member, data, err)
		}
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
		"a dropped id 0":    strings.Replace(set(key(1, secret)), `"keys"`, `"dropped":[{"id":0,"at":"2027-01-15T08:00:00Z"}],"keys"`, 1),
		"a dropped key":     strings.Replace(set(key(1, secret)), `"keys"`, `"dropped":[{"id":1,"at":"2027-01-15T08:00:00Z"}],"keys"`, 1),
	} {
		_, err := ParseKeySet([]byte(bad))
		if err == nil || strings.Contains(err.Error(), secret[:20]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
