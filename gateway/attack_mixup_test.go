package gateway_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// A code that one upstream gave is never brought to another, whoever sends the
// browser where (RFC 9700 section 4.4).
func TestAttackMixUp(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, nil)
	client := s.Register(t, nil)
	t.Run("one's answer at the other's callback", func(t *testing.T) {
		b, _, back := s.begin(t, client, "corp")
		back.Path = strings.Replace(back.Path, "/callback/corp", "/callback/other", 1)
		isPage(t, b.Get(t, back.String()), http.StatusBadRequest, lost)
		if s.IdP.Exchanges() != 0 || s.other.Exchanges() != 0 {
			t.Error("the code was brought somewhere")
		}
	})
	t.Run("one's code with the other's state", func(t *testing.T) {
		b, _, back := s.begin(t, client, "corp")
		login := b.Press(t, b.Get(t, client.AuthorizeURL(client.AuthorizationRequest())), "approve:other")
		q := back.Query()
		q.Set("state", login.Location(t).Query().Get("state"))
		back.RawQuery = q.Encode()
		isPage(t, b.Get(t, back.String()), http.StatusBadRequest, lost)
		// And where the path fits to the state, iss does not.
		login = b.Press(t, b.Get(t, client.AuthorizeURL(client.AuthorizationRequest())), "approve:other")
		q.Set("state", login.Location(t).Query().Get("state"))
		back.RawQuery, back.Path = q.Encode(), strings.Replace(back.Path, "/callback/corp", "/callback/other", 1)
		if a := b.Get(t, back.String()); a.Location(t).Query().Get("error") != "server_error" {
			t.Errorf("the answer is %d %v", a.Status, a.Header)
		}
		if s.IdP.Exchanges() != 0 || s.other.Exchanges() != 0 {
			t.Error("the code was brought somewhere")
		}
	})
}

func TestAttackHiddenIssuer(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, nil)
	client := s.Register(t, nil)
	s.other.BreakRedirect(func(q url.Values) { q.Del("iss") })
	s.login(t, client, "other") // which never said that it would send one
	t.Run("that it announced", func(t *testing.T) {
		s := newSeveral(t, nil)
		client := s.Register(t, nil)
		s.other.BreakDocument(func(d map[string]any) { d["authorization_response_iss_parameter_supported"] = true })
		s.login(t, client, "other")
		exchanges := s.other.Exchanges()
		s.other.BreakRedirect(func(q url.Values) { q.Del("iss") })
		b, request, back := s.begin(t, client, "other")
		redirectsWith(t, b.Get(t, back.String()), request, s.URL, "server_error")
		if s.other.Exchanges() != exchanges {
			t.Error("the code was brought to the provider")
		}
	})
}

// A person is issuer and subject: what else is alike makes no difference.
func TestAttackEqualSubjects(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, nil)
	client := s.Register(t, nil)
	s.IdP.LoginAs("alice", map[string]any{"sub": "583231", "email": "octocat@example.com"})
	s.other.LoginAs("alice", map[string]any{"sub": "583231", "email": "octocat@example.com"})
	first := s.login(t, client, "corp")
	s.Backend.Respond(startsSessions)
	session := call(t, s.Server, "POST", "/mcp", first.Access, nil).Header.Get(sessionID)
	if second := s.login(t, client, "other"); session != "" {
		isGatewayError(t, call(t, s.Server, "POST", "/mcp", second.Access, http.Header{sessionID: {session}}), http.StatusNotFound)
	} else {
		t.Error("there is no session")
	}
	for range 20 { // as many as one user may have
		s.login(t, client, "other")
		s.login(t, client, "github")
	}
	if a := client.Call(t, first.Access); a.Status != http.StatusOK {
		t.Errorf("somebody else's logins ended the grant: %d", a.Status)
	}
	s.login(t, client, "corp")
}

func TestAttackRemovedUpstream(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, nil)
	client := s.Register(t, nil)
	kept, lost := s.login(t, client, "corp"), s.login(t, client, "other")
	b, _, back := s.begin(t, client, "other")
	after := s.Join(t, func(c *config.Config) { c.Upstreams = c.Upstreams[:1] })
	client = client.On(after)
	if a := client.Call(t, kept.Access); a.Status != http.StatusOK {
		t.Errorf("a token of the upstream that is left gets %d", a.Status)
	}
	if a := client.Call(t, lost.Access); a.Status != http.StatusUnauthorized {
		t.Errorf("a token of the upstream that is gone gets %d", a.Status)
	}
	client.Token(t, gatewaytest.RefreshParams(lost.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
	b.HTTP.Transport = s.HTTP(after).Transport
	isPage(t, b.Get(t, back.String()), http.StatusBadRequest, "This login is not known here")
}
