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

// lease is the right to copy, for as long as it is renewed.
type lease struct {
	timing
	to   store.Store
	move []byte
	// failing is told what the move waits for.
	failing func(context.Context, error)

	mu    sync.Mutex
	value []byte    // of the marker
	began time.Time // before the marker was written
}

// holds says whether there is time for another write. After it a pause of the whole
// process can still be longer than the margin, but then the write's context is done
// when it goes on.
func (l *lease) holds() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.began) < l.lease-l.margin
}

// renew goes on until ctx is done, and then returns nil, or until the lease is lost.
func (l *lease) renew(ctx context.Context) error {
	for wait.For(ctx, l.lease/3) {
		began, next := time.Now(), newMarker(copying, l.move)
		for {
			err := l.swap(ctx, next)
			if err == nil {
				l.mu.Lock()
				l.value, l.began = next, began
				l.mu.Unlock()
				break
			}
			if errors.Is(err, store.ErrConflict) {
				return errLost
			}
			// The same again: if it was written, it is known by that.
			if !wait.For(ctx, l.poll) {
				return nil
			}
		}
	}
	return nil
}

func (l *lease) swap(ctx context.Context, next []byte) error {
	ctx, cancel := context.WithTimeout(ctx, l.call)
	defer cancel()
	l.mu.Lock()
	value := l.value
	l.mu.Unlock()
	return l.to.CompareAndSwap(ctx, markerKind, markerID, value, next)
}

// put writes one record, or removes it.
func (l *lease) put(ctx context.Context, k key, have, want []byte) error {
	began := time.Now()
	for {
		if !l.holds() {
			return errLost
		}
		err := l.write(ctx, k, have, want)
		if err == nil || errors.Is(err, store.ErrFull) {
			return err
		}
		if !errors.Is(err, store.ErrConflict) {
			l.tell(ctx, began, "the new store does not take a record", err)
			if !wait.For(ctx, l.poll) {
				return context.Cause(ctx)
			}
		}
		now, err := get(ctx, l.to, k)
		if err == nil {
			have = now
		}
		if err == nil && (have == nil) == (want == nil) && bytes.Equal(have, want) {
			return nil // by an attempt whose answer was lost, or by who copied before
		}
	}
}

// tell tells people of what has failed again and again since it began.
func (l *lease) tell(ctx context.Context, began time.Time, what string, err error) {
	if time.Since(began) >= l.patience && ctx.Err() == nil {
		l.failing(ctx, store.Incomplete(fmt.Sprintf("%s: %v", what, err)))
	}
}

func (l *lease) write(ctx context.Context, k key, have, want []byte) error {
	ctx, cancel := context.WithTimeout(ctx, l.call)
	defer cancel()
	return l.to.CompareAndSwap(ctx, k.kind, k.id, have, want)
}

// finish says that everything was copied.
func (l *lease) finish(ctx context.Context) error {
	next := newMarker(done, l.move)
	for l.holds() {
		err := l.swap(ctx, next)
		if err == nil {
			return nil
		}
		if errors.Is(err, store.ErrConflict) || !wait.For(ctx, l.poll) {
			break
		}
	}
	return errLost
}
