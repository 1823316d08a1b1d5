package kubernetes

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// shelf answers reads and patches of shards as an API server does in two milliseconds.
type shelf struct {
	mu      sync.Mutex
	version int
	shards  map[string]map[string]string
	reads   map[string]int
	patches int
}

func newShelf(clients, grants int) *shelf {
	f := &shelf{version: 1, shards: map[string]map[string]string{}, reads: map[string]int{}}
	f.add("clients", 0, clients)
	f.add("grants", 0, grants)
	return f
}

func (f *shelf) add(part string, from, to int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n := from; n < to; n++ {
		f.shards[fmt.Sprintf("weather-%s-%d", part, n)] = map[string]string{}
	}
}

// put is the write of another replica.
func (f *shelf) put(id store.ID, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version++
	f.shards[fmt.Sprintf("weather-clients-%d", id.Part())][id.String()] = base64.StdEncoding.EncodeToString([]byte(value))
}

// total returns the reads of all shards.
func (f *shelf) total() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, reads := range f.reads {
		n += reads
	}
	return n
}

func (f *shelf) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(2 * time.Millisecond)
	f.mu.Lock()
	defer f.mu.Unlock()
	answer := func(code int, body any) (*http.Response, error) {
		data, err := json.Marshal(body)
		return &http.Response{
			StatusCode: code, Request: r, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(data))),
		}, err
	}
	name := path.Base(r.URL.Path)
	if r.Method == http.MethodPatch {
		f.patches++
		f.version++
	} else {
		f.reads[name]++
	}
	data, ok := f.shards[name]
	if !ok {
		return answer(http.StatusForbidden, map[string]any{"reason": "Forbidden"})
	}
	return answer(http.StatusOK, map[string]any{"metadata": map[string]any{"resourceVersion": fmt.Sprint(f.version)}, "data": data})
}

// open returns a store that knows two shards of each kind.
func (f *shelf) open(t *testing.T) *Store {
	return openWith(t, Options{
		REST: &rest.Config{Host: "http://127.0.0.1:1"}, Namespace: "one", Name: "weather", Kind: "Secret",
		ClientShards: 2, GrantShards: 2, Replicas: 1,
		WrapTransport: func(http.RoundTripper) http.RoundTripper { return f },
	})
}

// Every sender can ask for clients that do not exist, of shards that do not exist.
func TestAttackMadeUpClientIDs(t *testing.T) {
	for name, parts := range map[string]int{"of two shards": 2, "of all shards that there may be": maxShards} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newShelf(2, 2)
				s := f.open(t)
				var all sync.WaitGroup
				for n := range 10_000 {
					id := store.NewID(uint16(rand.IntN(parts)))
					all.Go(func() {
						_, err := s.Get(t.Context(), store.Client, id)
						if exists := id.Part() < 2; errors.Is(err, store.ErrNotFound) != exists || errors.Is(err, store.ErrUnavailable) == exists {
							t.Errorf("a made-up client of shard %d: %v", id.Part(), err)
						}
					})
					if n%1000 == 999 {
						honest := store.NewID(uint16(n / 1000 % 2))
						f.put(honest, "honest")
						all.Go(func() {
							began := time.Now()
							if value, err := s.Get(t.Context(), store.Client, honest); err != nil || string(value) != "honest" {
								t.Errorf("a client that another replica has registered: %q, %v", value, err)
							}
							if took := time.Since(began); took > time.Second/2 {
								t.Errorf("a client that another replica has registered took %v", took)
							}
						})
					}
					time.Sleep(time.Millisecond)
				}
				all.Wait()
				if n := f.total(); n > 200 {
					t.Errorf("10,000 made-up ids in 10 seconds are %d reads, want no more than 200", n)
				}
			})
		})
	}
}

// A token that this gateway has not made is refused before the store is asked, so reads of
// grants wait for nothing.
func TestReadsOfGrantsDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newShelf(2, 2)
		s, began := f.open(t), time.Now()
		for range 1000 {
			if _, err := s.Get(t.Context(), store.Grant, store.NewID(0)); !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("1000 reads of grants took %v", took)
		}
	})
}

// A few logins at once wait for nothing.
func TestTheFirstReadsOfClientsDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newShelf(2, 2)
		s, began := f.open(t), time.Now()
		for range readBurst {
			if _, err := s.Get(t.Context(), store.Client, store.NewID(0)); !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > readBurst*3*time.Millisecond {
			t.Errorf("%d reads of clients took %v", readBurst, took)
		}
	})
}

// A look at a shard that does not exist yet must not hide it once it does.
func TestAShardThatIsAddedIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newShelf(2, 2)
		s := f.open(t)
		id := store.NewID(7)
		if _, err := s.Get(t.Context(), store.Client, id); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a client of a shard that does not exist: %v", err)
		}
		if n := f.reads["weather-clients-7"]; n != 0 {
			t.Errorf("shard 7 was read %d times, though shard 2 does not exist", n)
		}
		f.add("clients", 2, 8)
		f.put(id, "later")
		before := f.total()
		for range 2 {
			if value, err := s.Get(t.Context(), store.Client, id); err != nil || string(value) != "later" {
				t.Errorf("a client of a shard that was added: %q, %v", value, err)
			}
		}
		if n := f.total() - before; n != 7 {
			t.Errorf("%d reads, want one of each shard from 2 to 6, and two of shard 7", n)
		}
		if _, err := s.Get(t.Context(), store.Client, store.NewID(8)); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a client of the shard after: %v", err)
		}
	})
}
