package migration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/wait"
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
	// again is the time between two looks at what people are to put right.
	again time.Duration
	// patience is how long something may fail before people are told.
	patience time.Duration
}

var defaultTiming = timing{
	lease: time.Minute, margin: 30 * time.Second, poll: time.Second, call: 10 * time.Second,
	again: 10 * time.Second, patience: 30 * time.Second,
}

// writers is how many records are written at once.
const writers = 64

var (
	errLost    = errors.New("another replica has taken the move over")
	errOther   = errors.New("another replica, which copies the records")
	errUnread  = errors.New("the old store, of which not all is read yet")
	errChanged = errors.New("another look at the new store, which has changed")
)

// mover is one replica's part in a move.
type mover struct {
	*Store
	source, target *gathering
	began          time.Time

	seen  []byte // the marker of the new store
	since time.Time
}

// move returns nil when To has all records, whoever copied them. That is so for good
// once it was, even if the old store is not there any more.
func (s *Store) move(ctx context.Context, target *gathering) error {
	m := &mover{Store: s, source: newGathering(), target: target, began: time.Now()}
	ctx, stop := context.WithCancelCause(ctx)
	var ran sync.WaitGroup
	defer ran.Wait()
	defer stop(nil)
	read := sync.OnceFunc(func() { ran.Go(func() { stop(run(ctx, s.from, m.source)) }) })
	for {
		value, now, err := s.read(ctx)
		if err == nil && now.State != done {
			read()
			err = m.try(ctx, value, now)
		}
		if err == nil {
			stop(nil)
			ran.Wait()
			if err := s.release(); err != nil {
				s.log.WarnContext(ctx, "the old store was not closed", "error", err)
			}
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		next := s.poll
		if errors.As(err, new(store.Incomplete)) {
			next = s.again
		}
		s.wait(ctx, err)
		if !wait.For(ctx, next) {
			return context.Cause(ctx)
		}
	}
}

// try copies the records, if it is this replica's turn. The marker of To is value,
// which says now.
func (m *mover) try(ctx context.Context, value []byte, now marker) error {
	if !bytes.Equal(value, m.seen) || m.since.IsZero() {
		m.seen, m.since = value, time.Now()
	}
	//rule:two-copy-at-once
	if now.State == copying && time.Since(m.since) < m.lease {
		return errOther
	}
	select {
	case <-m.from.Synced():
	default:
		if time.Since(m.began) >= m.patience {
			return errSilent
		}
		return errUnread
	}
	if err := m.allowed(ctx, now); err != nil {
		// The old store was read after the new one. If somebody has finished in
		// between, it was left for good reason.
		if again, err := get(ctx, m.to, markerKey); err != nil || !bytes.Equal(again, value) {
			return errChanged
		}
		return err
	}
	l, err := m.claim(ctx, value, now)
	if err == nil {
		err = m.copyAll(ctx, l)
	}
	if errors.Is(err, store.ErrFull) {
		return errFull
	}
	return err
}

// allowed returns nil if the records may be copied to a store with this marker.
func (m *mover) allowed(ctx context.Context, now marker) error {
	value, err := get(ctx, m.from, markerKey)
	if err != nil {
		return fmt.Errorf("the old store: %w", err)
	}
	old, err := readMarker(value)
	if err != nil {
		return err
	}
	if err := old.gives(now); err != nil {
		return err
	}
	//rule:store-in-use-replaced
	if now.State == unmarked && len(m.target.live(m.now())) > 0 {
		return errInUse // A move notes itself before it writes the first record.
	}
	for _, kind := range store.Kinds {
		parts, _ := m.Counts(kind)
		need := 0
		for k := range m.source.live(m.now()) {
			if k.kind == kind {
				need = max(need, int(k.id.Part())+1)
			}
		}
		if parts > 0 && need > parts {
			return store.Incomplete(fmt.Sprintf("the records are spread over %d parts, and the new store has %d: "+
				"set kubernetes.minShards to at least %d", need, parts, need))
		}
	}
	return nil
}

// claim takes the right to copy, which lapses unless it is renewed.
func (m *mover) claim(ctx context.Context, value []byte, now marker) (*lease, error) {
	l := &lease{timing: m.timing, to: m.to, move: random(), began: time.Now(), failing: m.wait}
	if now.State == copying {
		l.move = now.Move // The same move goes on.
	}
	l.value = newMarker(copying, l.move)
	call, cancel := context.WithTimeout(ctx, m.call)
	defer cancel()
	if err := m.to.CompareAndSwap(call, markerKind, markerID, value, l.value); err != nil {
		return nil, fmt.Errorf("the new store: %w", err)
	}
	if !errors.Is(m.usable(), errFull) { // That may be so again in a moment.
		m.become(errNotYet)
	}
	return l, nil
}

// copyAll makes To hold what From does, and nothing else.
func (m *mover) copyAll(ctx context.Context, l *lease) error {
	began := time.Now()
	m.log.InfoContext(ctx, "moving records")
	writing, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var renewing sync.WaitGroup
	renewing.Go(func() { cancel(l.renew(writing)) })
	written, removed, err := m.level(writing, l)
	if err == nil {
		//rule:moved-store-not-left
		err = m.leave(writing, l)
	}
	if err == nil {
		// Nobody serves from the old store any more. Who should not have either, but did,
		// may have written until now.
		_, _, err = m.level(writing, l)
	}
	cancel(nil)
	renewing.Wait()
	if err != nil {
		return err
	}
	// Only now, or there would be two stores that look as if they had every record.
	if err := l.finish(ctx); err != nil {
		return err
	}
	m.log.InfoContext(ctx, "records were moved", "written", written, "removed", removed, "took", time.Since(began))
	return nil
}

// level writes what is in From and not in To, and removes what is in To alone: what a
// move that was given up has left there, or one to and fro.
func (m *mover) level(ctx context.Context, l *lease) (written, removed int, err error) {
	want, have := m.source.live(m.now()), m.target.live(time.Time{})
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	slots := make(chan struct{}, writers)
	put := func(k key) {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			if err := l.put(ctx, k, have[k], want[k]); err != nil {
				cancel(err)
			}
		})
	}
	for k := range want {
		if !bytes.Equal(have[k], want[k]) {
			written++
			put(k)
		}
	}
	for k := range have {
		if want[k] == nil {
			removed++
			put(k)
		}
	}
	all.Wait()
	return written, removed, context.Cause(ctx)
}

