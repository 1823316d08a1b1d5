package weather

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	assertionHeader = "X-Vestibule-Assertion"
	assertionType   = "vestibule-identity+jwt"
	// leeway is how far the gateway's clock may be from ours.
	leeway = 30 * time.Second
	// keysFor is how long keys are believed: one that was dropped is refused after that.
	keysFor = 5 * time.Minute
	// keysAgain is how soon they are read again for a key that is not among them, which
	// anybody can name.
	keysAgain = 10 * time.Second
)

// Callers knows who calls, by the word of the gateway in front: the pattern for a
// server of one's own.
type Callers struct {
	// KeysURL is where the gateway publishes its keys.
	KeysURL string
	// Issuer is the gateway's public URL, and Audience what this server is called in its
	// MCPServer. What was signed by others, or for others, counts for nothing.
	Issuer, Audience string

	mu   sync.Mutex
	keys jose.JSONWebKeySet
	read time.Time
}

// caller is what an assertion says. A person is UpstreamIssuer and Subject together:
// two identity providers may have users of the same name.
type caller struct {
	Issuer         string `json:"iss"`
	Audience       string `json:"aud"`
	Expires        int64  `json:"exp"`
	IssuedAt       int64  `json:"iat"`
	Subject        string `json:"sub"`
	UpstreamIssuer string `json:"upstream_issuer"`
	ClientID       string `json:"client_id"`
	Scope          string `json:"scope"`
	Email          string `json:"email"`
}

// introduced lets through what the gateway has sent, as requests of their callers. The
// SDK does the rest: it looks at the expiry, gives tools the auth.TokenInfo, and keeps
// each session for its user.
func (c *Callers) introduced(next http.Handler) http.Handler {
	next = auth.RequireBearerToken(c.verify, &auth.RequireBearerTokenOptions{ClockSkew: leeway})(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+r.Header.Get(assertionHeader)) // where the SDK looks
		next.ServeHTTP(w, r)
	})
}

func (c *Callers) verify(ctx context.Context, assertion string, _ *http.Request) (*auth.TokenInfo, error) {
	invalid := func(why string) (*auth.TokenInfo, error) { return nil, fmt.Errorf("%w: %s", auth.ErrInvalidToken, why) }
	signed, err := jose.ParseSignedCompact(assertion, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return invalid("it is not signed with ES256")
	}
	head := signed.Signatures[0].Protected
	//rule:sample-type
	if head.ExtraHeaders[jose.HeaderType] != assertionType {
		return invalid("it is another kind of token")
	}
	key, err := c.key(ctx, head.KeyID)
	if err != nil {
		return nil, err // nothing is known about the caller
	}
	if key == nil {
		return invalid("its key is not the gateway's")
	}
	payload, err := signed.Verify(key)
	if err != nil {
		return invalid("its signature is wrong")
	}
	var who caller
	if err := json.Unmarshal(payload, &who); err != nil {
		return invalid("it does not say what it must")
	}
	now := time.Now()
	switch {
	case who.Issuer != c.Issuer:
		return invalid("it is another issuer's")
	//rule:sample-audience
	case who.Audience != c.Audience:
		return invalid("it is for another server")
	case now.Add(leeway).Before(time.Unix(who.IssuedAt, 0)):
		return invalid("it is from the future")
	case who.Subject == "" || who.UpstreamIssuer == "":
		return invalid("it names nobody")
	}
	return &auth.TokenInfo{
		UserID: who.UpstreamIssuer + " " + who.Subject, Scopes: strings.Fields(who.Scope), Expiration: time.Unix(who.Expires, 0),
		Extra: map[string]any{"caller": who},
	}, nil
}

// key returns the gateway's key of this id, or nil.
func (c *Callers) key(ctx context.Context, id string) (*jose.JSONWebKey, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	age := time.Since(c.read)
	if found := c.keys.Key(id); age < keysAgain || len(found) > 0 && age < keysFor {
		return first(found), nil
	}
	keys, err := fetchKeys(ctx, c.KeysURL)
	if err != nil {
		return nil, fmt.Errorf("reading the gateway's keys: %w", err)
	}
	c.keys, c.read = keys, time.Now()
	return first(keys.Key(id)), nil
}

func first(keys []jose.JSONWebKey) *jose.JSONWebKey {
	if len(keys) == 0 {
		return nil
	}
	return &keys[0]
}

func fetchKeys(ctx context.Context, url string) (keys jose.JSONWebKeySet, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return keys, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return keys, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return keys, fmt.Errorf("%s answers %d", url, resp.StatusCode)
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&keys)
	return keys, err
}

type whoAmI struct {
	User   string `json:"user" jsonschema:"the user's number at their identity provider"`
	At     string `json:"at" jsonschema:"the identity provider"`
	Email  string `json:"email,omitempty" jsonschema:"the user's mail address, if it is known"`
	Client string `json:"client" jsonschema:"the client that calls"`
}

// addWhoAmI adds a tool that says who its caller is.
func addWhoAmI(server *mcp.Server) {
	closedWorld := false
	mcp.AddTool(server, &mcp.Tool{
		Name:        "whoami",
		Title:       "Who am I?",
		Description: "Tells who calls, as the gateway has told the server.",
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true, OpenWorldHint: &closedWorld},
	}, func(_ context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, whoAmI, error) {
		who, ok := req.Extra.TokenInfo.Extra["caller"].(caller)
		if !ok {
			return nil, whoAmI{}, auth.ErrInvalidToken // never: introduced has let it through
		}
		w := whoAmI{User: who.Subject, At: who.UpstreamIssuer, Email: who.Email, Client: who.ClientID}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: w.User + " of " + w.At}}}, w, nil
	})
}
