package weather

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// transport notes what a client sent and got.
type transport struct {
	requests chan exchange
}

type exchange struct {
	method, revision, session string
	status                    int
	given                     string // the session that the server gave
}

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	t.requests <- exchange{
		method: r.Method, status: resp.StatusCode, given: resp.Header.Get("Mcp-Session-Id"),
		revision: r.Header.Get("Mcp-Protocol-Version"), session: r.Header.Get("Mcp-Session-Id"),
	}
	return resp, nil
}

// server runs Handler and returns the URL to connect to.
func server(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(Handler(nil))
	t.Cleanup(srv.Close)
	return srv.URL + Path
}

// connect connects a client that speaks revision, and returns what it sends.
func connect(t *testing.T, url, revision string, options *mcp.ClientOptions) (*mcp.ClientSession, chan exchange) {
	t.Helper()
	requests := make(chan exchange, 1000)
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, options)
	session, err := client.Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: transport{requests}}, MaxRetries: -1},
		&mcp.ClientSessionOptions{ProtocolVersion: revision})
	if err != nil {
		t.Fatalf("connecting with revision %s: %v", revision, err)
	}
	t.Cleanup(func() { _ = session.Close() }) // some tests have closed it
	if got := session.InitializeResult(); got.ProtocolVersion != revision || got.ServerInfo.Name != "weather" {
		t.Fatalf("connected to %s with revision %s, want weather with %s", got.ServerInfo.Name, got.ProtocolVersion, revision)
	}
	return session, requests
}

// await returns the first request of a method.
func await(requests chan exchange, method string) exchange {
	for {
		if r := <-requests; r.method == method {
			return r
		}
	}
}

func call(t *testing.T, session *mcp.ClientSession, tool string, arguments map[string]any) *mcp.CallToolResult {
	t.Helper()
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	return result
}

func text(t *testing.T, result *mcp.CallToolResult) string {
	t.Helper()
	if len(result.Content) != 1 {
		t.Fatalf("the result has %d contents, want 1", len(result.Content))
	}
	content, ok := result.Content[0].(*mcp.TextContent)
	if !ok {
		t.Fatalf("the result is a %T, want text", result.Content[0])
	}
	return content.Text
}

// Whatever revision a client speaks, it finds and uses everything.
func TestEveryRevision(t *testing.T) {
	revisions := mcp.SupportedProtocolVersions()
	if !slices.Contains(revisions, firstStateless) || !slices.Contains(revisions, "2025-11-25") {
		t.Fatalf("the SDK speaks %v, want both eras among them", revisions)
	}
	for _, revision := range revisions {
		t.Run(revision, func(t *testing.T) {
			session, _ := connect(t, server(t), revision, nil)

			listed, err := session.ListTools(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, tool := range listed.Tools {
				names = append(names, tool.Name)
			}
			slices.Sort(names)
			if diff := cmp.Diff([]string{"get_forecast", "set_alert", "watch_forecast"}, names); diff != "" {
				t.Errorf("tools (-want +got):\n%s", diff)
			}

			call(t, session, "set_alert", map[string]any{"city": "utrecht", "text": "bring a boat"})
			got := call(t, session, "get_forecast", map[string]any{"city": "Utrecht"})
			want := makeUp("Utrecht")
			want.Alert = "bring a boat"
			if text(t, got) != want.String() || got.IsError {
				t.Errorf("the forecast says %q, want %q", text(t, got), want)
			}
			if diff := cmp.Diff(map[string]any{
				"city": "Utrecht", "sky": want.Sky, "alert": "bring a boat",
				"highCelsius": float64(want.HighCelsius), "lowCelsius": float64(want.LowCelsius),
			}, got.StructuredContent); diff != "" {
				t.Errorf("the forecast as data (-want +got):\n%s", diff)
			}

			resource, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: alertsURI})
			if err != nil {
				t.Fatal(err)
			}
			if got := resource.Contents[0].Text; got != `{"utrecht":"bring a boat"}` {
				t.Errorf("the alerts are %s", got)
			}
			prompt, err := session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "pack_for", Arguments: map[string]string{"city": "Utrecht"}})
			if err != nil {
				t.Fatal(err)
			}
			if got := prompt.Messages[0].Content.(*mcp.TextContent).Text; !strings.Contains(got, "Utrecht") { //nolint:forcetypeassert // a test may panic
				t.Errorf("the prompt says %q", got)
			}
		})
	}
}

func TestSessionsBeforeTheStatelessEra(t *testing.T) {
	url := server(t)
	session, requests := connect(t, url, "2025-11-25", nil)
	call(t, session, "get_forecast", map[string]any{"city": "Utrecht"})
	id := session.ID()
	if id == "" {
		t.Fatal("the session has no id")
	}
	if got := await(requests, http.MethodGet); got.status != http.StatusOK || got.session != id {
		t.Errorf("the stream was opened by %+v", got)
	}
	if err := session.Close(); err != nil {
		t.Fatal(err)
	}
	if got := await(requests, http.MethodDelete); got.status != http.StatusNoContent || got.session != id {
		t.Errorf("the session was ended by %+v", got)
	}

	// What the client deleted is gone.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Mcp-Session-Id", id)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("a deleted session answers %d, want 404", resp.StatusCode)
	}
}

