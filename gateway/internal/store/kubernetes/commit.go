package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"vestibule.dev/vestibule/gateway/internal/apiserver"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/wait"
)

// A patch has at most this many writes, and values of this many bytes or a
// single write. The API server takes 10,000 operations and 3 MiB.
const (
	patchWrites = 512
	patchBytes  = 512 << 10
)

// write is one call of CompareAndSwap, or the removal of an expired record.
type write struct {
	ctx      context.Context // the caller's, who may go away
	key      string
	old, new []byte
	done     chan error // with room for the one answer

	sweep bool // nobody waits for it
	doubt bool // the answer to some attempt was lost
	seen  bool // the new value was seen in the store, be it gone by now
}

var errDoubt = fmt.Errorf("%w: an answer was lost, and the record is not as it was", store.ErrUnavailable)

// swap waits in the shard's queue until a patch has decided the write.
func (s *shard) swap(ctx context.Context, key string, old, new []byte) error {
	if old == nil && new == nil {
		return errors.New("store: a write without an old and a new value")
	}
	w := &write{ctx: ctx, key: key, old: old, new: new, done: make(chan error, 1)}
	s.mu.Lock()
	s.queue = append(s.queue, w)
	s.work()
	s.mu.Unlock()
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: writing to shard %s: %w", store.ErrUnavailable, s.name, ctx.Err())
	}
}

// work is called with mu held.
func (s *shard) work() {
	if !s.committing {
		s.committing = s.background.run(s.commit)
	}
	if !s.committing {
		s.giveUp()
	}
}

// commit sends one patch after the other, as long as there is something to
// write. While one is under way, the writes that come wait for the next:
// parallel patches of one object would only repeat each other's work inside the
// API server.
func (s *shard) commit(ctx context.Context) {
	for tries := 0; s.wanted(ctx); {
		batch := s.budget.spend(ctx, s.bytes(), s.take)
		if len(batch) == 0 {
			continue
		}
		if s.send(ctx, batch) {
			tries = 0
			continue
		}
		if tries++; tries == 3 {
			s.log.Warn("store writes do not get through", "shard", s.name)
		}
		wait.For(ctx, wait.Backoff(tries))
	}
}

// wanted says whether to send another patch. If not, commit must return.
func (s *shard) wanted(ctx context.Context) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.committing = ctx.Err() == nil && (s.sweepDue || alive(s.queue))
	if !s.committing {
		s.giveUp()
	}
	return s.committing
}

// giveUp refuses what waits to be written. It is called with mu held.
func (s *shard) giveUp() {
	for _, w := range s.queue {
		w.fail(errClosed) // a caller that has gone does not read it
	}
	s.queue = nil
}

// take moves writes from the queue into a batch, at most one per record, and
// refuses those for which the shard has no room.
func (s *shard) take() []*write {
	s.mu.Lock()
	defer s.mu.Unlock()
	var batch, rest []*write
	taken, bytes, size := map[string]bool{}, 0, s.size
	for _, w := range s.queue {
		grows := len(w.new) - len(w.old)
		full := bytes > 0 && bytes+len(w.old)+len(w.new) > patchBytes
		switch {
		case w.ctx.Err() != nil:
			// Whoever asked has been told that the outcome is unknown.
		case taken[w.key] || full || len(batch) == patchWrites:
			taken[w.key] = true // The order per record stays.
			rest = append(rest, w)
		case w.old == nil && len(w.new) > store.Note && size+len(w.key)+grows > createLimit, grows > 0 && size+grows > writeLimit:
			w.fail(store.ErrFull)
		default:
			taken[w.key] = true
			bytes += len(w.old) + len(w.new)
			size += grows
			batch = append(batch, w)
		}
	}
	s.queue = rest
	if !s.plainNext {
		batch = s.appendExpired(batch, taken)
	}
	s.plainNext, s.sweepDue = false, false
	s.flight = batch
	return batch
}

