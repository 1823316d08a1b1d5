package kubernetes

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/wait"
)

// The API server keeps the history of the last five to ten minutes in etcd, and
// each patch adds its whole shard to it: 1.35 times its size, as measured. When
// etcd reaches its quota, by default 2 GiB, the whole cluster is read-only. So
// all replicas together may fill 256 MiB of history: a quarter of it at any
// speed, for storms, and the rest evenly.
const (
	historyBytes   = 256 << 20
	historySeconds = 600
	burstBytes     = historyBytes / 4
	// objectBytes is what a shard has besides its records.
	objectBytes = 1 << 10
)

// budget bounds what this replica writes into etcd's history.
type budget struct {
	limiter *rate.Limiter
	// turn holds a token while no shard waits for the limiter. Only the shard that has
	// taken the token draws from the limiter, so the bytes that it has waited for are
	// still there when it pays.
	turn chan struct{}
}

// shareOf is which part of it the patches of each kind of record may use: a flood of
// registrations must not keep refreshes waiting.
var shareOf = map[store.Kind]float64{store.Client: 0.25, store.Grant: 0.75}

func newBudget(replicas int, share float64) *budget {
	perSecond := float64(historyBytes-burstBytes) / historySeconds / float64(replicas) * share
	b := &budget{rate.NewLimiter(rate.Limit(perSecond), int(burstBytes/float64(replicas)*share)), make(chan struct{}, 1)}
	b.turn <- struct{}{}
	return b
}

// spend waits until a shard of this size may be written, and returns the writes to send.
// It pays if take returns any. If ctx ends first, it returns none.
func (b *budget) spend(ctx context.Context, size int, take func() []*write) []*write {
	cost := min((size+objectBytes)*135/100, b.limiter.Burst())
	select {
	case <-b.turn:
	case <-ctx.Done():
		return nil
	}
	defer func() { b.turn <- struct{}{} }()
	for {
		missing := float64(cost) - b.limiter.Tokens()
		if missing <= 0 {
			break
		}
		seconds := missing / float64(b.limiter.Limit())
		if !wait.For(ctx, time.Duration(seconds*float64(time.Second))+time.Microsecond) {
			return nil
		}
	}
	batch := take()
	//rule:dead-writes-paid
	if len(batch) > 0 {
		b.limiter.AllowN(time.Now(), cost)
	}
	return batch
}
