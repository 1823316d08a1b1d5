package weather

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// maxCount and maxPause bound how long one call can be made to run. The SDK
	// ends a session only when its tools have ended, or were cancelled.
	maxCount = 100
	maxPause = 10 * time.Second
	// usualPause is how long watch_forecast waits when it is not told.
	usualPause = time.Second
)

type getInput struct {
	City string `json:"city" jsonschema:"the name of any city"`
}

type setInput struct {
	City string `json:"city" jsonschema:"the name of any city"`
	Text string `json:"text" jsonschema:"what to warn of; empty to remove the alert"`
}

type watchInput struct {
	City    string `json:"city" jsonschema:"the name of any city"`
	Count   int    `json:"count" jsonschema:"how many times to look, 1 to 100"`
	PauseMs *int   `json:"pauseMs,omitempty" jsonschema:"milliseconds between two looks, at most 10000; 1000 when left out"`
}

func addTools(server *mcp.Server, a *alerts) {
	notDestructive, closedWorld := false, false
	look := func(city string) forecast {
		f := makeUp(city)
		f.Alert = a.get(city)
		return f
	}

	mcp.AddTool(server, &mcp.Tool{
		Name:        "get_forecast",
		Title:       "Get the forecast",
		Description: "Tells today's weather in a city, and the alert for it if there is one.",
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true, OpenWorldHint: &closedWorld},
	}, func(_ context.Context, _ *mcp.CallToolRequest, in getInput) (*mcp.CallToolResult, forecast, error) {
		if err := checkCity(in.City); err != nil {
			return nil, forecast{}, err
		}
		f := look(in.City)
		return inWords(f), f, nil
	})

	mcp.AddTool(server, &mcp.Tool{
		Name:        "set_alert",
		Title:       "Set an alert",
		Description: "Sets the alert that forecasts for a city carry, for everybody, until the server stops.",
		Annotations: &mcp.ToolAnnotations{DestructiveHint: &notDestructive, IdempotentHint: true, OpenWorldHint: &closedWorld},
	}, func(_ context.Context, _ *mcp.CallToolRequest, in setInput) (*mcp.CallToolResult, forecast, error) {
		if err := checkCity(in.City); err != nil {
			return nil, forecast{}, err
		}
		if err := a.set(in.City, in.Text); err != nil {
			return nil, forecast{}, err
		}
		f := look(in.City)
		return inWords(f), f, nil
	})

	mcp.AddTool(server, &mcp.Tool{
		Name:        "watch_forecast",
		Title:       "Watch the forecast",
		Description: "Looks at the forecast for a city several times, reports each look as progress, and ends with the last.",
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true, OpenWorldHint: &closedWorld},
	}, func(ctx context.Context, req *mcp.CallToolRequest, in watchInput) (*mcp.CallToolResult, forecast, error) {
		pause, err := in.check()
		if err != nil {
			return nil, forecast{}, err
		}
		var f forecast
		for n := 1; n <= in.Count; n++ {
			if n > 1 {
				if err := wait(ctx, pause); err != nil {
					return nil, forecast{}, err
				}
			}
			f = look(in.City)
			if err := report(ctx, req, n, in.Count, f); err != nil {
				return nil, forecast{}, err
			}
		}
		return inWords(f), f, nil
	})
}

// inWords says the same as the structured result, for clients that show text.
func inWords(f forecast) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: f.String()}}}
}

// check returns how long to wait between two looks.
func (in watchInput) check() (time.Duration, error) {
	if err := checkCity(in.City); err != nil {
		return 0, err
	}
	if in.Count < 1 || in.Count > maxCount {
		return 0, fmt.Errorf("count is not between 1 and %d", maxCount)
	}
	if in.PauseMs == nil {
		return usualPause, nil
	}
	// Compared as milliseconds: a large enough number of them is no Duration.
	if *in.PauseMs < 0 || int64(*in.PauseMs) > maxPause.Milliseconds() {
		return 0, fmt.Errorf("pauseMs is not between 0 and %d", maxPause.Milliseconds())
	}
	return time.Duration(*in.PauseMs) * time.Millisecond, nil
}

func wait(ctx context.Context, pause time.Duration) error {
	select {
	case <-ctx.Done():
		return errors.New("the client no longer waits for the answer")
	case <-time.After(pause):
		return nil
	}
}

// report tells a client that asked for it how far the call has come.
func report(ctx context.Context, req *mcp.CallToolRequest, n, of int, f forecast) error {
	token := req.Params.GetProgressToken()
	if token == nil {
		return nil
	}
	err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
		ProgressToken: token,
		Message:       f.String(),
		Progress:      float64(n),
		Total:         float64(of),
	})
	if err != nil {
		return fmt.Errorf("reporting progress: %w", err)
	}
	return nil
}
