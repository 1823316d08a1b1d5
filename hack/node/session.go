package node

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"vestibule.dev/vestibule/hack/child"
)

// Session is a run of hack/clients/typescript/session.mjs, which says what it does.
type Session struct{ *child.Process }

// Did is what a client did so far that stays connected.
type Did struct {
	Calls, Progress, Sessions int
	// Again counts why requests were sent again.
	Again map[string]int
}

// StartSession connects a client to the MCP server at url, until the test ends. sdk and
// era are the program's.
func StartSession(t *testing.T, url, token, sdk, era string) Session {
	t.Helper()
	cmd := Command(t, "clients/typescript", "session.mjs", sdk, era, url)
	cmd.Env = append(os.Environ(), "VESTIBULE_TOKEN="+token)
	return Session{child.Start(t, cmd)}
}

// Did is what the program has last said that it did; nothing, if it has said nothing yet.
func (s Session) Did(t *testing.T) (d Did) {
	t.Helper()
	lines := strings.Split(s.Stdout.String(), "\n") // the last of which may not be whole
	if len(lines) < 2 {
		return d
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-2]), &d); err != nil {
		t.Fatalf("%v%s", err, s.Process)
	}
	return d
}
