//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"vestibule.dev/vestibule/hack/mcpclient"
	"vestibule.dev/vestibule/hack/node"
)

// Two gateways in front of a backend of three pods that keep sessions: clients of three
// SDKs stay connected while the gateways are replaced, then the backend, then both. The
// gateways keep nothing of a session, so none ends with them.
func TestSessionsOutliveTheGateways(t *testing.T) {
	kubectl(t, "scale", "-n", one.Namespace, "deployment/weather", "--replicas=3")
	kubectl(t, "rollout", "status", "-n", one.Namespace, "deployment/weather", "--timeout=120s")
	var clients []*staying
	for range 4 {
		clients = append(clients, stayGo(t))
	}
	token := connect(t, one).Token.AccessToken
	for _, args := range [][2]string{{"v1", "SESSIONS"}, {"v1", "SESSIONS"}, {"v2", "SESSIONS"}, {"v2", "STATELESS"}} {
		clients = append(clients, stayTypeScript(t, token, args[0], args[1]))
	}
	moves := func(step string, replaced ...string) {
		t.Helper()
		for _, name := range replaced {
			kubectl(t, "rollout", "restart", "-n", one.Namespace, "deployment/"+name)
		}
		for _, name := range replaced {
			kubectl(t, "rollout", "status", "-n", one.Namespace, "deployment/"+name, "--timeout=180s")
		}
		// All of them work on at the new pods.
		for _, c := range clients {
			before := c.did(t)
			eventually(t, c.name+" goes on after "+step, func() bool { return c.did(t).Calls >= before.Calls+20 })
			t.Logf("%s: %s did %+v", step, c.name, c.did(t))
		}
	}
	moves("the start")
	for _, c := range clients {
		if did := c.did(t); did.Sessions != 1 || len(did.Again) > 0 {
			t.Errorf("%s did %+v, though nothing was replaced", c.name, did)
		}
	}
	moves("replacing the gateways", "weather-gateway")
	for _, c := range clients {
		if did := c.did(t); did.Again["session gone"] > 0 {
			t.Errorf("%s lost its session with a gateway: %+v", c.name, did)
		}
	}
	moves("replacing the backend", "weather")
	gone := 0
	for _, c := range clients {
		gone += c.did(t).Again["session gone"]
	}
	if gone == 0 {
		t.Error("no session ended with its pod: there are none")
	}
	moves("replacing both", "weather-gateway", "weather")
	for _, c := range clients {
		if err := c.stop(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	kubectl(t, "scale", "-n", one.Namespace, "deployment/weather", "--replicas=2")
	becomes(t, one, "Ready", "True", "")
}

// staying is a client that stays connected.
type staying struct {
	name string
	did  func(*testing.T) node.Did
	stop func() error
}

// stayTypeScript runs a client of one of the TypeScript SDKs.
func stayTypeScript(t *testing.T, token, sdk, era string) *staying {
	t.Helper()
	p := node.StartSession(t, one.Endpoint(), token, sdk, era)
	return &staying{
		name: "TypeScript " + sdk + " " + era,
		did:  p.Did,
		stop: func() error {
			if err := p.Stop(); err != nil {
				return fmt.Errorf("%w%s", err, p)
			}
			return nil
		},
	}
}

// stayGo runs a client of the Go SDK.
func stayGo(t *testing.T) *staying {
	t.Helper()
	s := &stayer{client: connect(t, one), did: node.Did{Again: map[string]int{}}}
	s.client.Revision = "2025-11-25" // with sessions
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(cancel)
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	return &staying{
		name: "Go SDK",
		did: func(*testing.T) node.Did {
			s.mu.Lock()
			defer s.mu.Unlock()
			d := s.did
			d.Again = map[string]int{}
			for why, n := range s.did.Again {
				d.Again[why] = n
			}
			return d
		},
		stop: func() error {
			cancel()
			return <-ended
		},
	}
}

type stayer struct {
	client *mcpclient.Client
	begun  bool
	mu     sync.Mutex
	did    node.Did
}

func (s *stayer) run(ctx context.Context) error {
	for n := 1; ctx.Err() == nil; n++ {
		for begun := time.Now(); ; time.Sleep(100 * time.Millisecond) {
			why, err := s.call(context.WithoutCancel(ctx), n)
			if err == nil {
				break
			}
			if why == "" || time.Since(begun) > 30*time.Second {
				return err
			}
			s.mu.Lock()
			s.did.Again[why]++
			s.mu.Unlock()
		}
		time.Sleep(20 * time.Millisecond) // a busy client, not a flood
	}
	return nil
}

// call calls a tool once, and says why it may be tried again.
func (s *stayer) call(ctx context.Context, n int) (why string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if !s.begun {
		if err := s.client.Begin(ctx); err != nil {
			return unanswered(err), err
		}
		s.begun = true
		s.mu.Lock()
		s.did.Sessions++
		s.mu.Unlock()
	}
	city := fmt.Sprintf("Utrecht %d", n)
	result, err := s.client.Session.CallTool(ctx, &mcp.CallToolParams{Name: "get_forecast", Arguments: map[string]any{"city": city}})
	if err != nil {
		if strings.Contains(err.Error(), mcp.ErrSessionMissing.Error()) {
			s.begun = false
			return "session gone", err
		}
		if why = unanswered(err); why != "" {
			// The SDK gives a connection up that had an answer which is no MCP.
			s.begun = !strings.Contains(err.Error(), "client is closing") && why != "502" && why != "503"
		}
		return why, err
	}
	text, ok := result.Content[0].(*mcp.TextContent)
	if !ok || result.IsError || !strings.Contains(text.Text, city) {
		return "", fmt.Errorf("asked for %s, answered %+v", city, result)
	}
	s.mu.Lock()
	s.did.Calls++
	s.mu.Unlock()
	return "", nil
}

// unanswered says, if no answer came or one that says to try again, which.
func unanswered(err error) string {
	for part, why := range map[string]string{
		"Bad Gateway": "502", "Service Unavailable": "503", "connection refused": "no answer", "connection reset": "no answer",
		"EOF": "no answer", "deadline exceeded": "no answer", "client is closing": "no answer", "broken pipe": "no answer",
		"server closed idle connection": "no answer", // which the Go client finds only when it sends
	} {
		if strings.Contains(err.Error(), part) {
			return why
		}
	}
	return ""
}
