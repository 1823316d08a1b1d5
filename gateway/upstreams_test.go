package gateway_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

var backLink = regexp.MustCompile(`<a href="([^"]*)">Back to the application</a>`)

// isDenied insists on the page for those who have no access, and returns it with
// what its link back brings to the client.
func isDenied(t *testing.T, a gatewaytest.Answer, request gatewaytest.AuthorizationRequest, issuer string) url.Values {
	t.Helper()
	isPage(t, a, http.StatusForbidden, "You have no access")
	link := backLink.FindStringSubmatch(a.Body)
	if link == nil {
		t.Fatalf("there is no way back:\n%s", a.Body)
	}
	u, err := url.Parse(html.UnescapeString(link[1]))
	if err != nil || !strings.HasPrefix(u.String(), gatewaytest.RedirectURI+"?") {
		t.Fatalf("the way back is %s: %v", link[1], err)
	}
	q := u.Query()
	if q.Get("error") != "access_denied" || q.Get("iss") != issuer || q.Get("state") != request.Get("state") || q.Has("code") {
		t.Errorf("the client is told %v", q)
	}
	return q
}

// several is a server of two replicas with three upstreams.
type several struct {
	*gatewaytest.Server
	other  *gatewaytest.IdP
	github *gatewaytest.GitHub
}

func newSeveral(t *testing.T, configure func(*config.Config)) *several {
	t.Helper()
	secrets := gatewaytest.NewSecrets(t)
	s := &several{other: gatewaytest.NewIdP(t, secrets), github: gatewaytest.NewGitHub(t, secrets)}
	s.Server = gatewaytest.New(t, gatewaytest.Setup{Replicas: 2, Configure: func(c *config.Config) {
		c.Upstreams[0].DisplayName = "Example <Corp>"
		c.Upstreams = append(c.Upstreams, s.other.Upstream(t, "other"), s.github.Upstream(t, "github", "user:email", "read:org"))
		if configure != nil {
			configure(c)
		}
	}})
	return s
}

// begin goes as far as an upstream: a browser on the way back from its login.
func (s *several) begin(t *testing.T, client *gatewaytest.Client, upstream string) (*gatewaytest.Browser, gatewaytest.AuthorizationRequest, *url.URL) {
	t.Helper()
	b, request := client.Browser(t), client.AuthorizationRequest()
	login := b.Press(t, b.Get(t, client.AuthorizeURL(request)), "approve:"+upstream)
	return b, request, b.Get(t, login.Location(t).String()).Location(t)
}

// login goes the whole way, and returns the tokens.
func (s *several) login(t *testing.T, client *gatewaytest.Client, upstream string) gatewaytest.Tokens {
	t.Helper()
	b, request, back := s.begin(t, client, upstream)
	q := redirectsWith(t, b.Get(t, back.String()), request, s.URL, "")
	return client.Redeem(t, gatewaytest.Code{Code: q.Get("code"), Verifier: request.Verifier})
}

func TestUsersChooseWhereToLogIn(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, nil)
	client := s.Register(t, nil)
	page := client.Browser(t).Get(t, s.AuthorizeURL(client.AuthorizationRequest()))
	for _, want := range []string{"Continue with Example &lt;Corp&gt;</button>", "Continue with other</button>", "Continue with github</button>"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page does not say %q:\n%s", want, page.Body)
		}
	}
	for _, upstream := range []string{"corp", "other", "github"} {
		tokens := s.login(t, client, upstream)
		if a := client.On(1).Call(t, tokens.Access); a.Status != http.StatusOK {
			t.Errorf("%s: a call with its token gets %d", upstream, a.Status)
		}
		client.On(1).Refresh(t, tokens.Refresh)
	}
	for _, decision := range []string{"approve", "approve:", "approve:unknown", "approve:corp:other", "APPROVE:corp"} {
		b := client.Browser(t)
		a := b.Press(t, b.Get(t, s.AuthorizeURL(client.AuthorizationRequest())), decision)
		isPage(t, a, http.StatusBadRequest, "This page is no longer good")
	}
}

func TestDeniedUsersLearnWhomToAsk(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, func(c *config.Config) {
		c.AccessRules = []config.AccessRule{{Name: "corp", Expression: `upstream == "corp" && claims.name != "<b>mallory</b>"`}}
		c.AccessContact = "it@example.com, <room 1>"
	})
	client := s.Register(t, nil)
	s.login(t, client, "corp")
	b, request, back := s.begin(t, client, "other") // another upstream, the same claims
	a := b.Get(t, back.String())
	isDenied(t, a, request, s.URL)
	for _, want := range []string{"<strong>alice@example.com</strong> at other", "it@example.com, &lt;room 1&gt;"} {
		if !strings.Contains(a.Body, want) {
			t.Errorf("the page does not say %q:\n%s", want, a.Body)
		}
	}
	s.IdP.LoginAs("mallory", map[string]any{"name": "<b>mallory</b>", "email": nil})
	b, request, back = s.begin(t, client, "corp")
	a = b.Get(t, back.String())
	isDenied(t, a, request, s.URL)
	if strings.Contains(a.Body, "<b>") || !strings.Contains(a.Body, "&lt;b&gt;mallory&lt;/b&gt;</strong> at Example &lt;Corp&gt;") {
		t.Errorf("the page is %s", a.Body)
	}
	if !strings.Contains(s.Secrets.Written(), `"msg":"grant denied"`) {
		t.Error("the audit log does not speak of it")
	}
}

func TestScopesByRule(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, func(c *config.Config) {
		c.Scopes = []config.Scope{{Name: "read"}, {Name: "write", Allow: `"ops" in claims.groups`}, {Name: "admin", Allow: `upstream == "other"`}}
	})
	client := s.Register(t, nil)
	ask := func(t *testing.T, scope string) (*gatewaytest.Browser, gatewaytest.AuthorizationRequest, string) {
		b, request := client.Browser(t), client.AuthorizationRequest()
		request.Set("scope", scope)
		login := b.Press(t, b.Get(t, client.AuthorizeURL(request)), "approve:corp")
		return b, request, b.Get(t, login.Location(t).String()).Location(t).String()
	}
	for _, row := range []struct {
		name, scope, groups, granted string
	}{
		{"of the group", "read write", "ops", "read write"},
		{"of another group", "read write", "dev", "read"},
		{"at another upstream only", "read admin offline_access", "ops", "read offline_access"},
		{"none is left", "write admin", "dev", ""},
		{"none but offline_access is left", "write offline_access", "dev", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			s.IdP.LoginAs("alice", map[string]any{"groups": []string{row.groups}})
			b, request, back := ask(t, row.scope)
			if row.granted == "" {
				isDenied(t, b.Get(t, back), request, s.URL)
				return
			}
			q := redirectsWith(t, b.Get(t, back), request, s.URL, "")
			tokens := client.Redeem(t, gatewaytest.Code{Code: q.Get("code"), Verifier: request.Verifier})
			refreshed := client.Refresh(t, tokens.Refresh)
			if tokens.Scope != row.granted || refreshed.Scope != row.granted {
				t.Errorf("granted is %q, and after a refresh %q", tokens.Scope, refreshed.Scope)
			}
		})
	}
}
