package gateway_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/pods"
)

func metered(c *config.Config) { c.Metrics = true }

// scrape returns each series with its value, and the text they were in.
func (r *running) scrape(t *testing.T) (series map[string]string, text string) {
	t.Helper()
	resp, err := http.Get(r.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("/metrics answers %s: %v", resp.Status, err)
	}
	series = map[string]string{}
	for line := range strings.Lines(string(body)) {
		if i := strings.LastIndexByte(strings.TrimSpace(line), ' '); i > 0 && line[0] != '#' {
			series[line[:i]] = strings.TrimSpace(line[i:])
		}
	}
	return series, string(body)
}

// counts checks the values of series, without the prefix that all have.
func (r *running) counts(t *testing.T, want map[string]string) {
	t.Helper()
	got, _ := r.scrape(t)
	for name, value := range want {
		if got["vestibule_gateway_"+name] != value {
			t.Errorf("%s is %q, not %s", name, got["vestibule_gateway_"+name], value)
		}
	}
}

// What a gateway counts of a day's work, and that each metric of the page is there.
const certificateEnds = "vestibule_gateway_tls_certificate_not_after_timestamp_seconds"

// Whoever renews certificates is to be woken before they end.
func TestTheEndOfTheCertificateIsAMetric(t *testing.T) {
	t.Parallel()
	files := newMounted(t)
	cert, key := newPair(t, 1)
	files.put(t, cert, key)
	r := serve(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		metered(c)
		c.TLS = &files.TLS
	}}, gateway.Timing{})
	r.waitReady(t, http.StatusOK)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	r.counts(t, map[string]string{"tls_certificate_not_after_timestamp_seconds": strconv.FormatFloat(float64(pair.Leaf.NotAfter.Unix()), 'g', -1, 64)})
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	backends, set := startPods(t, "a")
	set.Replace([]pods.Endpoint{backends[0].endpoint(true), {UID: "uid-gone", Addr: closedAddress(t), Ready: true, Serving: true}})
	r := serve(t, gatewaytest.Setup{Configure: metered, Options: func(o *gateway.Options) { o.Pods = set }}, gateway.Timing{})
	r.waitReady(t, http.StatusOK)
	client := r.Register(t, nil)
	code := client.Login(t)
	client.Refresh(t, client.Redeem(t, code).Refresh)
	client.Token(t, gatewaytest.RedeemParams(code)).Fails(t, http.StatusBadRequest, "invalid_grant") // and ends the grant
	tokens := client.Redeem(t, client.Login(t))
	for range 40 { // of which some try the pod first that is not there
		client.Call(t, tokens.Access)
	}
	client.Call(t, forged(tokens.Access)).Fails(t, http.StatusUnauthorized, "invalid_token")
	client.Call(t, "").Fails(t, http.StatusBadRequest, "invalid_request")
	call(t, r.Server, "BREW", "/nowhere", "", nil)
	call(t, r.Server, "BREW", "/mcp/../mcp", "", nil)

	r.counts(t, map[string]string{
		`requests_total{code="200",endpoint="route",method="POST",route="mcp"}`:                          "40",
		`requests_total{code="401",endpoint="route",method="POST",route="mcp"}`:                          "1",
		`requests_total{code="404",endpoint="other",method="other",route=""}`:                            "2",
		`requests_total{code="201",endpoint="register",method="POST",route=""}`:                          "1",
		`request_duration_seconds_count{endpoint="callback",method="GET",route=""}`:                      "2",
		`requests_in_flight{endpoint="route",route="mcp"}`:                                               "0",
		`open_streams{endpoint="route",route="mcp"}`:                                                     "0",
		`audit_events_total{endpoint="route",error="invalid_token",event="request_refused",route="mcp"}`: "1",
		`audit_events_total{endpoint="token",error="invalid_grant",event="request_refused",route=""}`:    "1",
		`audit_events_total{endpoint="register",error="",event="client_registered",route=""}`:            "1",
		`audit_events_total{endpoint="callback",error="",event="grant_approved",route=""}`:               "2",
		`token_requests_total{grant_type="authorization_code",outcome="issued"}`:                         "2",
		`token_requests_total{grant_type="authorization_code",outcome="invalid_grant"}`:                  "1",
		`token_requests_total{grant_type="refresh_token",outcome="issued"}`:                              "1",
		`login_exchange_duration_seconds_count{outcome="identified",upstream="corp"}`:                    "2",
		`store_operation_duration_seconds_count{operation="create",outcome="ok"}`:                        "3",
		`store_writes_in_flight{kind="grant"}`:                                                           "0",
		`records{kind="client"}`:                                                                         "1",
		`records{kind="grant"}`:                                                                          "1",
		`records_unreadable{kind="grant"}`:                                                               "0",
		`backend_ready_pods{route="mcp"}`:                                                                "2",
		`policy_last_reload_successful`:                                                                  "1",
		`keys_last_reload_successful`:                                                                    "1",
		`minting_key_not_before_timestamp_seconds`:                                                       strconv.FormatFloat(float64(r.Keys.Keys[0].NotBefore.Unix()), 'g', -1, 64),
	})
	series, text := r.scrape(t)
	if series[`vestibule_gateway_backend_retries_total{route="mcp"}`] == "0" {
		t.Error("no request was sent to another pod")
	}
	for _, name := range documented(t) {
		if name == certificateEnds {
			continue // TestTheEndOfTheCertificateIsAMetric
		}
		if !strings.Contains(text, "# TYPE "+name+" ") {
			t.Errorf("docs/observability.md has %s, which no gateway has", name)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// documented are the metrics in the table of docs/observability.md.
func documented(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile("../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(vestibule_gateway_[a-z_]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		names = append(names, row[1])
	}
	if len(names) < 15 {
		t.Fatalf("the page has only %v", names)
	}
	return names
}

func TestNobodyCountsIfMetricsAreOff(t *testing.T) {
	t.Parallel()
	r := serve(t, gatewaytest.Setup{}, gateway.Timing{})
	r.waitReady(t, http.StatusOK)
	if status := r.probe(t, "/metrics"); status != http.StatusNotFound {
		t.Errorf("/metrics answers %d", status)
	}
}

// Numbers tell how many users there are, and when they work; profiles, what is in the
// memory.
func TestAttackMetricsFromOutside(t *testing.T) {
	t.Parallel()
	r := serve(t, gatewaytest.Setup{Configure: metered}, gateway.Timing{})
	r.waitReady(t, http.StatusOK)
	token := r.login(t)
	for _, path := range []string{"/metrics", "/mcp/metrics", "/debug/pprof/", "/debug/pprof/heap", "/healthz", "/readyz"} {
		for _, token := range []string{"", token} {
			if a := call(t, r.Server, "GET", path, token, nil); a.Status != http.StatusNotFound && a.Status != http.StatusUnauthorized {
				t.Errorf("%s answers %d: %.80s", path, a.Status, a.Body)
			}
		}
	}
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/vars"} {
		if status := r.probe(t, path); status != http.StatusNotFound {
			t.Errorf("without a flag, %s answers %d beside the probes", path, status)
		}
	}
}

// Each series costs memory here and in every Prometheus, for good: no sender may make
// new ones.
func TestAttackSeriesFlood(t *testing.T) {
	t.Parallel()
	r := serve(t, gatewaytest.Setup{Configure: metered}, gateway.Timing{})
	r.waitReady(t, http.StatusOK)
	token := r.login(t)
	round := func(i int) {
		name := fmt.Sprintf("x%d", i)
		client := r.Register(t, map[string]any{"client_name": name})
		client.Token(t, url.Values{"grant_type": {name}})
		client.Token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {name}})
		login := client.Browser(t)
		login.Get(t, r.URL+"/authorize?client_id="+name)
		login.Get(t, r.URL+"/authorize?client_id="+client.ID+"&redirect_uri="+url.QueryEscape("http://127.0.0.1/callback")+"&response_type="+name)
		for _, path := range []string{"/" + name, "/mcp/" + name, "/mcp?" + name, "/callback/" + name, "/callback/" + name + "?error=" + name,
			"/register/" + name, "/.well-known/" + name, "/token/" + name} {
			for _, method := range []string{"GET", "POST", strings.ToUpper(name)} {
				call(t, r.Server, method, path, "", nil)
			}
		}
		header := http.Header{"Mcp-Session-Id": {name}, "Mcp-Method": {name}, "Mcp-Name": {name}, "User-Agent": {name}, "Origin": {"https://" + name + ".example"}}
		call(t, r.Server, "POST", "/mcp", name, nil)
		call(t, r.Server, "POST", "/mcp", token, header)
		delete(header, "Origin")
		call(t, r.Server, strings.ToUpper(name), "/mcp", token, header)
		r.Backend.Respond(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(600 + i) })
		call(t, r.Server, "POST", "/mcp", token, nil)
		r.Backend.Respond(nil)
	}
	round(0)
	before, _ := r.scrape(t)
	for i := range 10 {
		round(i + 1)
	}
	after, text := r.scrape(t)
	if !slices.Equal(slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after))) {
		t.Errorf("there were %d series, and now %d", len(before), len(after))
		for name := range after {
			if _, ok := before[name]; !ok {
				t.Error(name)
			}
		}
	}
	if strings.Contains(text, "x1") || strings.Contains(text, "X1") {
		t.Error("the metrics have a word of a sender's")
	}
}

