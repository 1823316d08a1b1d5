package upstream_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/upstream"
)

// newWorldOf is a world whose provider behaves otherwise, and is configured so.
func newWorldOf(t *testing.T, configure func(c *config.Upstream, idp *gatewaytest.IdP)) *world {
	t.Helper()
	w := &world{idp: gatewaytest.NewIdP(t, gatewaytest.NewSecrets(t)), clock: &gatewaytest.Clock{}}
	c := w.idp.Upstream(t, "corp")
	w.secretFile = c.OIDC.ClientSecretFile
	configure(&c, w.idp)
	w.Upstream = upstream.New(c, redirectURI, w.clock.Now)
	return w
}

func TestGoogle(t *testing.T) {
	w := newWorldOf(t, func(c *config.Upstream, _ *gatewaytest.IdP) {
		c.RenewTokens = true
		c.OIDC.RequiredClaims = map[string][]string{"hd": {"example.com", "example.org"}}
		c.OIDC.AuthorizeParams = map[string]string{"access_type": "offline", "prompt": "consent", "hd": "*"}
	})
	target, err := w.AuthURL(t.Context(), "s", "n", "v")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(target)
	if q := u.Query(); err != nil || q.Get("access_type") != "offline" || q.Get("prompt") != "consent" || q.Get("hd") != "*" || q.Get("scope") != "openid email" {
		t.Errorf("the request is %v", target)
	}
	for _, row := range []struct {
		hd       any
		admitted bool
	}{
		{"example.com", true}, {"example.org", true}, {"evil.example", false}, {"EXAMPLE.COM", false}, {nil, false},
		{[]string{"example.com"}, false}, {true, false},
	} {
		w.idp.LoginAs("alice", map[string]any{"hd": row.hd})
		who, err := w.login(t)
		if (err == nil) != row.admitted || err != nil && !errors.Is(err, upstream.ErrNotAdmitted) || who == nil || who.Name != "alice@example.com" {
			t.Errorf("hd %v: %+v, %v", row.hd, who, err)
		}
		if err == nil && who.Tokens == nil {
			t.Error("there is no refresh token")
		}
	}
}

