package etcd

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/wait"
)

// write is one call of CompareAndSwap.
type write struct {
	key
	old, new []byte
	doubt    bool // the answer to some attempt was lost
}

var errDoubt = fmt.Errorf("%w: an answer was lost, and the record is not as it was", store.ErrUnavailable)

// CompareAndSwap compares values: since each is unlike every other, the record has
// the old one only if nothing was written since.
func (s *Store) CompareAndSwap(ctx context.Context, kind store.Kind, id store.ID, old, new []byte) error {
	if old == nil && new == nil {
		return errors.New("store: a write without an old and a new value")
	}
	if old == nil && len(new) > store.Note && s.copy.bytes(kind)+len(new) > s.opts.MaxBytes {
		return store.ErrFull
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	w := &write{key: key{kind, id}, old: old, new: new}
	var last error
	for tries := 1; ; tries++ {
		outcome, err := s.attempt(ctx, w)
		last = telling(last, err)
		switch {
		case err == nil && !errors.Is(outcome, errAgain):
			return outcome
		case err == nil:
			// The history has changed under us.
		case isFinal(err) && w.doubt:
			return errDoubt
		case isFinal(err):
			return explain("writing", last)
		case !isRefused(err):
			w.doubt = true
		}
		if !wait.For(ctx, wait.Backoff(tries)) {
			if err == nil {
				return errDoubt
			}
			return explain("writing", last)
		}
	}
}

var errAgain = errors.New("try again")

// attempt returns what became of the write, or the error of the call.
func (s *Store) attempt(ctx context.Context, w *write) (outcome, err error) {
	m := s.copy.now()
	var a *answer
	if w.doubt && w.old == nil {
		// To create it once more would bring back what another has deleted meanwhile.
		a, err = s.read(ctx, w.key)
	} else {
		a, err = s.transact(ctx, w)
	}
	if err != nil {
		return nil, err
	}
	done := a.swapped ||
		w.new != nil && same(a.value, w.new) ||
		w.new == nil && a.value == nil && w.doubt // Values tell whose they are, their absence does not.
	trusted := done && s.copy.wrote(m, a.header, w.key, w.new) || !done && s.copy.witness(m, a.header)
	switch {
	case !trusted:
		w.doubt = true
		return errAgain, nil
	case done:
		return nil, nil
	case w.doubt:
		return errDoubt, nil // Another's value may be on top of ours.
	}
	return store.ErrConflict, nil
}

// transact sends the write, which reads the record if it is not as it should be.
func (s *Store) transact(ctx context.Context, w *write) (*answer, error) {
	name := s.name(w.key)
	compare := clientv3.Compare(clientv3.Value(name), "=", string(w.old))
	if w.old == nil {
		compare = clientv3.Compare(clientv3.CreateRevision(name), "=", 0)
	}
	op := clientv3.OpDelete(name)
	if w.new != nil {
		op = clientv3.OpPut(name, string(w.new))
	}
	a := &answer{}
	return a, s.call(ctx, func(ctx context.Context) error {
		//rule:etcd-without-compare
		resp, err := s.client.Txn(ctx).If(compare).Then(op).Else(clientv3.OpGet(name)).Commit()
		if err != nil {
			return err
		}
		a.header, a.swapped = resp.Header, resp.Succeeded
		if !resp.Succeeded {
			a.value = valueOf(resp.Responses[0].GetResponseRange().Kvs)
		}
		return nil
	})
}