// send sends a patch and answers the writes that it decided. The others are
// back in the queue. It returns false if it decided none.
func (s *shard) send(ctx context.Context, batch []*write) bool {
	within, cancel := context.WithTimeout(ctx, callTimeout)
	version, err := s.api.patch(within, s.name, appendPatch(nil, s.api.field, batch))
	cancel()
	if err == nil {
		s.settle(batch, version)
		return true
	}
	var refused *apiserver.Refusal
	switch {
	case !errors.As(err, &refused):
		doubt(batch, !unsent(err))
	case refused.Code >= 500:
		doubt(batch, true)
	case refused.Code == http.StatusTooManyRequests:
		wait.For(ctx, min(refused.RetryAfter, callTimeout/2))
	case refused.Test, refused.Code == http.StatusConflict:
	default:
		// Nothing was written, and nothing will be: the shard is gone, perhaps, or
		// the right to write it.
		s.log.Error("store refuses writes", "shard", s.name, "code", refused.Code, "reason", refused.Reason)
		s.refuse(batch, fmt.Errorf("%w: writing to shard %s: %w", store.ErrUnavailable, s.name, err))
		return true
	}
	return s.reconcile(ctx, batch)
}

// settle answers the writes of a patch that version has.
func (s *shard) settle(batch []*write, version uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight = nil
	s.wrote(version, batch)
	done := make(map[string]*write, len(batch))
	for _, w := range batch {
		done[w.key] = w
		w.done <- nil
	}
	// What waits to replace the same value lost: no value comes twice. Others may
	// have come when the record had changed again, and know more than we do.
	var rest []*write
	for _, w := range s.queue {
		if d := done[w.key]; d == nil || w.old == nil || !same(w.old, d.old) || !w.decide(d.new) {
			rest = append(rest, w)
		}
	}
	s.queue = rest
}

func (s *shard) refuse(batch []*write, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight = nil
	for _, w := range batch {
		w.fail(err)
	}
}

// reconcile reads the shard until it knows what became of the batch, or nobody
// asks any more, or ctx is done. It returns false if no write was decided.
func (s *shard) reconcile(ctx context.Context, batch []*write) bool {
	for tries := 1; ; tries++ {
		// These came before the read, so it tells about them too.
		s.mu.Lock()
		asking := len(s.queue)
		s.mu.Unlock()
		o, err := s.read(ctx)
		if err == nil {
			return s.sort(batch, asking, o)
		}
		if ctx.Err() != nil {
			s.refuse(batch, errClosed)
			return true
		}
		if !alive(batch) {
			s.mu.Lock()
			s.flight = nil
			s.mu.Unlock()
			return true // The next ones have not been tried.
		}
		wait.For(ctx, wait.Backoff(tries))
	}
}

// sort answers the writes that o decides, of the batch and of the first asking
// in the queue, and leaves the others in the queue. It returns false if none of
// the batch was decided.
func (s *shard) sort(batch []*write, asking int, o *object) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight = nil
	var rest []*write
	progress := false
	for _, w := range batch {
		switch {
		case w.sweep:
			// Somebody else sweeps too. Without it the patch may pass.
			s.plainNext = true
		case w.decide(o.records[w.key]):
			progress = true
		default:
			rest = append(rest, w)
		}
	}
	for i, w := range s.queue {
		if i >= asking || !w.decide(o.records[w.key]) {
			rest = append(rest, w)
		}
	}
	s.queue = rest
	return progress
}

// decide answers the write if the record's value, at some moment since the
// call, decides it.
func (w *write) decide(now []byte) bool {
	switch {
	case w.seen, w.new != nil && same(now, w.new):
		w.done <- nil
	case same(now, w.old):
		return false
	case w.doubt && w.new == nil && now == nil:
		w.done <- nil // Values tell whose they are, their absence does not.
	default:
		w.fail(store.ErrConflict) // If in doubt, another's value may be on top of ours.
	}
	return true
}

// fail answers a write that is not tried again. What failed is the last attempt:
// one before it, whose answer was lost, may have written.
func (w *write) fail(err error) {
	switch {
	case w.seen:
		w.done <- nil
	case w.doubt && !errors.Is(err, store.ErrUnavailable):
		w.done <- errDoubt
	default:
		w.done <- err
	}
}

// recognize notes the writes that are in o: if the answer is lost and the value
// overwritten before we look, the watch may have shown it.
func (s *shard) recognize(o *object) {
	for _, w := range s.flight {
		w.seen = w.seen || w.new != nil && same(o.records[w.key], w.new)
	}
	for _, w := range s.queue {
		w.seen = w.seen || w.doubt && w.new != nil && same(o.records[w.key], w.new)
	}
}

func doubt(batch []*write, really bool) {
	for _, w := range batch {
		//rule:lost-answer-is-conflict
		w.doubt = w.doubt || really
	}
}

// unsent says that the request never left: there was no connection.
func unsent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func alive(writes []*write) bool {
	for _, w := range writes {
		if w.ctx.Err() == nil && !w.sweep {
			return true
		}
	}
	return false
}
