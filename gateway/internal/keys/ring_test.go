package keys

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
)

// What is wrong with an id depends on whether its key is on its way here: only then
// may nobody be refused.
func TestWhichKeysAreOnTheirWay(t *testing.T) {
	with := func(dropped []uint8, ids ...uint8) *Ring {
		set := &config.KeySet{}
		for _, id := range ids {
			set.Keys = append(set.Keys, config.Key{ID: id, Secret: make([]byte, 32)})
		}
		for _, id := range dropped {
			set.Dropped = append(set.Dropped, config.DroppedKey{ID: id})
		}
		return ring(t, set)
	}
	for name, c := range map[string]struct {
		ring *Ring
		want map[uint8]error
	}{
		"three": {with(nil, 4, 5, 6), map[uint8]error{
			4: nil, 6: nil, 0: ErrUnknown, 1: ErrUnknown, 3: ErrUnknown, 7: ErrNotYet, 22: ErrNotYet, 23: ErrUnknown, 255: ErrUnknown,
		}},
		"one was dropped": {with([]uint8{4, 7}, 5, 8), map[uint8]error{
			3: ErrUnknown, 4: ErrDropped, 5: nil, 6: ErrUnknown, 7: ErrDropped, 8: nil, 9: ErrNotYet,
		}},
		"at the end": {with(nil, 253, 254), map[uint8]error{
			252: ErrUnknown, 254: nil, 255: ErrNotYet, 0: ErrUnknown, 1: ErrNotYet, 15: ErrNotYet, 16: ErrUnknown,
		}},
		"begun anew": {with(nil, 254, 255, 1), map[uint8]error{
			253: ErrUnknown, 255: nil, 0: ErrUnknown, 1: nil, 2: ErrNotYet, 17: ErrNotYet, 18: ErrUnknown,
		}},
	} {
		for id, want := range c.want {
			if k, err := c.ring.Find(id); !errors.Is(err, want) || (k == nil) != (want != nil) {
				t.Errorf("%s: key %d: %v, want %v", name, id, err, want)
			}
		}
	}
}

func TestKeysAreReplacedByThoseThatContinueThem(t *testing.T) {
	set := config.NewKeySet(start)
	set.Keys = append(set.Keys, config.NewKeySet(start).Keys...)
	set.Keys[1].ID = 2
	change := func(f func(*config.KeySet)) *config.KeySet {
		other := &config.KeySet{Keys: slices.Clone(set.Keys)}
		f(other)
		return other
	}
	for name, c := range map[string]struct {
		set *config.KeySet
		ok  bool
	}{
		"the same":           {change(func(*config.KeySet) {}), true},
		"one more":           {change(func(s *config.KeySet) { must(t, s.Append(start)) }), true},
		"without the oldest": {change(func(s *config.KeySet) { s.Keys = s.Keys[1:] }), true},
		"without the newest": {change(func(s *config.KeySet) { s.Keys = s.Keys[:1] }), false},
		"with the newest dropped": {change(func(s *config.KeySet) {
			_, err := s.Drop(start.Add(time.Hour), start.Add(time.Hour))
			must(t, err)
		}), true},
		"another root":  {change(func(s *config.KeySet) { s.Keys[0].Secret = make([]byte, 32) }), false},
		"another's set": {config.NewKeySet(start), false},
		"no keys":       {&config.KeySet{}, false},
	} {
		r := ring(t, set)
		before := r.set.Load()
		if err := r.Replace(c.set); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if (r.set.Load() == before) == c.ok {
			t.Errorf("%s: the ring has changed: %v", name, !c.ok)
		}
	}
}

// Whoever uses a ring while its keys are replaced sees one set or the other.
func TestKeysAreReplacedWhileTheyAreUsed(t *testing.T) {
	set := config.NewKeySet(start)
	r := ring(t, set)
	var users sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		users.Go(func() {
			for {
				if k := r.Current(start.Add(time.Hour)); k.ID != r.Newest() && k.ID+1 != r.Newest() {
					t.Errorf("the current key is %d, the newest %d", k.ID, r.Newest())
				}
				if _, err := r.Find(1); err != nil {
					t.Error(err)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	must(t, set.Append(start))
	must(t, r.Replace(set))
	close(done)
	users.Wait()
	if id := r.Current(start).ID; id != 2 {
		t.Errorf("the current key is %d", id)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
