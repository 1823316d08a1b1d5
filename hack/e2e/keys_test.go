//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/hack/mcpclient"
)

// keySecret holds the keys of a server's gateways.
const keySecret = "weather-gateway-keys"

// delivered is how long a key may be on its way to a gateway: a kubelet looks for
// changes every minute.
const delivered = 2 * time.Minute

// Keys are renewed by command, and nobody notices: no request is refused, and none
// has to be sent again.
func TestKeysAreRotatedUnderLoad(t *testing.T) {
	before := []*mcpclient.Client{connect(t, two), connect(t, two), connect(t, two)}
	gateways := gatewayPods(t, two)
	old := keyOf(t, before[0].Token.AccessToken)
	l := work(t, two, 4, true)
	l.strict.Store(true)
	l.logIn(two)

	t.Log(kubectl(t, "vestibule", "rotate-keys", "weather", "-n", two.Namespace))
	happens(t, "KeyRotated")
	set := readKeys(t)
	next := set.Newest()
	if until := time.Until(next.NotBefore); next.ID == old || until < config.KeyPropagation-time.Minute {
		t.Fatalf("key %d is minted with in %v", next.ID, until)
	}
	within(t, delivered, "every gateway knows the new key", func() bool { return keysReplaced(t, next.ID, 1) })

	// A quarter of an hour later by the keys' clock.
	next.Made, next.NotBefore = next.MadeAt(), time.Now().UTC().Truncate(time.Second)
	writeKeys(t, set)
	within(t, delivered, "every gateway mints with the new key", func() bool { return keysReplaced(t, next.ID, 2) })
	time.Sleep(5 * time.Second) // the clients work on, with tokens under either
	l.end(t)
	if n := l.retries.Load(); n > 0 || l.logins.Load() == 0 {
		t.Errorf("%d requests had to be sent again, and there were %d logins", n, l.logins.Load())
	}
	signedIn(t, before)
	if id := keyOf(t, before[0].Token.RefreshToken); id != next.ID {
		t.Errorf("a refresh gives a token under key %d, not %d", id, next.ID)
	}
	undisturbed(t, gateways)
}

// After a compromise what is under the keys of before has ended within two minutes,
// and everybody begins anew at once.
func TestKeysAreDroppedUnderLoad(t *testing.T) {
	gateways := gatewayPods(t, two)
	var clients sync.WaitGroup
	gone, end := make(chan struct{}), make(chan struct{})
	stop := sync.OnceFunc(func() { close(end); clients.Wait() })
	t.Cleanup(stop)
	for range 3 {
		c := connect(t, two)
		clients.Go(func() { useUntilItEnds(t, c, gone, end) })
	}
	records := recordNames(t)
	if len(records) < 6 {
		t.Fatalf("of three clients and their grants there are only the records %v", records)
	}

	t.Log(kubectl(t, "vestibule", "rotate-keys", "weather", "-n", two.Namespace, "--compromised"))
	var dropped *config.KeySet
	eventually(t, "the keys are dropped", func() bool { dropped = readKeys(t); return len(dropped.Dropped) > 0 && len(dropped.Keys) == 1 })
	if len(dropped.Keys) != 1 || len(dropped.Dropped) == 0 || dropped.Newest().NotBefore.After(time.Now()) {
		t.Fatalf("%d keys are left, and %d were dropped", len(dropped.Keys), len(dropped.Dropped))
	}
	within(t, delivered, "every gateway has the one new key", func() bool { return keysReplaced(t, dropped.Newest().ID, 1) })
	happens(t, "KeysDropped")
	t.Logf("all is over after %.1f s", time.Since(dropped.Newest().NotBefore).Seconds())
	close(gone)

	// Who begins anew finds nothing amiss.
	l := work(t, two, 3, true)
	l.strict.Store(true)
	l.logIn(two)
	eventually(t, "the records under the dropped keys are deleted", func() bool {
		return !slices.ContainsFunc(recordNames(t), func(name string) bool { return slices.Contains(records, name) })
	})
	time.Sleep(3 * time.Second) // the clients work on without those
	l.end(t)
	if n := l.retries.Load(); n > 0 || l.logins.Load() == 0 {
		t.Errorf("%d requests had to be sent again, and there were %d logins", n, l.logins.Load())
	}
	stop()
	undisturbed(t, gateways)
}

