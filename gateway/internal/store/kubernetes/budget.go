package kubernetes

import (
	"context"

	"golang.org/x/time/rate"

	"vestibule.dev/vestibule/gateway/internal/store"
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
type budget struct{ limiter *rate.Limiter }

// shareOf is which part of it the patches of each kind of record may use: a flood of
// registrations must not keep refreshes waiting.
var shareOf = map[store.Kind]float64{store.Client: 0.25, store.Grant: 0.75}

func newBudget(replicas int, share float64) *budget {
	perSecond := float64(historyBytes-burstBytes) / historySeconds / float64(replicas) * share
	return &budget{rate.NewLimiter(rate.Limit(perSecond), int(burstBytes/float64(replicas)*share))}
}

// spend waits until a shard of this size may be written, or ctx is done.
func (b *budget) spend(ctx context.Context, size int) {
	cost := (size + objectBytes) * 135 / 100
	// It fails only for a context that ends or a cost beyond the burst.
	_ = b.limiter.WaitN(ctx, min(cost, b.limiter.Burst()))
}