func TestNoSessionsInTheStatelessEra(t *testing.T) {
	session, requests := connect(t, server(t), firstStateless, nil)
	call(t, session, "get_forecast", map[string]any{"city": "Utrecht"})
	if err := session.Close(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; len(requests) > 0; n++ {
		r := <-requests
		if r.method != http.MethodPost || r.revision != firstStateless || r.session != "" || r.given != "" || r.status != http.StatusOK {
			t.Errorf("a stateless client sent or got %+v", r)
		}
	}
	if n < 2 {
		t.Errorf("%d requests were seen, want those of discovery and of the call", n)
	}
}

// The call would take a quarter of an hour: progress that arrives has been
// streamed, and a server that then comes to rest has cancelled the tool.
func TestProgressIsStreamedUntilTheClientCancels(t *testing.T) {
	for _, revision := range []string{"2025-11-25", firstStateless} {
		t.Run(revision, func(t *testing.T) {
			progress := make(chan *mcp.ProgressNotificationParams, maxCount)
			srv := httptest.NewServer(Handler(nil))
			session, requests := connect(t, srv.URL+Path, revision, &mcp.ClientOptions{
				ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { progress <- r.Params },
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() {
				params := &mcp.CallToolParams{Name: "watch_forecast", Arguments: map[string]any{"city": "Utrecht", "count": maxCount, "pauseMs": maxPause.Milliseconds()}}
				params.SetProgressToken("looking")
				_, err := session.CallTool(ctx, params)
				ended <- err
			}()
			select {
			case got := <-progress:
				if got.ProgressToken != "looking" || got.Progress != 1 || got.Total != maxCount || got.Message != makeUp("Utrecht").String() {
					t.Errorf("the first progress is %+v", got)
				}
			case err := <-ended:
				t.Fatalf("the call ended without progress: %v", err)
			}
			for len(requests) > 0 {
				<-requests
			}
			cancelled := time.Now()
			cancel()
			if err := <-ended; err == nil {
				t.Error("the cancelled call succeeded")
			}
			if revision < firstStateless {
				await(requests, http.MethodPost) // which tells the server of it
			}
			if err := session.Close(); err != nil {
				t.Error(err)
			}
			srv.Close() // waits for the tool
			if took := time.Since(cancelled); took > maxPause/2 {
				t.Errorf("the tool ran on for %v", took)
			}
		})
	}
}

func TestWatchingToTheEnd(t *testing.T) {
	progress := make(chan float64, maxCount)
	session, _ := connect(t, server(t), firstStateless, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { progress <- r.Params.Progress },
	})
	params := &mcp.CallToolParams{Name: "watch_forecast", Arguments: map[string]any{"city": "Utrecht", "count": 3, "pauseMs": 0}}
	params.SetProgressToken(7)
	result, err := session.CallTool(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := text(t, result), makeUp("Utrecht").String(); got != want {
		t.Errorf("the last look is %q, want %q", got, want)
	}
	for want := 1.0; want <= 3; want++ {
		if got := <-progress; got != want {
			t.Errorf("progress %v, want %v", got, want)
		}
	}
}

func TestBadArguments(t *testing.T) {
	session, _ := connect(t, server(t), "2025-11-25", nil)
	for name, c := range map[string]struct {
		tool      string
		arguments map[string]any
		want      string
	}{
		"no city":        {"get_forecast", map[string]any{}, "city"},
		"an empty city":  {"get_forecast", map[string]any{"city": " "}, "city is empty"},
		"a long city":    {"get_forecast", map[string]any{"city": strings.Repeat("ü", maxCity+1)}, "longer than 100"},
		"a long alert":   {"set_alert", map[string]any{"city": "Utrecht", "text": strings.Repeat("a", maxAlert+1)}, "longer than 500"},
		"no look":        {"watch_forecast", map[string]any{"city": "Utrecht", "count": 0}, "between 1 and 100"},
		"too many looks": {"watch_forecast", map[string]any{"city": "Utrecht", "count": maxCount + 1}, "between 1 and 100"},
		"too long pause": {"watch_forecast", map[string]any{"city": "Utrecht", "count": 1, "pauseMs": 10001}, "between 0 and 10000"},
	} {
		t.Run(name, func(t *testing.T) {
			result := call(t, session, c.tool, c.arguments)
			if !result.IsError || !strings.Contains(text(t, result), c.want) {
				t.Errorf("got %q (an error: %v), want an error with %q", text(t, result), result.IsError, c.want)
			}
		})
	}
}

func TestAlertsAreBoundedAndCanBeRemoved(t *testing.T) {
	a := newAlerts()
	for n := range maxAlerts {
		if err := a.set(strings.Repeat("x", n+1), "storm"); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.set("Utrecht", "storm"); err == nil {
		t.Errorf("alert %d was kept", maxAlerts+1)
	}
	if err := a.set("X", ""); err != nil {
		t.Fatal(err)
	}
	if got := a.get("x"); got != "" {
		t.Errorf("the removed alert is still %q", got)
	}
	if err := a.set("Utrecht", "storm"); err != nil {
		t.Errorf("no room after an alert was removed: %v", err)
	}
}

func TestForecastsDifferByCityAlone(t *testing.T) {
	if got, want := makeUp("Utrecht").String(), "Utrecht: fog, between 9 and 21 °C."; got != want {
		t.Errorf("this process says %q, others said %q", got, want)
	}
	skies := map[string]bool{}
	for _, city := range []string{"Utrecht", "Oslo", "Lima", "Kyoto", "Accra", "Porto", "Quito", "Perth"} {
		f := makeUp(city)
		skies[f.Sky] = true
		if f.LowCelsius >= f.HighCelsius {
			t.Errorf("%s: the low is not below the high", f)
		}
	}
	if len(skies) < 3 {
		t.Errorf("eight cities have %d skies", len(skies))
	}
}
