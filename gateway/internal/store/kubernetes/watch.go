package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store/wait"
)

const (
	// watchSilence ends a watch that says nothing: bookmarks come once a minute.
	watchSilence = 130 * time.Second
	// watchStart bounds the way to the bookmark after the initial events.
	watchStart = 30 * time.Second
)

// watch keeps the copy up to date until ctx is done. Each watch begins with the
// whole shard as it is: shards are small, nothing can be missed, however long
// the break was, and the copy is known to be good as soon as it is connected.
func (s *shard) watch(ctx context.Context) {
	for failures := 0; ; {
		began := time.Now()
		caughtUp, err := s.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		// One that begins well and ends at once, again and again, is as costly.
		if caughtUp && time.Since(began) > watchStart {
			failures = 0
		}
		failures++
		s.log.Debug("store watch ended", "shard", s.name, "error", err)
		if failures == 3 {
			s.log.Warn("store watch fails", "shard", s.name, "error", err)
		}
		if !wait.For(ctx, wait.Backoff(failures)) {
			return
		}
	}
}

// event is a line of a watch.
type event struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

var (
	errWatchEnded = errors.New("the watch ended")
	errWatchEvent = errors.New("the API server ended the watch")
)

// follow takes in what one watch says. It returns when that ends, which it does
// every few minutes, and whether it had caught up.
func (s *shard) follow(ctx context.Context) (caughtUp bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	alarm := time.AfterFunc(min(watchStart, s.silence), cancel)
	defer alarm.Stop()

	lasts := 5*time.Minute + rand.N(5*time.Minute) //nolint:gosec // not a secret
	body, err := s.api.watch(ctx, s.name, lasts)
	if err != nil {
		return false, err
	}
	defer body.Close()

	present := false
	for events := json.NewDecoder(body); ; {
		var e event
		if err := events.Decode(&e); err != nil {
			// The decoder's own errors could quote the event.
			return caughtUp, errWatchEnded
		}
		if e.Type == "ERROR" {
			return caughtUp, errWatchEvent
		}
		o, err := s.api.decode(e.Object)
		if err != nil {
			return caughtUp, err
		}
		switch e.Type {
		case "ADDED", "MODIFIED":
			present = true
			s.takeIn(o)
		case "DELETED":
			present = false
		case "BOOKMARK":
			caughtUp = caughtUp || o.initial
		}
		if caughtUp {
			alarm.Reset(s.silence)
		}
		switch {
		case present && caughtUp && o.version < s.lastVersion():
			// The API server has gone back in time, as after a restored backup, or a
			// read was faster. What we hold is not known to be good.
		case present && caughtUp:
			s.hear()
			s.syncedOnce()
		case !present && (o.initial || e.Type == "DELETED"):
			// The copy stays as it is, and grows old: that somebody deleted the shard
			// signs nobody out by itself.
			s.log.Error("store shard does not exist", "shard", s.name)
		}
	}
}

func (s *shard) syncedOnce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.synced:
	default:
		close(s.synced)
	}
}