// A compromise does not wait for what is missing besides: a Secret that the spec refers
// to, and a rollout that no node has room for, leave old pods running.
func TestKeysAreDroppedThoughASecretIsMissing(t *testing.T) {
	c := connect(t, two)
	gateways := gatewayPods(t, two)
	secret := kubectl(t, "get", "secret", "weather-oidc", "-n", two.Namespace, "-o", "json")
	kubectl(t, "delete", "secret", "weather-oidc", "-n", two.Namespace)
	becomes(t, two, "UpstreamReady", "False", "SecretMissing")
	must(t, call(t.Context(), c)) // which nobody minds who is logged in

	events := func() int {
		return strings.Count(kubectl(t, "get", "events", "-n", two.Namespace, "-o", "jsonpath={range .items[*]}{.reason} {end}"), "KeysDropped")
	}
	before, dropped := events(), time.Now()
	kubectl(t, "vestibule", "rotate-keys", "weather", "-n", two.Namespace, "--compromised")
	var newest uint8
	eventually(t, "the keys are dropped", func() bool {
		set := readKeys(t)
		newest = set.Newest().ID
		return len(set.Keys) == 1 && set.Newest().NotBefore.After(dropped.Add(-time.Minute)) && keyOf(t, c.Token.AccessToken) != set.Newest().ID
	})
	becomes(t, two, "OAuthKVBound", "False", "KeyDropPending")
	if events() > before {
		t.Error("the event comes before the gateways have followed")
	}
	within(t, delivered, "all gateways have dropped the keys", func() bool {
		_, reason, _ := condition(t, two, "OAuthKVBound")
		return reason == "Bound"
	})
	t.Logf("all have followed after %.0f s", time.Since(dropped).Seconds())
	if !keysReplaced(t, newest, 1) {
		t.Error("a gateway has not said so")
	}
	if status, err := c.Status(t.Context()); err != nil || status != http.StatusUnauthorized {
		t.Errorf("a token of before gets %d, %v", status, err)
	}
	eventually(t, "there is an event", func() bool { return events() > before })
	if now := gatewayPods(t, two); !slices.Equal(now, gateways) {
		t.Errorf("the gateways are %v, and were %v", now, gateways)
	}
	// A pod that starts meanwhile is not kept from it.
	kubectl(t, "delete", "-n", two.Namespace, gateways[0])
	gatewayPods(t, two)

	var again map[string]any
	must(t, json.Unmarshal([]byte(secret), &again))
	for _, member := range []string{"resourceVersion", "uid"} {
		delete(again["metadata"].(map[string]any), member)
	}
	data, err := json.Marshal(again)
	must(t, err)
	file := filepath.Join(t.TempDir(), "secret.json")
	must(t, os.WriteFile(file, data, 0o600))
	kubectl(t, "create", "-f", file)
	becomes(t, two, "Ready", "True", "")
	must(t, connect(t, two).Forecast(t.Context()))
}

// useUntilItEnds sends a client's token again and again. It may be refused before
// gone is closed, and must be from then on, and so must its client.
func useUntilItEnds(t *testing.T, c *mcpclient.Client, gone, end <-chan struct{}) {
	answers := map[int]int{}
	defer func() { t.Logf("answers by status: %v", answers) }()
	for over := false; ; time.Sleep(20 * time.Millisecond) {
		select {
		case <-gone:
			over = true
		case <-end:
			if !over {
				return // something else has failed
			}
			if err := c.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "invalid_client") {
				t.Errorf("the client of before is told %v", err)
			}
			return
		default:
		}
		status, err := c.Status(t.Context())
		if t.Context().Err() != nil {
			return
		}
		answers[status]++
		if err != nil || status != http.StatusUnauthorized && (over || status != http.StatusOK) {
			t.Errorf("a token of before gets %d, %v (are its keys dropped everywhere? %v)", status, err, over)
			return
		}
	}
}

// keysReplaced says whether every gateway has said, so many times, that its newest
// key is this one.
func keysReplaced(t *testing.T, newest uint8, times int) bool {
	t.Helper()
	for _, pod := range gatewayPods(t, two) {
		said := 0
		for line := range strings.Lines(kubectl(t, "logs", "-n", two.Namespace, pod)) {
			if strings.Contains(line, `"msg":"the keys were replaced"`) && strings.Contains(line, fmt.Sprintf(`"newest":%d,`, newest)) {
				said++
			}
		}
		if said < times {
			return false
		}
	}
	return true
}

// undisturbed insists that the gateways are those of before, could read all that
// they met, and are Ready.
func undisturbed(t *testing.T, before []string) {
	t.Helper()
	if now := gatewayPods(t, two); !slices.Equal(now, before) {
		t.Errorf("the gateways are %v, and were %v", now, before)
	}
	restarts := kubectl(t, "get", "pods", "-n", two.Namespace, "-l", "app.kubernetes.io/name=vestibule-gateway",
		"-o", "jsonpath={.items[*].status.containerStatuses[*].restartCount}")
	if restarts != "0 0" {
		t.Errorf("the gateways were restarted: %s", restarts)
	}
	for _, pod := range before {
		if strings.Contains(kubectl(t, "logs", "-n", two.Namespace, pod), "a record does not open") {
			t.Errorf("%s could not read a record", pod)
		}
	}
	becomes(t, two, "Ready", "True", "")
}

// happens waits for an event, where the plug-in says to look for it.
func happens(t *testing.T, reason string) {
	t.Helper()
	eventually(t, "there is an event "+reason, func() bool {
		return strings.Contains(kubectl(t, "events", "-n", two.Namespace, "--for", "mcpserver/weather"), reason)
	})
}

func readKeys(t *testing.T) *config.KeySet {
	t.Helper()
	encoded := kubectl(t, "get", "secret", keySecret, "-n", two.Namespace, "-o", `jsonpath={.data.keyset\.json}`)
	document, err := base64.StdEncoding.DecodeString(encoded)
	must(t, err)
	set, err := config.ParseKeySet(document)
	must(t, err)
	return set
}

func writeKeys(t *testing.T, set *config.KeySet) {
	t.Helper()
	document, err := set.Marshal()
	must(t, err)
	patch, err := json.Marshal(map[string]any{"data": map[string][]byte{"keyset.json": document}})
	must(t, err)
	kubectl(t, "patch", "secret", keySecret, "-n", two.Namespace, "--type=merge", "-p", string(patch))
}

// keyOf is the id of the key that a token is under: its second byte says so.
func keyOf(t *testing.T, token string) uint8 {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(token[len("vst_at_"):])
	must(t, err)
	return raw[1]
}

// recordNames are the names under which records are kept.
func recordNames(t *testing.T) []string {
	t.Helper()
	names := strings.Fields(kubectl(t, "get", "secrets", "-n", two.Namespace, "-l", shardLabels,
		"-o", "go-template={{range .items}}{{range $name, $_ := .data}}{{$name}} {{end}}{{end}}"))
	// Each shard has a name of its own that is no record's.
	return slices.DeleteFunc(names, func(name string) bool { return name == "_shard" })
}
