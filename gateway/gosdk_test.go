package gateway_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"

	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// The Go SDK's own client names itself by a URL, if it is told one and the server
// says that it takes it. At the token endpoint it first tries Basic with an empty
// secret.
func TestTheGoSDKNamesItselfByAURL(t *testing.T) {
	t.Parallel()
	server := mcp.NewServer(&mcp.Implementation{Name: "backend", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "hello"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "hello"}}}, nil, nil
	})
	p := gatewaytest.NewPublisher(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{
		Configure: p.Allow,
		Backend: mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server },
			&mcp.StreamableHTTPOptions{Stateless: true}),
	})
	c := gw.ClientAt(p.Document(t, "/client.json", nil))
	var config *oauth2.Config
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		ClientIDMetadataDocumentConfig: &auth.ClientIDMetadataDocumentConfig{URL: c.ID},
		RedirectURL:                    gatewaytest.RedirectURI,
		RequestRefreshToken:            true,
		AuthorizationCodeFetcher: func(_ context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			b := c.Browser(t)
			_, arrived := b.Follow(t, b.Press(t, b.Get(t, args.URL), "approve"))
			return &auth.AuthorizationResult{Code: arrived.Get("code"), State: arrived.Get("state"), Iss: arrived.Get("iss")}, nil
		},
		NewTokenSource: func(ctx context.Context, c *oauth2.Config, token *oauth2.Token) (oauth2.TokenSource, error) {
			config = c
			return c.TokenSource(ctx, token), nil
		},
		Client: gw.HTTP(0),
	})
	if err != nil {
		t.Fatal(err)
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, nil).Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: gw.URL + "/mcp", HTTPClient: gw.HTTP(0), OAuthHandler: handler, MaxRetries: -1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = session.Close() }()
	if result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "hello"}); err != nil || result.IsError {
		t.Errorf("%+v, %v", result, err)
	}
	if config == nil || config.ClientID != c.ID || p.Asked("/client.json") != 1 {
		t.Errorf("it did not name itself by its URL, which was read %d times", p.Asked("/client.json"))
	}
}
