// Package kubernetes keeps records in Secrets or ConfigMaps: each record is a
// key of one of a fixed number of shard objects, so that a role can name all
// that the gateway may touch. What a write costs the cluster grows with the
// shard, so shards are small, all waiting writes of a shard go into one patch,
// and the patches of a gateway share a budget.
package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/client-go/rest"

	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/wait"
)

// Options say where the shards are. The API server must serve WatchList, which
// it does by default since Kubernetes 1.34.
type Options struct {
	// REST connects to the API server. Its QPS does not count: a budget of
	// bytes bounds the writes, and the server's own fairness the rest.
	REST *rest.Config
	// Namespace and Name locate the shards: Name-clients-<n> and Name-grants-<n>.
	Namespace, Name string
	// Kind of the shards is Secret or ConfigMap.
	Kind string
	// ClientShards and GrantShards count the shards that exist, from 0 up.
	ClientShards, GrantShards int
	// Replicas is how many gateways share the write budget. At least one.
	Replicas int
	// SweepEvery is the mean time between two sweeps; unset, five minutes.
	SweepEvery time.Duration
	// ConfirmEvery is the mean time between two reads that show that the API server
	// reaches etcd; unset, 20 seconds.
	ConfirmEvery time.Duration
	// WrapTransport, when set, wraps what sends the requests.
	WrapTransport func(http.RoundTripper) http.RoundTripper
	// Now tells the time; unset, time.Now.
	Now func() time.Time
	// Log is told what the callers are not; unset, nobody is.
	Log *slog.Logger
}

const (
	sweepEvery   = 5 * time.Minute
	confirmEvery = 20 * time.Second
	// callTimeout bounds each call, whoever waits for it.
	callTimeout = 10 * time.Second
)

// Store is a store.Store in shard objects.
type Store struct {
	opts    Options
	api     *api
	budgets map[store.Kind]*budget
	reads   map[store.Kind]*rate.Limiter
	shards  map[store.Kind][]*shard // those there were at the start
	synced  chan struct{}

	// background runs the reads and patches that several callers share.
	background *background

	mu      sync.Mutex
	running bool
	later   map[laterKey]*shard
	seen    map[store.Kind]int // shards that are known to exist, from 0 up
}

var _ store.Store = (*Store)(nil)

