package main

import (
	"context"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"golang.org/x/oauth2"
)

// goClient is the Go SDK's MCP client, with its own OAuth code, and a person
// who follows the links.
type goClient struct {
	revision string
	session  *mcp.ClientSession

	// What the SDK's handler works with, as it hands them to NewTokenSource.
	config *oauth2.Config
	token  *oauth2.Token
}

const redirectURL = "http://127.0.0.1:41753/callback"

// newGoClient returns a client that speaks a revision of MCP, or, if it is
// empty, whatever the SDK chooses.
func newGoClient(t *testing.T, revision string) *goClient {
	t.Helper()
	return &goClient{revision: revision}
}

// connect goes from the URL to a connection: discovery, registration, consent,
// login, code, token, and the first request.
func (c *goClient) connect(t *testing.T, l *local, user string) {
	t.Helper()
	person := newPerson(t, user, l.passwords[user])
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName: "Go SDK", RedirectURIs: []string{redirectURL},
			GrantTypes: []string{"authorization_code", "refresh_token"}, TokenEndpointAuthMethod: "none",
		}},
		RequestRefreshToken: true,
		AuthorizationCodeFetcher: func(_ context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			answer, err := person.login(args.URL)
			if err != nil {
				return nil, err
			}
			return &auth.AuthorizationResult{Code: answer.Get("code"), State: answer.Get("state"), Iss: answer.Get("iss")}, nil
		},
		NewTokenSource: func(ctx context.Context, config *oauth2.Config, token *oauth2.Token) (oauth2.TokenSource, error) {
			c.config, c.token = config, token
			return config.TokenSource(ctx, token), nil
		},
		// A client that dials by itself is allowed to reach loopback.
		Client: &http.Client{Transport: &http.Transport{DialContext: new(net.Dialer).DialContext}},
	})
	if err != nil {
		t.Fatal(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	c.session, err = client.Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: l.endpoint, OAuthHandler: handler, MaxRetries: -1},
		&mcp.ClientSessionOptions{ProtocolVersion: c.revision})
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(func() { _ = c.session.Close() }) // its server may have ended
	if got := c.session.InitializeResult().ProtocolVersion; c.revision != "" && got != c.revision {
		t.Errorf("the connection speaks %s, not %s: does the gateway hide what the backend says?", got, c.revision)
	}
}

// forecast lists the tools and calls one.
func (c *goClient) forecast(t *testing.T) {
	t.Helper()
	tools, err := c.session.ListTools(t.Context(), nil)
	if err != nil || len(tools.Tools) == 0 {
		t.Fatalf("listing tools: %v %v", tools, err)
	}
	result, err := c.session.CallTool(t.Context(), &mcp.CallToolParams{Name: "get_forecast", Arguments: map[string]any{"city": "Utrecht"}})
	if err != nil || result.IsError || len(result.Content) == 0 {
		t.Fatalf("calling a tool: %v %v", result, err)
	}
}

// refresh uses the refresh token as the SDK does when the access token ends.
func (c *goClient) refresh(t *testing.T) {
	t.Helper()
	token, err := c.config.TokenSource(t.Context(), &oauth2.Token{RefreshToken: c.token.RefreshToken}).Token()
	if err != nil {
		t.Fatalf("refreshing: %v", err)
	}
	if token.AccessToken == c.token.AccessToken || token.RefreshToken == c.token.RefreshToken {
		t.Error("the refresh rotates nothing")
	}
	c.token = token
}

// revoke ends the grant, and status says what an access token still gets.
func (c *goClient) revoke(t *testing.T) {
	t.Helper()
	endpoint := strings.TrimSuffix(c.config.Endpoint.TokenURL, "/token") + "/revoke"
	resp, err := http.PostForm(endpoint, url.Values{"client_id": {c.config.ClientID}, "token": {c.token.RefreshToken}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("revocation answers %s", resp.Status)
	}
}

func (c *goClient) status(t *testing.T, l *local) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.endpoint, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token.AccessToken)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// person has a browser: they allow what is asked, and log in.
type person struct {
	user, password string
	browser        *http.Client
}

func newPerson(t *testing.T, user, password string) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{user, password, &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), redirectURL) {
			return http.ErrUseLastResponse // the client takes over
		}
		return nil
	}}}
}

var (
	formTag  = regexp.MustCompile(`(?s)<form[^>]*action="([^"]*)"`)
	inputTag = regexp.MustCompile(`<input[^>]*type="hidden"[^>]*name="([^"]*)"[^>]*value="([^"]*)"`)
)

// login follows the URL to the client's redirect URI, and returns what it gets.
func (p *person) login(authorizationURL string) (url.Values, error) {
	resp, err := p.browser.Get(authorizationURL)
	for _, answers := range []url.Values{{"decision": {"approve"}}, {"username": {p.user}, "password": {p.password}}} {
		if err != nil {
			return nil, err
		}
		if resp, err = p.submit(resp, answers); err == nil && resp.StatusCode/100 == 3 {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	arrived, err := resp.Location()
	if err != nil {
		return nil, fmt.Errorf("the login ends with %s at %s", resp.Status, resp.Request.URL.Path)
	}
	return arrived.Query(), nil
}

// submit sends the page's form.
func (p *person) submit(page *http.Response, answers url.Values) (*http.Response, error) {
	defer page.Body.Close()
	body, err := io.ReadAll(page.Body)
	if err != nil {
		return nil, err
	}
	form := formTag.FindSubmatch(body)
	if form == nil {
		return nil, fmt.Errorf("%s shows no form: %s", page.Request.URL.Path, body)
	}
	for _, input := range inputTag.FindAllSubmatch(body, -1) {
		answers.Set(string(input[1]), html.UnescapeString(string(input[2])))
	}
	target, err := page.Request.URL.Parse(html.UnescapeString(string(form[1])))
	if err != nil {
		return nil, err
	}
	return p.browser.PostForm(target.String(), answers)
}
