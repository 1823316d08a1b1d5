package gateway_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/assertion"
	"vestibule.dev/vestibule/gateway/internal/assertion/assertiontest"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// newPublished is a server with two replicas, and a host that clients publish at.
func newPublished(t *testing.T, configure ...func(*config.Config)) (*gatewaytest.Server, *gatewaytest.Publisher) {
	t.Helper()
	p := gatewaytest.NewPublisher(t)
	return gatewaytest.New(t, gatewaytest.Setup{Replicas: 2, Configure: func(c *config.Config) {
		p.Allow(c)
		for _, f := range configure {
			f(c)
		}
	}}), p
}

// signer is a client that proves who it is by a key.
type signer struct {
	*gatewaytest.Client
	key *assertiontest.Signer
}

func (s signer) on(replica int) signer { return signer{s.On(replica), s.key} }

// signed adds an assertion to parameters.
func (s signer) signed(t *testing.T, params url.Values) url.Values {
	t.Helper()
	a := s.key.Sign(t, assertiontest.Claims(s.ID, s.URL, s.Clock.Now(), nil), nil)
	with := url.Values{"client_assertion_type": {assertion.Type}, "client_assertion": {s.Secrets.Add("assertion", a)}}
	for k, v := range params {
		with[k] = v
	}
	return with
}

func (s signer) redeem(t *testing.T, code gatewaytest.Code) gatewaytest.Tokens {
	t.Helper()
	return s.Tokens(t, s.Token(t, s.signed(t, gatewaytest.RedeemParams(code))))
}

func (s signer) refresh(t *testing.T, tokens gatewaytest.Tokens) gatewaytest.Tokens {
	t.Helper()
	return s.Tokens(t, s.Token(t, s.signed(t, gatewaytest.RefreshParams(tokens.Refresh))))
}

// newSigner publishes a client with a key, in the document or at another URL.
func newSigner(t *testing.T, gw *gatewaytest.Server, p *gatewaytest.Publisher, path, keysPath string) signer {
	t.Helper()
	key := assertiontest.New(t, "k1", jose.RS256)
	members := map[string]any{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "RS256"}
	if keysPath == "" {
		members["jwks"] = jsonOf(t, assertiontest.JWKS(t, key))
	} else {
		members["jwks_uri"] = p.Publish(t, keysPath, assertiontest.JWKS(t, key))
	}
	return signer{gw.ClientAt(p.Document(t, path, members)), key}
}

func TestAClientThatNamesItselfByAURL(t *testing.T) {
	t.Parallel()
	gw, p := newPublished(t)
	c := gw.ClientAt(p.Document(t, "/client.json", nil))
	tokens := c.Redeem(t, c.Login(t))
	tokens = c.On(1).Refresh(t, tokens.Refresh)
	if a := c.On(1).Call(t, tokens.Access); a.Status != http.StatusOK {
		t.Errorf("its token gets %d", a.Status)
	}
	if n := p.Asked("/client.json"); n != 2 {
		t.Errorf("two replicas have read the document %d times", n)
	}
	// x/oauth2 first tries Basic with an empty secret.
	basic := gw.Request(t, http.MethodPost, "/token", strings.NewReader(gatewaytest.RefreshParams(tokens.Refresh).Encode()),
		map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
	basic.SetBasicAuth(url.QueryEscape(c.ID), "")
	tokens = c.Tokens(t, gw.Do(t, gw.HTTP(0), basic))

	other := gw.ClientAt(p.Document(t, "/other.json", nil))
	other.Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
	registered := gw.Register(t, nil)
	registered.Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")

	if a := c.Form(t, "/revoke", url.Values{"token": {tokens.Refresh}}); a.Status != http.StatusOK {
		t.Errorf("revoking gets %d", a.Status)
	}
	c.Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
}

func TestAClientWithAKey(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]string{"in its document": "", "at another URL": "/jwks.json"} {
		t.Run(name, func(t *testing.T) {
			gw, p := newPublished(t)
			c := newSigner(t, gw, p, "/client.json", keys)
			code := c.Login(t)
			c.Token(t, gatewaytest.RedeemParams(code)).Fails(t, http.StatusUnauthorized, "invalid_client")
			tokens := c.redeem(t, code)
			tokens = c.on(1).refresh(t, tokens)
			c.Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusUnauthorized, "invalid_client")

			// What was stolen with it is of no use without the key.
			once := c.signed(t, gatewaytest.RefreshParams(tokens.Refresh))
			tokens = c.Tokens(t, c.Token(t, once))
			c.Token(t, once).Fails(t, http.StatusUnauthorized, "invalid_client")

			c.Form(t, "/revoke", url.Values{"token": {tokens.Refresh}}).Fails(t, http.StatusUnauthorized, "invalid_client")
			if a := c.Form(t, "/revoke", c.signed(t, url.Values{"token": {tokens.Refresh}})); a.Status != http.StatusOK {
				t.Errorf("revoking gets %d", a.Status)
			}
			c.Token(t, c.signed(t, gatewaytest.RefreshParams(tokens.Refresh))).Fails(t, http.StatusBadRequest, "invalid_grant")
		})
	}
}

