// Package records keeps typed records in a store: sealed on the way in, opened
// once on the way out, and indexed. Reads come from a local copy that the store
// keeps up to date; whatever is decided against somebody is decided on the
// store itself.
package records

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// Options describe a table.
type Options[T any] struct {
	Kind  store.Kind
	Store store.Store
	Ring  *keys.Ring
	// ServerUID is what records are sealed to.
	ServerUID string
	// FreshFor is how long the copy is good after a sign of life from the store.
	FreshFor time.Duration
	Now      func() time.Time
	Log      *slog.Logger
	// Expires says when a record may go.
	Expires func(*T) time.Time
	// Index says under which name ByIndex finds a record.
	Index func(*T) string
}

// Table is all records of one kind.
type Table[T any] struct {
	opts   Options[T]
	sealer sealer
	rows   sync.Map // store.ID → *row[T]

	// keyed is held, if only to read, from a record's opening until it is taken in:
	// nothing is taken in with keys that have been replaced since.
	keyed sync.RWMutex

	mu     sync.Mutex // guards what follows, and writes to rows
	index  map[string]map[store.ID]*T
	closed map[store.ID]closed
}

type row[T any] struct {
	record  *T
	index   string
	expires time.Time
	raw     []byte
}

// New returns an empty table, to be fed by Observe.
func New[T any](opts Options[T]) *Table[T] {
	return &Table[T]{
		opts:   opts,
		sealer: sealer{ring: opts.Ring, uid: opts.ServerUID, kind: opts.Kind},
		index:  map[string]map[store.ID]*T{},
		closed: map[store.ID]closed{},
	}
}

// Observe takes a record's new value into the copy; nil means that it is gone. Calls
// about several records may run at once, and open them at once.
func (t *Table[T]) Observe(id store.ID, value []byte) {
	t.keyed.RLock()
	defer t.keyed.RUnlock()
	t.take(id, value)
}

// take is Observe; keyed is held.
func (t *Table[T]) take(id store.ID, value []byte) {
	var next *row[T]
	var err error
	if value != nil {
		next, err = t.decode(id, value)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if old, ok := t.rows.Load(id); ok {
		name := old.(*row[T]).index
		delete(t.index[name], id)
		if len(t.index[name]) == 0 {
			delete(t.index, name)
		}
	}
	delete(t.closed, id)
	if err != nil {
		t.close(id, value, err)
	}
	if next == nil {
		t.rows.Delete(id)
		return
	}
	if t.index[next.index] == nil {
		t.index[next.index] = map[store.ID]*T{}
	}
	t.index[next.index][id] = next.record
	t.rows.Store(id, next)
}

func (t *Table[T]) decode(id store.ID, value []byte) (*row[T], error) {
	record := new(T)
	if err := t.sealer.open(id, value, record); err != nil {
		return nil, err
	}
	r := &row[T]{record: record, raw: value}
	r.expires, _ = store.Expires(value)
	if t.opts.Index != nil {
		r.index = t.opts.Index(record)
	}
	return r, nil
}

// NewID returns the id for a record to come.
func (t *Table[T]) NewID() (store.ID, error) { return t.opts.Store.NewID(t.opts.Kind) }

// Peek returns the record in the copy, or nil, and when the copy was last known
// to be up to date. The record must not be changed.
func (t *Table[T]) Peek(id store.ID) (record *T, heard time.Time) {
	if r, ok := t.rows.Load(id); ok && t.opts.Now().Before(r.(*row[T]).expires) {
		record = r.(*row[T]).record
	}
	return record, t.opts.Store.Heard(t.opts.Kind, id)
}

// Fresh says whether a copy last heard of then is still good.
func (t *Table[T]) Fresh(heard time.Time) bool {
	//rule:copy-always-fresh
	return t.opts.Now().Sub(heard) < t.opts.FreshFor
}

// Get reads the record from the store itself. It returns store.ErrNotFound, also when
// the record's key was dropped, or store.ErrUnavailable, also when it does not open
// for another reason.
func (t *Table[T]) Get(ctx context.Context, id store.ID) (*T, error) {
	r, err := t.get(ctx, id)
	if err != nil {
		return nil, err
	}
	return r.record, nil
}

func (t *Table[T]) get(ctx context.Context, id store.ID) (*row[T], error) {
	value, err := t.opts.Store.Get(ctx, t.opts.Kind, id)
	if err != nil {
		return nil, err
	}
	r, err := t.decode(id, value)
	if err != nil {
		return nil, unopened(err)
	}
	//rule:expired-record
	if !t.opts.Now().Before(r.expires) {
		return nil, store.ErrNotFound
	}
	return r, nil
}

// Read returns the record from the copy if it is there and fresh, else from the
// store. A store.ErrNotFound is the store's own word.
func (t *Table[T]) Read(ctx context.Context, id store.ID) (*T, error) {
	if record, heard := t.Peek(id); record != nil && t.Fresh(heard) {
		return record, nil
	}
	return t.Get(ctx, id)
}

// ByIndex returns the records in the copy under this index name.
func (t *Table[T]) ByIndex(name string) map[store.ID]*T {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.opts.Now()
	found := make(map[store.ID]*T, len(t.index[name]))
	for id, record := range t.index[name] {
		if now.Before(t.opts.Expires(record)) {
			found[id] = record
		}
	}
	return found
}

// CountIndex returns how many records the copy has under this index name,
// those about to be swept among them.
func (t *Table[T]) CountIndex(name string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.index[name])
}