// A gateway that counts passes events on as they come, and a stream is one until it ends.
func TestStreamsAreCounted(t *testing.T) {
	t.Parallel()
	backend := newStreams()
	r := serve(t, gatewaytest.Setup{Configure: metered, Backend: backend}, gateway.Timing{})
	r.waitReady(t, http.StatusOK)
	token := r.login(t)
	const open1, flying = `open_streams{endpoint="route",route="mcp"}`, `requests_in_flight{endpoint="route",route="mcp"}`
	resp := open(t.Context(), t, r.Server, http.MethodGet, token, nil)
	receive(t, backend.arrived, "the request")
	for i := range 3 {
		event := fmt.Sprintf("data: %d\n\n", i)
		backend.send(t, event)
		got := make([]byte, len(event))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != event {
			t.Fatalf("in place of %q comes %q: %v", event, got, err)
		}
		r.counts(t, map[string]string{open1: "1", flying: "1"})
	}
	backend.send(t, "")
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("at the end there is %q: %v", rest, err)
	}
	resp.Body.Close()
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		series, _ := r.scrape(t)
		if series["vestibule_gateway_"+open1] == "0" && series["vestibule_gateway_"+flying] == "0" {
			break
		}
		if time.Since(begun) > soon {
			t.Fatal("the stream's end is not counted")
		}
	}
	r.counts(t, map[string]string{`requests_total{code="200",endpoint="route",method="GET",route="mcp"}`: "1"})
}
