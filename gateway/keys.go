package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/keys"
)

// keyFile follows the file with the keys.
type keyFile struct {
	path string
	ring *keys.Ring
	// tables hold what is sealed with the keys.
	tables []keyed
	log    *slog.Logger

	every time.Duration

	set *config.KeySet // the one that the ring holds; run's alone

	mu sync.Mutex
	// loaded is what it is made of.
	loaded config.LoadedKeys
	// bad is why what is in the file is not used, or nil.
	bad error
}

type keyed interface {
	Rekey()
	Sweep(ctx context.Context)
}

// run works until ctx is done.
func (f *keyFile) run(ctx context.Context) {
	tick := time.NewTicker(f.every)
	defer tick.Stop()
	for {
		f.follow(ctx)
		sweeping, cancel := context.WithTimeout(ctx, f.every)
		for _, t := range f.tables {
			t.Sweep(sweeping)
		}
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// follow puts the keys in the file in use. If they cannot be, those before stay.
func (f *keyFile) follow(ctx context.Context) {
	set, err := config.LoadKeySet(f.path)
	if err == nil && !reflect.DeepEqual(set, f.set) {
		if err = f.ring.Replace(set); err != nil {
			err = fmt.Errorf("key set %s does not continue the one in use: %w", f.path, err)
		} else {
			f.set = set
			for _, t := range f.tables {
				t.Rekey()
			}
			f.log.InfoContext(ctx, "the keys were replaced", "newest", f.ring.Newest(), "known", len(set.Keys), "dropped", len(set.Dropped))
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loaded = f.set.Loaded()
	if err != nil && (f.bad == nil || f.bad.Error() != err.Error()) {
		f.log.ErrorContext(ctx, "the newest keys are not used", "error", err)
	}
	f.bad = err
}

// ids are those of the keys that are in use.
func (f *keyFile) ids() config.LoadedKeys {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.loaded
}

// problem is why what is in the file is not used, or nil.
func (f *keyFile) problem() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bad
}
