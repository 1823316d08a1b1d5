package gateway_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/memory"
)

// silent is a store whose writes are never answered, once it has fallen silent.
type silent struct {
	store.Store
	since chan struct{}
}

func (s silent) CompareAndSwap(ctx context.Context, kind store.Kind, id store.ID, old, new []byte) error {
	select {
	case <-s.since:
		<-ctx.Done()
		return store.ErrUnavailable
	default:
		return s.Store.CompareAndSwap(ctx, kind, id, old, new)
	}
}

func TestAStoreThatSaysNothingIsAnErrorAndNotAWait(t *testing.T) {
	t.Parallel()
	m, err := memory.Open(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := silent{m, make(chan struct{})}
	gw := gatewaytest.New(t, gatewaytest.Setup{
		Configure: func(c *config.Config) { c.Store.Memory = nil },
		Options:   func(o *gateway.Options) { o.Store = s },
		Intervals: gateway.Intervals{Answer: 2 * time.Second}, // more than a request with a store takes
	})
	client := gw.Register(t, nil)
	tokens := client.Redeem(t, client.Login(t))
	close(s.since)
	a := client.Token(t, gatewaytest.RefreshParams(tokens.Refresh))
	a.Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	if a.Header.Get("Retry-After") == "" {
		t.Error("the client is not told when to try again")
	}
	gw.TryRegister(t, nil).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
}
