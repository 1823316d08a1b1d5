// Package etcd keeps records as keys of an etcd cluster: one key for each record,
// below a prefix of the server's own. A write is a transaction that compares the
// value; a watch keeps a copy.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/wait"
)

// Options say where the records are.
type Options struct {
	// Endpoints are URLs of the cluster's members, all http or all https.
	Endpoints []string
	// Prefix is before every key. It begins with a slash and does not end in one.
	Prefix string
	// CAFile, when set, replaces the system's roots. It is read once.
	CAFile string
	// CertFile and KeyFile are the client certificate, which is read anew for each
	// connection. Both or neither are set.
	CertFile, KeyFile string
	// UserFile and PasswordFile hold a user and a password, which are read anew for
	// each login. Both or neither are set.
	UserFile, PasswordFile string
	// MaxBytes bounds the values of each kind of record: from there on, new records
	// get ErrFull. Unset, 256 MiB.
	MaxBytes int
	// SweepEvery is the mean time between two sweeps; unset, five minutes.
	SweepEvery time.Duration
	// DialOptions are added to those of the connection.
	DialOptions []grpc.DialOption
	// Now tells the time; unset, time.Now.
	Now func() time.Time
	// Log is told what the callers are not; unset, nobody is.
	Log *slog.Logger
}

const (
	// maxBytes keeps a flood of registrations from filling the cluster, whose quota
	// is 2 GiB by default, so that grants could not be written any more.
	maxBytes   = 256 << 20
	sweepEvery = 5 * time.Minute
	// callTimeout bounds each call, attemptTimeout each attempt: when a member hangs,
	// the next attempt is at another.
	callTimeout    = 10 * time.Second
	attemptTimeout = 3 * time.Second
	// parts is how many parts ids are spread over. Here all parts are one, but an id
	// stays for good: in the Kubernetes store the part is the number of the shard, and
	// there are at least 16, so a record can move there.
	parts = 16
)

// Store is a store.Store in an etcd cluster.
type Store struct {
	opts    Options
	client  *clientv3.Client
	login   *login // nil without a user
	copy    *replica
	synced  chan struct{}
	running atomic.Bool

	beatEvery, silence time.Duration // of the watch
}

var _ store.Store = (*Store)(nil)

// New returns a store. It reads the CA's file, and calls nobody yet.
func New(o Options) (*Store, error) {
	if o.MaxBytes <= 0 {
		o.MaxBytes = maxBytes
	}
	if o.SweepEvery <= 0 {
		o.SweepEvery = sweepEvery
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		opts: o, copy: newReplica(), synced: make(chan struct{}),
		beatEvery: beatEvery, silence: watchSilence,
	}
	if err := s.connect(); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return s, nil
}

// Close ends the connections. Calls are unavailable from then on.
func (s *Store) Close() error {
	if err := s.client.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("store: closing the connections: %w", err)
	}
	return nil
}

// NewID returns an id in any part.
func (s *Store) NewID(kind store.Kind) (store.ID, error) {
	if s.copy.bytes(kind)+store.Room > s.opts.MaxBytes {
		return store.ID{}, store.ErrFull
	}
	return store.NewID(rand.N[uint16](parts)), nil
}

// Get reads the record through the leader.
func (s *Store) Get(ctx context.Context, kind store.Kind, id store.ID) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var last error
	for tries := 1; ; tries++ {
		m := s.copy.now()
		a, err := s.read(ctx, key{kind, id})
		last = telling(last, err)
		if err == nil {
			s.copy.witness(m, a.header)
		}
		switch {
		case err == nil && a.value == nil:
			return nil, store.ErrNotFound
		case err == nil:
			return a.value, nil
		case isFinal(err) || !wait.For(ctx, wait.Backoff(tries)):
			return nil, explain("reading", last)
		}
	}
}

// Run watches until ctx is done.
func (s *Store) Run(ctx context.Context, observe store.Observer) error {
	if s.running.Swap(true) {
		return errors.New("store: it runs already")
	}
	s.copy.attach(observe)
	var all sync.WaitGroup
	all.Go(func() { s.watch(ctx) })
	all.Go(func() { s.sweep(ctx) })
	all.Wait()
	return nil
}

// Synced is closed when all records were read once.
func (s *Store) Synced() <-chan struct{} { return s.synced }

// Heard returns when the copy was last proven to be up to date.
func (s *Store) Heard(store.Kind, store.ID) time.Time { return s.copy.lastHeard() }

// sweep removes what has expired, now and then. A lease would not do instead: it
// starts over whenever the cluster has a new leader, so that one of weeks may never
// end.
func (s *Store) sweep(ctx context.Context) {
	for wait.For(ctx, wait.Jitter(s.opts.SweepEvery)) {
		for k, value := range s.copy.expired(s.opts.Now()) {
			// Whatever was written meanwhile makes it a conflict, and nothing is lost.
			if err := s.CompareAndSwap(ctx, k.kind, k.id, value, nil); errors.Is(err, store.ErrUnavailable) {
				break // until the next time
			}
		}
	}
}
