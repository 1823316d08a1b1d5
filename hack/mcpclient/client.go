// Package mcpclient is a public MCP client, the Go SDK's with its own OAuth code,
// and a person at a browser who allows what it asks and logs in. Tests and the
// demo go the whole way with it, from a URL to a tool's answer.
package mcpclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"golang.org/x/oauth2"
)

// RedirectURL is the client's redirect URI. Nobody listens there: the person's
// browser stops before it.
const RedirectURL = "http://127.0.0.1:9/callback"

// Client is one connection, or on its way to be.
type Client struct {
	// Endpoint is the MCP server's URL.
	Endpoint string
	// Revision of MCP to speak; empty, the SDK chooses.
	Revision string
	// HTTP is what everything but the browser is sent with.
	HTTP *http.Client
	// Person sits at the browser.
	Person *Person
	// Step, when set, hears of each step that has been taken.
	Step func(step string)

	// Session is the connection.
	Session *mcp.ClientSession
	oauth   auth.OAuthHandler
	// Config and Token are what the SDK's OAuth code works with.
	Config *oauth2.Config
	Token  *oauth2.Token
}

// NewHTTP returns an HTTP client that trusts roots, or the system's if they are
// nil, and that finds every name below localhost on this machine, as browsers do.
func NewHTTP(roots *x509.CertPool) *http.Client {
	dialer := &net.Dialer{}
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(addr)
			if err == nil && strings.HasSuffix(host, ".localhost") {
				addr = net.JoinHostPort("127.0.0.1", port)
			}
			return dialer.DialContext(ctx, network, addr)
		},
	}}
}

func (c *Client) took(step string) {
	if c.Step != nil {
		c.Step(step)
	}
}

// Connect goes from the URL to a connection: the challenge, discovery,
// registration, consent, login, code, token, and the first request.
func (c *Client) Connect(ctx context.Context) error {
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName: "Go SDK", RedirectURIs: []string{RedirectURL},
			GrantTypes: []string{"authorization_code", "refresh_token"}, TokenEndpointAuthMethod: "none",
		}},
		RequestRefreshToken: true,
		AuthorizationCodeFetcher: func(_ context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			c.took("the server asks for a token; discovered the authorization server, registered a client")
			answer, err := c.Person.Login(args.URL)
			if err != nil {
				return nil, err
			}
			if code := answer.Get("error"); code != "" {
				return nil, fmt.Errorf("the client is told %s: %s", code, answer.Get("error_description"))
			}
			c.took("allowed it, logged in as " + c.Person.Name + ", and came back with a code")
			return &auth.AuthorizationResult{Code: answer.Get("code"), State: answer.Get("state"), Iss: answer.Get("iss")}, nil
		},
		NewTokenSource: func(ctx context.Context, config *oauth2.Config, token *oauth2.Token) (oauth2.TokenSource, error) {
			c.took("exchanged the code for tokens")
			c.Config, c.Token = config, token
			return config.TokenSource(ctx, token), nil
		},
		Client: c.HTTP,
	})
	if err != nil {
		return err
	}
	c.oauth = handler
	return c.begin(ctx, -1)
}

// Begin begins a session with the tokens that Connect got, in place of the one there
// was, which it does not end. A stream that breaks is opened again.
func (c *Client) Begin(ctx context.Context) error { return c.begin(ctx, 5) }

func (c *Client) begin(ctx context.Context, retries int) (err error) {
	client := mcp.NewClient(&mcp.Implementation{Name: "mcpclient", Version: "1"}, nil)
	c.Session, err = client.Connect(ctx,
		&mcp.StreamableClientTransport{Endpoint: c.Endpoint, HTTPClient: c.HTTP, OAuthHandler: c.oauth, MaxRetries: retries},
		&mcp.ClientSessionOptions{ProtocolVersion: c.Revision})
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", c.Endpoint, err)
	}
	got := c.Session.InitializeResult()
	c.took(fmt.Sprintf("connected to the MCP server %s, revision %s", got.ServerInfo.Name, got.ProtocolVersion))
	if c.Revision != "" && got.ProtocolVersion != c.Revision {
		return fmt.Errorf("the connection speaks %s, not %s", got.ProtocolVersion, c.Revision)
	}
	return nil
}

// Forecast lists the tools of the weather server, and calls one.
func (c *Client) Forecast(ctx context.Context) error {
	tools, err := c.Session.ListTools(ctx, nil)
	if err != nil {
		return fmt.Errorf("listing tools: %w", err)
	}
	c.took(fmt.Sprintf("listed %d tools", len(tools.Tools)))
	result, err := c.Session.CallTool(ctx, &mcp.CallToolParams{Name: "get_forecast", Arguments: map[string]any{"city": "Utrecht"}})
	if err != nil {
		return fmt.Errorf("calling a tool: %w", err)
	}
	if result.IsError || len(result.Content) == 0 {
		return errors.New("the tool answers with an error, or not at all")
	}
	if text, ok := result.Content[0].(*mcp.TextContent); ok {
		c.took("called get_forecast: " + text.Text)
	}
	return nil
}

// Refresh uses the refresh token as the SDK does when the access token ends.
func (c *Client) Refresh(ctx context.Context) error {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, c.HTTP)
	token, err := c.Config.TokenSource(ctx, &oauth2.Token{RefreshToken: c.Token.RefreshToken}).Token()
	if err != nil {
		return fmt.Errorf("refreshing: %w", err)
	}
	if token.AccessToken == c.Token.AccessToken || token.RefreshToken == c.Token.RefreshToken {
		return errors.New("the refresh rotates nothing")
	}
	c.Token = token
	c.took("refreshed the tokens")
	return nil
}

// Authorize goes through consent and login again, with the registration that there
// is, and takes the new tokens.
func (c *Client) Authorize(ctx context.Context) error {
	verifier, resource := oauth2.GenerateVerifier(), oauth2.SetAuthURLParam("resource", c.Endpoint)
	answer, err := c.Person.Login(c.Config.AuthCodeURL("again", oauth2.S256ChallengeOption(verifier), resource))
	if err != nil {
		return err
	}
	if answer.Get("error") != "" {
		return fmt.Errorf("the client is told %s: %s", answer.Get("error"), answer.Get("error_description"))
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, c.HTTP)
	token, err := c.Config.Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(verifier), resource)
	if err != nil {
		return fmt.Errorf("redeeming the code: %w", err)
	}
	c.Token = token
	c.took("logged in again")
	return nil
}

// Revoke ends the grant.
func (c *Client) Revoke(ctx context.Context) error {
	endpoint := strings.TrimSuffix(c.Config.Endpoint.TokenURL, "/token") + "/revoke"
	form := url.Values{"client_id": {c.Config.ClientID}, "token": {c.Token.RefreshToken}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return fmt.Errorf("revoking: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("revocation answers %s", resp.Status)
	}
	c.took("revoked the grant")
	return nil
}

// Status is what a request with the access token gets.
func (c *Client) Status(ctx context.Context) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Endpoint, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+c.Token.AccessToken)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, nil
}
