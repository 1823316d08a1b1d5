package migration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// timing is how who copies and who waits know of each other. Nobody compares
// clocks: a lease has lapsed for who has seen the same marker for as long as that.
type timing struct {
	lease time.Duration
	// margin is before the end of the lease: then nothing is written any more. It is
	// longer than a write can take that was begun before, together with a patch that
	// is still on its way when nobody waits for it any more.
	margin time.Duration
	poll   time.Duration
	call   time.Duration // bounds each write
}

var defaultTiming = timing{lease: time.Minute, margin: 30 * time.Second, poll: time.Second, call: 10 * time.Second}

const (
	writers  = 64 // of records, at once
	sayAgain = 30 * time.Second
)

var errLost = errors.New("another replica has taken the move over")

// moveAll returns nil when To has all records, whoever copied them.
func (s *Store) moveAll(ctx context.Context, target *gathering) error {
	if finished, err := s.finished(ctx); finished || err != nil {
		return err
	}
	if err := s.await(ctx, s.to, "new"); err != nil {
		return err
	}
	source := newGathering()
	reading, stop := context.WithCancelCause(ctx)
	var ran sync.WaitGroup
	defer ran.Wait()
	defer stop(nil)
	ran.Go(func() { stop(run(reading, s.from, source)) })
	if err := s.await(reading, s.from, "old"); err != nil {
		return err
	}
	for {
		l, err := s.claim(reading)
		if l == nil || err != nil {
			return err
		}
		err = s.copyAll(reading, l, source, target)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, store.ErrFull):
			return errFull(err)
		case reading.Err() != nil:
			return context.Cause(reading)
		}
		s.log.WarnContext(ctx, "records were not moved", "error", err)
	}
}

func errFull(err error) error {
	return fmt.Errorf("moving records: the new store does not take them all: %w", err)
}

// await waits until a store is synced.
func (s *Store) await(ctx context.Context, which store.Store, name string) error {
	say := time.NewTicker(sayAgain)
	defer say.Stop()
	for {
		select {
		case <-which.Synced():
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-say.C:
			s.log.WarnContext(ctx, "records cannot be moved before both stores are read", "waiting_for", name)
		}
	}
}

// get returns a nil value if there is none.
func get(ctx context.Context, s store.Store, k key) ([]byte, error) {
	value, err := s.Get(ctx, k.kind, k.id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return value, err
}

// read returns the marker of To, however long that takes.
func (s *Store) read(ctx context.Context) (value []byte, m marker, err error) {
	var said time.Time
	for {
		if value, err = get(ctx, s.to, markerKey); err == nil {
			m, err = readMarker(value)
			return value, m, err
		}
		s.complain(ctx, &said, err)
		if !pause(ctx, s.poll) {
			return nil, m, context.Cause(ctx)
		}
	}
}

// complain says now and then that the new store does not do its part.
func (s *Store) complain(ctx context.Context, said *time.Time, err error) {
	if time.Since(*said) > sayAgain {
		*said = time.Now()
		s.log.WarnContext(ctx, "records cannot be moved before the new store answers", "error", err)
	}
}

// finished says whether all was copied before. That holds even if the old store is
// not there any more, but not if somebody has served from it since.
func (s *Store) finished(ctx context.Context) (bool, error) {
	_, m, err := s.read(ctx)
	if err != nil || m.State != done {
		return false, err
	}
	value, err := get(ctx, s.from, markerKey)
	if err != nil {
		s.log.WarnContext(ctx, "the old store does not answer, but everything was moved before", "error", err)
		return true, nil
	}
	old, err := readMarker(value)
	return old.State != returned || !bytes.Equal(old.Move, m.Move), err
}

// claim waits for the right to copy. It returns nil if all was copied by another.
func (s *Store) claim(ctx context.Context) (*lease, error) {
	var seen []byte
	var said time.Time
	since := time.Now()
	for {
		value, m, err := s.read(ctx)
		if err != nil {
			return nil, err
		}
		if m.State == done {
			if finished, err := s.finished(ctx); finished || err != nil {
				return nil, err
			}
		}
		if !bytes.Equal(value, seen) {
			seen, since = value, time.Now()
		}
		if m.State != copying || time.Since(since) >= s.lease {
			l := &lease{timing: s.timing, to: s.to, move: random(), began: time.Now()}
			l.value = newMarker(copying, l.move)
			switch err := s.to.CompareAndSwap(ctx, markerKind, markerID, value, l.value); {
			case err == nil:
				return l, nil
			case errors.Is(err, store.ErrFull):
				return nil, errFull(err)
			case !errors.Is(err, store.ErrConflict):
				s.complain(ctx, &said, err)
			}
		}
		if !pause(ctx, s.poll) {
			return nil, context.Cause(ctx)
		}
	}
}

// copyAll makes To hold what From does, and nothing else.
func (s *Store) copyAll(ctx context.Context, l *lease, source, target *gathering) error {
	began := time.Now()
	want := source.live(s.now())
	have := target.live(time.Time{})
	s.log.InfoContext(ctx, "moving records", "clients", count(want, store.Client), "grants", count(want, store.Grant))
	writing, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var renewing, all sync.WaitGroup
	renewing.Go(func() { cancel(l.renew(writing)) })
	slots := make(chan struct{}, writers)
	put := func(k key) {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			if err := l.put(writing, k, have[k], want[k]); err != nil {
				cancel(err)
			}
		})
	}
	for k := range want {
		if !bytes.Equal(have[k], want[k]) {
			put(k)
		}
	}
	// What a move that was given up has left there, or one to and fro.
	removed := 0
	for k := range have {
		if want[k] == nil {
			removed++
			put(k)
		}
	}
	all.Wait()
	err := context.Cause(writing)
	cancel(nil)
	renewing.Wait()
	if err != nil {
		return err
	}
	s.leave(ctx, l.move)
	if err := l.finish(ctx); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "records were moved", "clients", count(want, store.Client), "grants", count(want, store.Grant),
		"removed", removed, "took", time.Since(began))
	return nil
}

// leave notes in the old store that it was left. Should that fail, somebody who
// serves from it later does not say so, which is no reason to give up now.
func (s *Store) leave(ctx context.Context, move []byte) {
	value, err := get(ctx, s.from, markerKey)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, s.call)
		defer cancel()
		err = s.from.CompareAndSwap(ctx, markerKind, markerID, value, newMarker(left, move))
	}
	if err != nil {
		s.log.WarnContext(ctx, "the old store was not marked as left", "error", err)
	}
}

// live returns the records that have not expired.
func (g *gathering) live(now time.Time) map[key][]byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	found := map[key][]byte{}
	for k, value := range g.records {
		if expires, ok := store.Expires(value); !ok || !now.After(expires) {
			found[k] = value
		}
	}
	return found
}

func count(records map[key][]byte, kind store.Kind) (n int) {
	for k := range records {
		if k.kind == kind {
			n++
		}
	}
	return n
}

// pause waits, and says false if ctx was done first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
