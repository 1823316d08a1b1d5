package gateway_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
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
	m, err := memory.Open(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := silent{m, make(chan struct{})}
	gw := gatewaytest.New(t, gatewaytest.Setup{
		Configure: func(c *config.Config) { c.Store.Memory = nil },
		Options:   func(o *gateway.Options) { o.Store = s },
	})
	client := gw.Register(t, nil)
	tokens := client.Redeem(t, client.Login(t))
	defer gateway.AnswerWithin(200 * time.Millisecond)()
	close(s.since)
	a := client.Token(t, gatewaytest.RefreshParams(tokens.Refresh))
	a.Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	if a.Header.Get("Retry-After") == "" {
		t.Error("the client is not told when to try again")
	}
	gw.TryRegister(t, nil).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
}

// Who sends a body byte by byte, and is not known, does not keep a connection for
// as long as they like, wherever they send it.
func TestASlowBodyIsNotWaitedFor(t *testing.T) {
	defer gateway.AnswerWithin(200 * time.Millisecond)()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	for path, status := range map[string]string{
		"/token": "400", "/mcp": "401", "/.well-known/oauth-authorization-server": "405", "/nothing": "404", "/a//b": "404",
	} {
		conn, err := net.Dial("tcp", gw.Addrs[0])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		request := "POST " + path + " HTTP/1.1\r\nHost: " + gw.Addrs[0] +
			"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant_type="
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil {
			t.Errorf("%s: the connection is still open: %v", path, err)
		}
		if !strings.HasPrefix(string(answer), "HTTP/1.1 "+status+" ") {
			t.Errorf("%s: the answer is %q", path, answer)
		}
	}
}