// Create writes a new record. It returns store.ErrFull or store.ErrUnavailable.
func (t *Table[T]) Create(ctx context.Context, id store.ID, record *T) error {
	value, err := t.sealer.seal(id, record, t.opts.Expires(record), t.opts.Now())
	if err != nil {
		return err
	}
	return t.opts.Store.CompareAndSwap(ctx, t.opts.Kind, id, nil, value)
}

// Verdict is what a change wants done with the record.
type Verdict int

// The verdicts.
const (
	Keep   Verdict = iota // leave it as it is
	Write                 // write what the change made of it
	Remove                // delete it
)

// Update lets change look at the record and act on it in one atomic step. It
// calls change with a copy of its own, until what change decided on still held
// when it was written. On the local copy only a Write counts, since writing
// proves that the copy was right: with anything else change is asked again, with
// the record as it is in the store. With an error and a verdict to act, Update
// acts and returns the error.
//
// It returns change's error, store.ErrNotFound or store.ErrUnavailable.
func (t *Table[T]) Update(ctx context.Context, id store.ID, change func(*T) (Verdict, error)) error {
	r, live := (*row[T])(nil), false
	if v, ok := t.rows.Load(id); ok {
		r = v.(*row[T])
	}
	for try := 0; ; try++ {
		if r == nil || live || !t.opts.Now().Before(r.expires) {
			var err error
			if r, err = t.get(ctx, id); err != nil {
				return err
			}
			live = true
		}
		record := new(T)
		if err := t.sealer.open(id, r.raw, record); err != nil {
			if !live { // the keys have been replaced since
				r = nil
				continue
			}
			return unopened(err)
		}
		verdict, refusal := change(record)
		//rule:refused-on-copy
		if !live && (refusal != nil || verdict != Write) {
			r = nil
			continue
		}
		if verdict == Keep {
			return refusal
		}
		err := t.swap(ctx, id, r.raw, record, verdict)
		if err == nil {
			return refusal
		}
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		r = nil
		if try > 2 {
			// Many replicas at one record: spread out.
			select {
			case <-ctx.Done():
				return fmt.Errorf("%w: %w", store.ErrUnavailable, ctx.Err())
			case <-time.After(rand.N(10 * time.Millisecond)): //nolint:gosec // not a secret
			}
		}
	}
}

func (t *Table[T]) swap(ctx context.Context, id store.ID, old []byte, record *T, verdict Verdict) error {
	if verdict == Remove {
		return t.opts.Store.CompareAndSwap(ctx, t.opts.Kind, id, old, nil)
	}
	value, err := t.sealer.seal(id, record, t.opts.Expires(record), t.opts.Now())
	if err != nil {
		return err
	}
	return t.opts.Store.CompareAndSwap(ctx, t.opts.Kind, id, old, value)
}