// New returns a store. It does not call the API server.
func New(o Options) (*Store, error) {
	if o.REST == nil || o.Namespace == "" || o.Name == "" {
		return nil, errors.New("store: REST, Namespace and Name must be set")
	}
	if min(o.ClientShards, o.GrantShards) < 1 || max(o.ClientShards, o.GrantShards) > maxShards {
		return nil, errors.New("store: there must be from 1 to 1024 shards of each kind")
	}
	if o.Replicas < 1 {
		return nil, errors.New("store: Replicas must be at least 1")
	}
	if o.SweepEvery <= 0 {
		o.SweepEvery = sweepEvery
	}
	if o.ConfirmEvery <= 0 {
		o.ConfirmEvery = confirmEvery
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	api, err := newAPI(o)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s := &Store{
		opts: o, api: api, budgets: map[store.Kind]*budget{}, reads: map[store.Kind]*rate.Limiter{},
		shards: map[store.Kind][]*shard{}, later: map[laterKey]*shard{}, synced: make(chan struct{}),
		seen:       map[store.Kind]int{store.Client: o.ClientShards, store.Grant: o.GrantShards},
		background: newBackground(),
	}
	for kind, share := range shareOf {
		s.budgets[kind] = newBudget(o.Replicas, share)
		s.reads[kind] = newReadLimit(kind)
	}
	for kind, count := range map[store.Kind]int{store.Client: o.ClientShards, store.Grant: o.GrantShards} {
		for n := range count {
			s.shards[kind] = append(s.shards[kind], s.newShard(kind, n))
		}
	}
	return s, nil
}

func (s *Store) newShard(kind store.Kind, n int) *shard {
	part := map[store.Kind]string{store.Client: "clients", store.Grant: "grants"}[kind]
	return &shard{
		kind:    kind,
		part:    uint16(n), //nolint:gosec // at most 65535
		name:    fmt.Sprintf("%s-%s-%d", s.opts.Name, part, n),
		api:     s.api,
		budget:  s.budgets[kind],
		now:     s.opts.Now,
		log:     s.opts.Log,
		silence: watchSilence,
		records: map[string]entry{},
		synced:  make(chan struct{}),

		background: s.background,
		readLimit:  s.reads[kind],
	}
}

// NewID returns an id in the emptier of two shards taken at random.
func (s *Store) NewID(kind store.Kind) (store.ID, error) {
	shards := s.shards[kind]
	if len(shards) == 0 {
		return store.ID{}, fmt.Errorf("%w: no shard of this kind", store.ErrFull)
	}
	pick := func() (*shard, int) {
		sh := shards[rand.IntN(len(shards))] //nolint:gosec // not a secret
		n := sh.bytes()
		return sh, n
	}
	first, size := pick()
	if second, n := pick(); n < size {
		first, size = second, n
	}
	const limit = createLimit - store.Room
	if size < limit {
		return store.NewID(first.part), nil
	}
	for _, sh := range shards {
		if sh.bytes() < limit {
			return store.NewID(sh.part), nil
		}
	}
	return store.ID{}, store.ErrFull
}

// Get reads the shard of the record, together with the callers that wait for
// the same shard.
func (s *Store) Get(ctx context.Context, kind store.Kind, id store.ID) ([]byte, error) {
	if id.Part() >= maxShards {
		return nil, errNoShard
	}
	if err := s.readBefore(ctx, kind, id.Part()); err != nil {
		return nil, err
	}
	o, err := s.readShard(ctx, kind, id.Part())
	if err != nil {
		return nil, err
	}
	if value := o.records[id.String()]; value != nil {
		return value, nil
	}
	return nil, store.ErrNotFound
}

// readBefore reads the shards below part that were added since the start, until all have
// been seen once. The controller creates shards in the order of their numbers, so if one
// of them does not exist, part does not. Ids of any number of parts thus cause reads of one
// shard that does not exist, which they share.
func (s *Store) readBefore(ctx context.Context, kind store.Kind, part uint16) error {
	for {
		s.mu.Lock()
		next := s.seen[kind]
		s.mu.Unlock()
		//rule:shards-made-up
		if int(part) <= next {
			return nil
		}
		if _, err := s.readShard(ctx, kind, uint16(next)); err != nil { //nolint:gosec // below part
			return err
		}
	}
}

func (s *Store) readShard(ctx context.Context, kind store.Kind, part uint16) (*object, error) {
	o, err := s.shard(kind, part).read(ctx)
	if err == nil {
		s.mu.Lock()
		s.seen[kind] = max(s.seen[kind], int(part)+1)
		s.mu.Unlock()
	}
	return o, err
}

// CompareAndSwap puts the write into the shard's next patch.
func (s *Store) CompareAndSwap(ctx context.Context, kind store.Kind, id store.ID, old, new []byte) error {
	sh := s.shard(kind, id.Part())
	if sh == nil {
		return errNoShard
	}
	return sh.swap(ctx, id.String(), old, new)
}

// Run watches all shards until ctx is done.
func (s *Store) Run(ctx context.Context, observe store.Observer) error {
	s.mu.Lock()
	again := s.running
	s.running = true
	s.mu.Unlock()
	if again {
		return errors.New("store: it runs already")
	}

	var all sync.WaitGroup
	for _, shards := range s.shards {
		for _, sh := range shards {
			sh.attach(observe)
			all.Go(func() { sh.watch(ctx) })
		}
	}
	all.Go(func() { s.sweep(ctx) })
	all.Go(func() { s.confirm(ctx) })
	all.Go(func() {
		for _, shards := range s.shards {
			for _, sh := range shards {
				select {
				case <-sh.synced:
				case <-ctx.Done():
					return
				}
			}
		}
		close(s.synced)
	})
	all.Wait()
	return nil
}

// sweep lets each shard remove what has expired, now and then.
func (s *Store) sweep(ctx context.Context) {
	for {
		if !wait.For(ctx, wait.Jitter(s.opts.SweepEvery)) {
			return
		}
		for _, shards := range s.shards {
			for _, sh := range shards {
				sh.sweep() // a patch under way is not given up
			}
		}
	}
}

// confirm reads some shard from etcd, now and then. An API server that has lost etcd keeps
// watches open and sends bookmarks, while another one takes writes.
func (s *Store) confirm(ctx context.Context) {
	for {
		if s.opts.Now().Sub(s.api.reachedEtcd()) >= s.opts.ConfirmEvery/2 {
			shards := s.shards[store.Grant]
			// A failure leaves the time of the last read as it is.
			_, _ = shards[rand.IntN(len(shards))].read(ctx) //nolint:gosec // not a secret
		}
		if !wait.For(ctx, wait.Jitter(s.opts.ConfirmEvery)) {
			return
		}
	}
}

// Close cancels the reads and patches under way, and returns when all have ended. Their
// callers get store.ErrUnavailable. Run must have returned.
func (s *Store) Close() error {
	s.background.close()
	return nil
}

// Synced is closed when every shard was read once.
func (s *Store) Synced() <-chan struct{} { return s.synced }

// Heard returns when the watch of the record's shard last said something, or when the API
// server was last known to reach etcd, if that was earlier.
func (s *Store) Heard(kind store.Kind, id store.ID) time.Time {
	sh := s.shard(kind, id.Part())
	if sh == nil {
		return time.Time{}
	}
	heard, reached := sh.lastHeard(), s.api.reachedEtcd()
	//rule:bookmarks-of-an-api-server-without-etcd
	if reached.Before(heard) {
		return reached
	}
	return heard
}

// errNoShard is no ErrNotFound: that would be the word of a shard.
var errNoShard = fmt.Errorf("%w: there can be no such shard", store.ErrUnavailable)

// maxShards bounds the shards of a kind that there may ever be.
const maxShards = 1024

// laterKey names a shard that was added since this gateway started.
type laterKey struct {
	kind store.Kind
	part uint16
}

// shard returns the shard of a record. One that was added since the start is not
// watched, so what it holds is always read from the store itself: a record that
// a newer replica has put there is good here too.
func (s *Store) shard(kind store.Kind, part uint16) *shard {
	shards := s.shards[kind]
	if int(part) < len(shards) {
		return shards[part]
	}
	if len(shards) == 0 || part >= maxShards {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := laterKey{kind, part}
	if s.later[key] == nil {
		s.later[key] = s.newShard(kind, int(part))
	}
	return s.later[key]
}

// Counts says how many shards of a kind the store creates records in, and
// whether they are filling: their mean size is above what writes should cost, or
// none has room.
func (s *Store) Counts(kind store.Kind) (shards int, filling bool) {
	total, room := 0, false
	for _, sh := range s.shards[kind] {
		n := sh.bytes()
		total += n
		room = room || n+store.Room < createLimit
	}
	n := len(s.shards[kind])
	return n, n > 0 && (!room || total/n > meanLimit)
}
