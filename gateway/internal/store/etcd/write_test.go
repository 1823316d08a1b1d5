//go:build integration

package etcd

import (
	"context"
	"errors"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/conformance"
)

var errCut = status.Error(codes.Unavailable, "the connection is cut")

// lost sends a transaction, and loses its answer.
func lost(ctx context.Context, send func(context.Context) error) error {
	return errors.Join(errCut, send(ctx))
}

// cut loses a transaction on its way.
func cut(context.Context, func(context.Context) error) error { return errCut }

// tooMany refuses a transaction for now.
func tooMany(context.Context, func(context.Context) error) error {
	return rpctypes.ErrGRPCRequestTooManyRequests
}

// Whatever becomes of the first attempt, a write takes place at most once, and is
// told to have taken place only if it has.
func TestAWriteOutlivesAFailedAttempt(t *testing.T) {
	l, o := &link{}, &conformance.Told{}
	s := open(t, options(newPrefix(), l))
	conformance.Start(t, s, o.Observe)
	for name, tc := range map[string]struct {
		attempt handler
		created error
	}{
		"the answer is lost": {attempt: lost},
		// Nobody can tell it from a creation that another has deleted again.
		"the request is lost": {attempt: cut, created: store.ErrUnavailable},
		"refused for now":     {attempt: tooMany},
	} {
		t.Run(name, func(t *testing.T) {
			id := store.NewID(0)
			var old []byte
			for _, next := range [][]byte{conformance.NewValue("created"), conformance.NewValue("changed"), nil} {
				l.onTxn(once(tc.attempt))
				err := s.CompareAndSwap(t.Context(), store.Grant, id, old, next)
				if old == nil && tc.created != nil {
					if !errors.Is(err, tc.created) {
						t.Fatalf("creating: %v, want %v", err, tc.created)
					}
					err = s.CompareAndSwap(t.Context(), store.Grant, id, old, next)
				}
				if err != nil {
					t.Fatalf("CompareAndSwap: %v", err)
				}
				if !o.Knows(id, next) {
					t.Errorf("the write is answered, and the observer does not know %q", next)
				}
				if got, err := s.Get(t.Context(), store.Grant, id); !same(got, next) || next == nil != errors.Is(err, store.ErrNotFound) {
					t.Errorf("the record is %q, %v, want %q", got, err, next)
				}
				old = next
			}
		})
	}
}

// What others do between a lost answer and the next attempt makes the outcome
// unknown. It is not guessed, and nothing is written twice.
func TestALostAnswerAndWhatOthersDo(t *testing.T) {
	prefix := newPrefix()
	l, other := &link{}, open(t, options(prefix, nil))
	s := open(t, options(prefix, l))
	conformance.Start(t, s, conformance.Ignore)
	first, next, onTop := conformance.NewValue("first"), conformance.NewValue("next"), conformance.NewValue("on top")
	for _, tc := range []struct {
		name     string
		old, new []byte
		attempt  handler
		meddle   []byte
		want     error
	}{
		{"a change, and a change on top", first, next, lost, onTop, store.ErrUnavailable},
		{"a change that is not made, and another's", first, next, cut, onTop, store.ErrUnavailable},
		{"a change that is refused, and another's", first, next, tooMany, onTop, store.ErrConflict},
		{"a creation, and a deletion", nil, next, lost, nil, store.ErrUnavailable},
		{"a deletion, and another's", first, nil, cut, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			id := store.NewID(0)
			if tc.old != nil {
				must(t, s.CompareAndSwap(t.Context(), store.Grant, id, nil, tc.old))
			}
			l.onTxn(once(func(ctx context.Context, send func(context.Context) error) error {
				err := tc.attempt(ctx, send)
				now, getErr := other.Get(t.Context(), store.Grant, id)
				must(t, errors.Join(getErr, other.CompareAndSwap(t.Context(), store.Grant, id, now, tc.meddle)))
				return err
			}))
			if err := s.CompareAndSwap(t.Context(), store.Grant, id, tc.old, tc.new); !errors.Is(err, tc.want) || tc.want == nil && err != nil {
				t.Errorf("CompareAndSwap: %v, want %v", err, tc.want)
			}
			if got, _ := s.Get(t.Context(), store.Grant, id); !same(got, tc.meddle) {
				t.Errorf("the record is %q, want %q", got, tc.meddle)
			}
		})
	}
}

// An error quotes nothing that the cluster says: a proxy before it may say anything.
func TestAnErrorIsNotQuoted(t *testing.T) {
	l := &link{}
	s := open(t, options(newPrefix(), l))
	for _, code := range []codes.Code{codes.Internal, codes.InvalidArgument, codes.Unknown} {
		l.onTxn(func(context.Context, func(context.Context) error) error {
			return status.Error(code, "a record's value")
		})
		ctx, cancel := context.WithTimeout(t.Context(), attemptTimeout/10)
		err := s.CompareAndSwap(ctx, store.Grant, store.NewID(0), conformance.NewValue("old"), conformance.NewValue("new"))
		cancel()
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrConflict) {
			t.Errorf("CompareAndSwap: %v, want that the store is unavailable", err)
		}
		if want := "the store is unavailable: writing: etcd says " + code.String(); err.Error() != want {
			t.Errorf("the error is %q, want %q", err, want)
		}
	}
}
