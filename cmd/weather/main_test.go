package main

import (
	"context"
	"net"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"vestibule.dev/vestibule/cmd/internal/weather"
)

// A client that is still connected does not keep the server from ending.
func TestServe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, l, weather.Handler(nil)) }()

	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: "http://" + l.Addr().String() + weather.Path, MaxRetries: -1,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "get_forecast", Arguments: map[string]any{"city": "Utrecht"}})
	if err != nil || result.IsError {
		t.Errorf("the forecast: %v, %v", result, err)
	}

	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	_ = session.Close() // the server is gone
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"here"}, {"-listen", "nowhere"}, {"-unknown"}, {"-audience", "weather"}, {"-keys-url", "http://127.0.0.1:1/", "-issuer", "http://127.0.0.1:1"}} {
		if err := run(t.Context(), args); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