// The issuer of Entra's tokens names the tenant; the document for several has a
// place in it for that.
func TestEntra(t *testing.T) {
	tenants := []string{"11111111-2222-3333-4444-000000000001", "11111111-2222-3333-4444-000000000002"}
	w := newWorldOf(t, func(c *config.Upstream, idp *gatewaytest.IdP) {
		c.OIDC.IssuerURL, c.OIDC.DiscoveryURL = idp.URL+"/{tenantid}/v2.0", idp.URL+"/.well-known/openid-configuration"
		for _, tenant := range tenants {
			c.OIDC.Issuers = append(c.OIDC.Issuers, idp.URL+"/"+tenant+"/v2.0")
		}
		c.OIDC.EmailProof, c.OIDC.IDTokenOnly = "xms_edov", true
		idp.BreakDocument(func(d map[string]any) { d["issuer"] = idp.URL + "/{tenantid}/v2.0" })
		idp.BreakRedirect(func(q url.Values) { q.Del("iss") })
		idp.UserInfo(func(map[string]any) map[string]any { return map[string]any{"sub": "nobody should ask"} })
	})
	login := func(tenant string, claims map[string]any) (*upstream.Identity, error) {
		w.idp.BreakClaims(func(c map[string]any) { c["iss"], c["tid"] = w.idp.URL+"/"+tenant+"/v2.0", tenant })
		w.idp.LoginAs("alice", claims)
		return w.login(t)
	}
	for _, row := range []struct {
		proof any
		email any
	}{
		{true, "alice@example.com"}, {"1", "alice@example.com"}, {"true", "alice@example.com"}, {1, "alice@example.com"},
		{nil, nil}, {false, nil}, {"0", nil}, {0, nil}, {"yes", nil},
	} {
		// email_verified is not Entra's: whoever may map claims could make it up.
		who, err := login(tenants[1], map[string]any{"xms_edov": row.proof, "upn": "boss@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		verified := who.Claims["email_verified"]
		if who.Claims["email"] != row.email || (verified == true) != (row.email != nil) || !w.Serves(who.Issuer) {
			t.Errorf("xms_edov %v: %v", row.proof, who.Claims)
		}
	}
	if who, err := login("11111111-2222-3333-4444-000000000003", nil); !errors.Is(err, upstream.ErrNotAdmitted) || who == nil {
		t.Errorf("another tenant: %v, %v", who, err)
	}
	if _, err := login("{tenantid}", nil); !errors.Is(err, upstream.ErrNotAdmitted) {
		t.Errorf("no tenant at all: %v", err)
	}
	who, err := login(tenants[0], map[string]any{
		"groups": []string{"stale"}, "_claim_names": map[string]any{"groups": "src1"}, "_claim_sources": map[string]any{"src1": map[string]any{}},
	})
	if err != nil || who.Claims["groups"] != nil || who.Claims["_claim_names"] != nil {
		t.Errorf("too many groups: %v, %v", who, err)
	}
	if w.Serves(w.Issuer()) || w.Serves(w.idp.URL) {
		t.Error("it serves the issuer of no tenant")
	}
}

func TestOddClaims(t *testing.T) {
	w := newWorldOf(t, func(*config.Upstream, *gatewaytest.IdP) {})
	w.idp.LoginAs("alice", map[string]any{
		"https://example.com/roles": []string{"ops"}, "realm_access": map[string]any{"roles": []string{"ops"}},
	})
	who, err := w.login(t)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"https://example.com/roles": []any{"ops"}, "realm_access": map[string]any{"roles": []any{"ops"}}}
	for name, value := range want {
		if diff := cmp.Diff(value, who.Claims[name]); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// Who signs with the public key, or not at all, is nobody.
func TestAlgorithms(t *testing.T) {
	w := newWorldOf(t, func(_ *config.Upstream, idp *gatewaytest.IdP) {
		idp.BreakDocument(func(d map[string]any) {
			d["id_token_signing_alg_values_supported"] = []string{"none", "HS256", "ES256"}
		})
	})
	for name, header := range map[string]string{"none": `{"alg":"none"}`, "HS256": `{"alg":"HS256","kid":"1"}`, "nOnE": `{"alg":"nOnE"}`} {
		w.idp.BreakIDToken(func(s string) string {
			parts := strings.Split(s, ".")
			return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + parts[1] + "." + strings.TrimSuffix(parts[2], "none")
		})
		if _, err := w.login(t); !errors.Is(err, upstream.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.idp.BreakIDToken(nil)
	if _, err := w.login(t); err != nil {
		t.Error(err)
	}
}

func TestKeysThatAreNotToBeHad(t *testing.T) {
	w := newWorldOf(t, func(*config.Upstream, *gatewaytest.IdP) {})
	w.idp.KeysAway(true)
	if _, err := w.login(t); !errors.Is(err, upstream.ErrUnreachable) || errors.Is(err, upstream.ErrRefused) {
		t.Errorf("without keys: %v", err)
	}
	w.idp.KeysAway(false)
	if _, err := w.login(t); err != nil {
		t.Error(err)
	}
}

// Codes that are none cost one call each, and make nobody discover again.
func TestJunkDoesNotMakeUsDiscover(t *testing.T) {
	discoveries := 0
	w := newWorldOf(t, func(_ *config.Upstream, idp *gatewaytest.IdP) {
		idp.BreakDocument(func(map[string]any) { discoveries++ })
	})
	for range 5 {
		_, err := w.Exchange(t.Context(), "junk", "", "n", "v")
		if w.clock.Advance(time.Minute); !errors.Is(err, upstream.ErrRefused) {
			t.Errorf("junk: %v", err)
		}
	}
	if discoveries != 1 {
		t.Errorf("%d discoveries for junk", discoveries)
	}
	// An answer that does not fit may be of new keys, but not every time.
	w.idp.BreakIDToken(func(string) string { return "a.b.c" })
	for range 5 {
		if _, err := w.login(t); !errors.Is(err, upstream.ErrRefused) {
			t.Errorf("a bad id token: %v", err)
		}
	}
	if discoveries > 3 {
		t.Errorf("%d discoveries for bad id tokens", discoveries)
	}
}

func TestRenew(t *testing.T) {
	start := func(t *testing.T) (*world, *upstream.Identity) {
		t.Helper()
		w := newWorldOf(t, func(c *config.Upstream, _ *gatewaytest.IdP) {
			c.RenewTokens, c.OIDC.Scopes = true, []string{"email", "offline_access"}
		})
		who, err := w.login(t)
		if err != nil || who.Tokens == nil {
			t.Fatalf("%+v, %v", who, err)
		}
		return w, who
	}
	t.Run("new claims, new tokens", func(t *testing.T) {
		w, who := start(t)
		w.idp.LoginAs("alice", map[string]any{"groups": []string{"ops"}})
		r, err := w.Renew(t.Context(), *who.Tokens, *who)
		if err != nil || r.Tokens.Refresh == who.Tokens.Refresh || r.Tokens.Refresh == "" || r.Tokens.Nonce != "the-nonce" || r.Identity.Claims["groups"] == nil {
			t.Fatalf("%+v, %v", r, err)
		}
		if _, err := w.Renew(t.Context(), r.Tokens, *who); err != nil {
			t.Error(err)
		}
		if _, err := w.Renew(t.Context(), *who.Tokens, *who); !errors.Is(err, upstream.ErrEnded) {
			t.Errorf("a token that was replaced: %v", err)
		}
	})
	t.Run("no id token and no userinfo", func(t *testing.T) {
		w, who := start(t)
		w.idp.BreakIDToken(func(string) string { return "" })
		r, err := w.Renew(t.Context(), *who.Tokens, *who)
		if err != nil || r.Identity == nil || r.Identity.Claims["email"] != "alice@example.com" || r.Identity.Subject != who.Subject {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("somebody else", func(t *testing.T) {
		w, who := start(t)
		w.idp.LoginAs("bob", nil)
		if _, err := w.Renew(t.Context(), *who.Tokens, *who); !errors.Is(err, upstream.ErrOtherUser) {
			t.Errorf("%v", err)
		}
	})
	t.Run("another login's nonce", func(t *testing.T) {
		w, who := start(t)
		w.idp.BreakClaims(func(c map[string]any) { c["nonce"] = "another" })
		r, err := w.Renew(t.Context(), *who.Tokens, *who)
		if !errors.Is(err, upstream.ErrRefused) || r == nil || r.Tokens.Refresh == "" || r.Identity != nil {
			t.Errorf("%+v, %v", r, err) // the tokens must not be lost
		}
	})
	for name, answer := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"500":            {500, "", upstream.ErrUnreachable},
		"429":            {429, `{"error":"slow_down"}`, upstream.ErrUnreachable},
		"invalid_grant":  {400, `{"error":"invalid_grant"}`, upstream.ErrEnded},
		"invalid_client": {401, `{"error":"invalid_client"}`, upstream.ErrCredentials},
		"another error":  {400, `{"error":"unauthorized_client"}`, upstream.ErrRefused},
		"no JSON":        {200, `<html>`, upstream.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			w, who := start(t)
			w.idp.BreakToken(func(rw http.ResponseWriter) bool {
				rw.Header().Set("Content-Type", "application/json")
				rw.WriteHeader(answer.status)
				_, _ = rw.Write([]byte(answer.body))
				return true
			})
			r, err := w.Renew(t.Context(), *who.Tokens, *who)
			if !errors.Is(err, answer.want) || r != nil || errors.Is(err, upstream.ErrEnded) != (name == "invalid_grant") {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// octocat goes through the login of GitHub.
func octocat(t *testing.T, u *upstream.Upstream) (*upstream.Identity, error) {
	t.Helper()
	return (&world{Upstream: u}).login(t)
}

func TestGitHub(t *testing.T) {
	g := gatewaytest.NewGitHub(t, gatewaytest.NewSecrets(t))
	for i := range 205 {
		g.Organizations = append(g.Organizations, fmt.Sprintf("org-%d", i))
	}
	u := upstream.New(g.Upstream(t, "github", "user:email", "read:org"), redirectURI, time.Now)
	who, err := octocat(t, u)
	if err != nil {
		t.Fatal(err)
	}
	orgs, _ := who.Claims["organizations"].([]any)
	if who.Issuer != g.URL || who.Subject != "583231" || who.Name != "octocat@example.com" || who.Claims["email"] != "octocat@example.com" ||
		who.Claims["login"] != "octocat" || len(orgs) != 205 || !slices.Contains(orgs, any("org-204")) || who.Tokens != nil {
		t.Errorf("logged in is %+v", who)
	}
	if err := u.Check(t.Context()); err != nil {
		t.Error(err)
	}
	g.Emails = []map[string]any{{"email": "octocat@example.com", "primary": true, "verified": false}, {"email": "b@example.com", "primary": false, "verified": true}}
	if who, err := octocat(t, u); err != nil || who.Claims["email"] != nil || who.Claims["email_verified"] != nil || who.Name != "octocat" {
		t.Errorf("a primary address that is not verified: %+v, %v", who, err)
	}
	bare := upstream.New(g.Upstream(t, "github"), redirectURI, time.Now)
	if who, err := octocat(t, bare); err != nil || who.Claims["email"] != nil || who.Claims["organizations"] != nil {
		t.Errorf("without scopes: %+v, %v", who, err) // the address in the profile is not verified
	}
	if _, err := u.Exchange(t.Context(), "junk", "", "n", "v"); !errors.Is(err, upstream.ErrRefused) {
		t.Errorf("an error inside of a 200: %v", err)
	}
	for status, want := range map[int]error{401: upstream.ErrRefused, 403: upstream.ErrUnreachable, 502: upstream.ErrUnreachable} {
		g.APIStatus = status
		if _, err := octocat(t, u); !errors.Is(err, want) {
			t.Errorf("its API answers %d: %v", status, err)
		}
	}
	g.APIStatus, g.User = 0, map[string]any{"login": "ghost"}
	if _, err := octocat(t, u); !errors.Is(err, upstream.ErrRefused) {
		t.Errorf("a user without a number: %v", err)
	}
}

func TestGitHubAppsCanBeAskedAgain(t *testing.T) {
	g := gatewaytest.NewGitHub(t, gatewaytest.NewSecrets(t))
	c := g.Upstream(t, "github", "user:email")
	c.RenewTokens = true
	u := upstream.New(c, redirectURI, time.Now)
	if who, err := octocat(t, u); err != nil || who.Tokens != nil {
		t.Fatalf("an OAuth app: %+v, %v", who, err)
	}
	g.Expires = true
	who, err := octocat(t, u)
	if err != nil || who.Tokens == nil || who.Tokens.Expires.IsZero() {
		t.Fatalf("a GitHub app: %+v, %v", who, err)
	}
	g.User["login"] = "renamed"
	r, err := u.Renew(t.Context(), *who.Tokens, *who)
	if err != nil || r.Identity.Claims["login"] != "renamed" || r.Tokens.Refresh == who.Tokens.Refresh {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := u.Renew(t.Context(), *who.Tokens, *who); !errors.Is(err, upstream.ErrEnded) {
		t.Errorf("a token that was replaced: %v", err)
	}
	g.User["id"] = 1
	if _, err := u.Renew(t.Context(), r.Tokens, *who); !errors.Is(err, upstream.ErrOtherUser) {
		t.Errorf("another user: %v", err)
	}
	g.ClientSecret = "another"
	if _, err := octocat(t, u); !errors.Is(err, upstream.ErrCredentials) {
		t.Errorf("a secret that it does not know: %v", err)
	}
}