// That a client's host is down ends nothing that its users have.
func TestAHostThatIsDownSignsNobodyOut(t *testing.T) {
	t.Parallel()
	gw, p := newPublished(t)
	public := gw.ClientAt(p.Document(t, "/public.json", nil))
	inside, outside := newSigner(t, gw, p, "/inside.json", ""), newSigner(t, gw, p, "/outside.json", "/jwks.json")
	a, b, c := public.Redeem(t, public.Login(t)), inside.redeem(t, inside.Login(t)), outside.redeem(t, outside.Login(t))
	half := outside.Login(t) // a code that is redeemed later
	p.Stop()
	for round := range 2 {
		for replica := range 2 { // the second has never seen a document
			a = public.On(replica).Refresh(t, a.Refresh)
			b = inside.on(replica).refresh(t, b)
			c = outside.on(replica).refresh(t, c)
			for _, access := range []string{a.Access, b.Access, c.Access} {
				if got := public.On(replica).Call(t, access); got.Status != http.StatusOK {
					t.Errorf("round %d, replica %d: a token gets %d", round, replica, got.Status)
				}
			}
			outside.On(replica).Token(t, gatewaytest.RefreshParams(c.Refresh)).Fails(t, http.StatusUnauthorized, "invalid_client")
		}
		if round == 0 {
			outside.on(1).redeem(t, half)
		}
		gw.Clock.Advance(2 * time.Hour) // now nothing that was read is fresh
	}
	for replica := range 2 {
		page := public.On(replica).Browser(t).Get(t, gw.AuthorizeURL(public.AuthorizationRequest()))
		if page.Status != http.StatusServiceUnavailable || page.Header.Get("Retry-After") == "" || !strings.Contains(page.Body, "cannot be looked up") {
			t.Errorf("a new authorization gets %d: %s", page.Status, page.Body)
		}
	}
	// Of a key that nobody has seen, nothing can be said.
	outside.key = assertiontest.New(t, "k2", jose.RS256)
	for replica := range 2 {
		outside.on(replica).Token(t, outside.signed(t, gatewaytest.RefreshParams(c.Refresh))).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	}
	stranger := gw.ClientAt(p.URL + "/stranger.json")
	stranger.Token(t, gatewaytest.RefreshParams(a.Refresh)).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
}

func TestAHostThatIsTurnedOffEndsTokens(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]func(*config.ClientIDMetadataDocuments){
		"policy": func(d *config.ClientIDMetadataDocuments) { d.Enabled = false },
		"host":   func(d *config.ClientIDMetadataDocuments) { d.AllowedHosts = []string{"claude.ai"} },
	} {
		t.Run(name, func(t *testing.T) {
			gw, p := newPublished(t)
			c := gw.ClientAt(p.Document(t, "/client.json", nil))
			tokens := c.Redeem(t, c.Login(t))
			again := c.On(gw.Join(t, func(c *config.Config) { off(&c.ClientIDMetadataDocuments) }))
			if a := again.Call(t, tokens.Access); a.Status != http.StatusUnauthorized {
				t.Errorf("its token gets %d", a.Status)
			}
			again.Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusUnauthorized, "invalid_client")
			page := again.Browser(t).Get(t, again.AuthorizeURL(again.AuthorizationRequest()))
			if page.Status != http.StatusBadRequest || !strings.Contains(page.Body, "may not be used here") {
				t.Errorf("it gets %d: %s", page.Status, page.Body)
			}
		})
	}
}

func TestADocumentThatChanges(t *testing.T) {
	t.Parallel()
	gw, p := newPublished(t)
	c := gw.ClientAt(p.Document(t, "/client.json", nil))
	b := c.Browser(t)
	consent := b.Get(t, gw.AuthorizeURL(c.AuthorizationRequest()))
	p.Document(t, "/client.json", map[string]any{"redirect_uris": []string{"https://elsewhere.example/cb"}})
	gw.Clock.Advance(4 * time.Minute)
	if page := b.Press(t, consent, "deny"); page.Status != http.StatusSeeOther {
		t.Errorf("as long as it is fresh, the answer gets %d", page.Status)
	}
	gw.Clock.Advance(time.Minute)
	if page := b.Press(t, consent, "approve"); page.Status != http.StatusBadRequest || !strings.Contains(page.Body, "an address that it has not registered") {
		t.Errorf("approved for an address that is not listed any more: %d %s", page.Status, page.Body)
	}
}