// leave notes in the old store that it was left, for whoever still serves from it or
// is told to later. Without the note the move is not at its end.
func (m *mover) leave(ctx context.Context, l *lease) error {
	began := time.Now()
	for l.holds() {
		gone, err := m.tryLeave(ctx, l)
		if gone || errors.As(err, new(store.Incomplete)) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		l.tell(ctx, began, "the store that migrateFrom names does not take the note that the records have moved", err)
		if !wait.For(ctx, m.poll) {
			return context.Cause(ctx)
		}
	}
	return errLost
}

func (m *mover) tryLeave(ctx context.Context, l *lease) (gone bool, err error) {
	value, err := get(ctx, m.from, markerKey)
	if err != nil {
		return false, err
	}
	old, err := readMarker(value)
	if err != nil {
		return false, err
	}
	if old.State == left && bytes.Equal(old.Move, l.move) {
		return true, nil // by an attempt whose answer was lost, or by who copied before
	}
	if err := old.gives(marker{State: copying, Move: l.move}); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, m.call)
	defer cancel()
	err = m.from.CompareAndSwap(ctx, markerKind, markerID, value, newMarker(left, l.move))
	return err == nil, err
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
	for {
		if value, err = get(ctx, s.to, markerKey); err == nil {
			m, err = readMarker(value)
			return value, m, err
		}
		if ctx.Err() != nil {
			return nil, m, context.Cause(ctx)
		}
		s.wait(ctx, fmt.Errorf("the store: %w", err))
		if !wait.For(ctx, s.poll) {
			return nil, m, context.Cause(ctx)
		}
	}
}
