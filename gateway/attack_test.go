package gateway_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// The attacks: the known ways to break in, each tried over HTTP from outside.
// They are the tests TestAttack... in the files attack_*_test.go, one file for
// each thing that is attacked. A test says what the attacker gets, and that those
// who were attacked, and the server, still work afterwards.
//
// docs/security.md names the test of each threat.

// unharmed insists that a victim's tokens still call the backend and refresh, and
// returns the next ones.
func unharmed(t *testing.T, client *gatewaytest.Client, tokens gatewaytest.Tokens) gatewaytest.Tokens {
	t.Helper()
	if a := client.Call(t, tokens.Access); a.Status != http.StatusOK {
		t.Errorf("the victim's token gets %d: %s", a.Status, a.Body)
	}
	return client.Refresh(t, tokens.Refresh)
}

// dead insists that tokens are of no use any more.
func dead(t *testing.T, client *gatewaytest.Client, tokens gatewaytest.Tokens) {
	t.Helper()
	client.Call(t, tokens.Access).Fails(t, http.StatusUnauthorized, "invalid_token")
	client.Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
}

// raw sends bytes as they are to the first replica, and returns all that comes
// back until the server ends the connection.
func raw(t *testing.T, gw *gatewaytest.Server, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", gw.Addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil && len(answer) == 0 {
		t.Fatalf("no answer: %v", err)
	}
	return string(answer)
}

// statuses are those of the answers in what a connection said.
func statuses(answer string) []string {
	var all []string
	for _, part := range strings.Split(answer, "HTTP/1.1 ")[1:] {
		all = append(all, part[:3])
	}
	return all
}