func TestKeysThatChange(t *testing.T) {
	t.Parallel()
	gw, p := newPublished(t)
	c := newSigner(t, gw, p, "/client.json", "/jwks.json")
	tokens := c.redeem(t, c.Login(t))
	next := signer{c.Client, assertiontest.New(t, "k2", jose.RS256)}
	p.Publish(t, "/jwks.json", assertiontest.JWKS(t, next.key))
	before := p.Asked("/jwks.json")
	for range 3 { // who names keys that are not there has nothing fetched for it
		next.Token(t, next.signed(t, gatewaytest.RefreshParams(tokens.Refresh))).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	}
	if n := p.Asked("/jwks.json") - before; n != 0 {
		t.Errorf("the keys were read %d times", n)
	}
	gw.Clock.Advance(30 * time.Second)
	tokens = next.refresh(t, tokens)
	c.Token(t, c.signed(t, gatewaytest.RefreshParams(tokens.Refresh))).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	gw.Clock.Advance(30 * time.Second)
	c.Token(t, c.signed(t, gatewaytest.RefreshParams(tokens.Refresh))).Fails(t, http.StatusUnauthorized, "invalid_client")
	if n := p.Asked("/jwks.json") - before; n != 2 {
		t.Errorf("the keys were read %d times", n)
	}
}

func TestTheConsentPageSaysWhoVouches(t *testing.T) {
	t.Parallel()
	gw, p := newPublished(t)
	host := strings.TrimPrefix(p.URL, "https://")
	c := gw.ClientAt(p.Document(t, "/client.json", map[string]any{"client_name": "<b>Bank</b>"}))
	page := c.Browser(t).Get(t, gw.AuthorizeURL(c.AuthorizationRequest()))
	for _, want := range []string{"published at <strong>" + host + "</strong>", "&lt;b&gt;Bank&lt;/b&gt;", "any program here can take it", "127.0.0.1:9"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page lacks %s:\n%s", want, page.Body)
		}
	}
	if registered := gw.Register(t, nil); strings.Contains(registered.Browser(t).Get(t, gw.AuthorizeURL(registered.AuthorizationRequest())).Body, "published at") {
		t.Error("somebody vouches for a registered client")
	}
}

// Each says what is wrong in words, and none shows what is in the document.
func TestDocumentsThatAreWrong(t *testing.T) {
	t.Parallel()
	gw, p := newPublished(t)
	const marker = "marker-in-the-document"
	wrong := map[string]struct {
		members map[string]any
		says    string
	}{
		"another client_id":   {map[string]any{"client_id": p.URL + "/" + marker}, "does not name its own URL"},
		"no name":             {map[string]any{"client_name": nil}, "no client_name"},
		"no redirect":         {map[string]any{"redirect_uris": []string{"javascript:" + marker}}, "no redirect_uris"},
		"a secret":            {map[string]any{"client_secret": marker}, "client_secret"},
		"a method of secrets": {map[string]any{"token_endpoint_auth_method": "client_secret_post"}, "shared secret"},
		"no keys":             {map[string]any{"token_endpoint_auth_method": "private_key_jwt"}, "neither jwks nor jwks_uri"},
		"keys from elsewhere": {map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://10.0.0.1/" + marker}, "does not fetch from"},
	}
	for name, row := range wrong {
		t.Run(name, func(t *testing.T) {
			c := gw.ClientAt(p.Document(t, "/"+strings.ReplaceAll(name, " ", "-"), row.members))
			page := c.Browser(t).Get(t, gw.AuthorizeURL(c.AuthorizationRequest()))
			if page.Status != http.StatusBadRequest || !strings.Contains(page.Body, row.says) || strings.Contains(page.Body, marker) {
				t.Errorf("%d: %s", page.Status, page.Body)
			}
			c.Token(t, gatewaytest.RefreshParams("none")).Fails(t, http.StatusUnauthorized, "invalid_client")
		})
	}
	// Corrected, it is read at once: no error was kept.
	c := gw.ClientAt(p.Document(t, "/no-name", nil))
	c.Redeem(t, c.Login(t))
}

func jsonOf(t *testing.T, b []byte) map[string]any {
	t.Helper()
	return gatewaytest.Answer{Body: string(b)}.JSON(t)
}

// Whoever sends browsers here chooses what is fetched, but not how often.
func TestFloodsOfURLs(t *testing.T) {
	t.Parallel()
	gw, p := newPublished(t)
	c := gw.ClientAt(p.Document(t, "/client.json", nil))
	c.Redeem(t, c.Login(t))
	busy := 0
	for i := range 60 {
		stranger := gw.ClientAt(fmt.Sprintf("%s/%d.json", p.URL, i))
		page := stranger.Browser(t).Get(t, gw.AuthorizeURL(stranger.AuthorizationRequest()))
		if page.Status != http.StatusServiceUnavailable {
			t.Fatalf("a stranger gets %d", page.Status)
		}
		if p.Asked(fmt.Sprintf("/%d.json", i)) == 0 {
			busy++
		}
	}
	if busy < 30 {
		t.Errorf("%d of 60 were put off", busy)
	}
	// Who was here before is not concerned.
	gw.Clock.Advance(5 * time.Minute)
	for i := range 60 {
		stranger := gw.ClientAt(fmt.Sprintf("%s/again-%d.json", p.URL, i))
		stranger.Browser(t).Get(t, gw.AuthorizeURL(stranger.AuthorizationRequest()))
	}
	c.Login(t)
}
