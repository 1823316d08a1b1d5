package gateway_test

import (
	"net/http"
	"testing"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// A gateway runs with a configuration in which things have other names than in the newest
// policy, because its pod cannot be replaced. What it then lets through is let through by
// the policy, too.
func TestThePolicyOfAnotherConfiguration(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		twoScopes(c)
		c.Routes = append(c.Routes,
			config.Route{Name: "two", Path: "/two", Transport: "StreamableHTTP", BackendPath: "/two"},
			config.Route{Name: "open", Path: "/open", Transport: "HTTP", Public: true, BackendPath: "/open"})
	}})
	client := gw.Register(t, nil)
	request := client.AuthorizationRequest()
	request.Set("scope", "read")
	token := client.Redeem(t, client.LoginWith(t, request)).Access
	request.Set("resource", gw.URL+"/two")
	second := client.Redeem(t, client.LoginWith(t, request)).Access

	own := config.TargetsOf(gw.Config)
	routes := func(routes ...config.TargetRoute) *config.Targets {
		return &config.Targets{Version: config.Version, Routes: routes, Upstreams: own.Upstreams}
	}
	for name, row := range map[string]struct {
		rules          config.Rules
		targets        *config.Targets
		mcp, two, open int // what the three routes answer
	}{
		"as it is": {config.Rules{RequiredScopes: map[string][]string{"mcp": {"write"}}}, own, 403, 200, 200},
		"of a controller that writes no targets": {
			config.Rules{RequiredScopes: map[string][]string{"two": {"write"}}}, nil, 200, 403, 200,
		},
		"a route has another name": {
			config.Rules{RequiredScopes: map[string][]string{"renamed": {"write"}}},
			routes(config.TargetRoute{Name: "renamed", Path: "/mcp"}, own.Routes[1], own.Routes[2]), 403, 200, 200,
		},
		"two routes have each other's name": {
			config.Rules{RequiredScopes: map[string][]string{"mcp": {"write"}}},
			routes(config.TargetRoute{Name: "two", Path: "/mcp"}, config.TargetRoute{Name: "mcp", Path: "/two"}, own.Routes[2]), 200, 403, 200,
		},
		"a route is gone": {config.Rules{}, routes(own.Routes[0]), 200, 503, 503},
		"a route is new within another": {
			config.Rules{}, routes(append(own.Routes[:3:3], config.TargetRoute{Name: "admin", Path: "/open/admin"})...), 200, 200, 200,
		},
		"a route has moved": {
			config.Rules{}, routes(config.TargetRoute{Name: "mcp", Path: "/moved"}, own.Routes[1], own.Routes[2]), 503, 200, 200,
		},
		"tools are denied on a route of another name": {
			config.Rules{DenyUnlistedTools: []string{"renamed"}},
			routes(config.TargetRoute{Name: "renamed", Path: "/mcp"}, own.Routes[1], own.Routes[2]), 403, 200, 200,
		},
		"a route is to need a token": {
			config.Rules{}, routes(own.Routes[0], own.Routes[1], config.TargetRoute{Name: "open", Path: "/open"}), 200, 200, 503,
		},
		"a route is to need none": {
			config.Rules{}, routes(config.TargetRoute{Name: "mcp", Path: "/mcp", Public: true}, own.Routes[1], own.Routes[2]), 200, 200, 200,
		},
	} {
		t.Run(name, func(t *testing.T) {
			row.rules.Scopes = gw.Config.Scopes
			gateway.SetPolicy(t, gw.Gateways[0], gw.Config, &row.rules, row.targets)
			call := func(path, token string) int { return send(t, gw, path, token, toolCall("delete_all"), nil).Status }
			if mcp, two, open := call("/mcp", token), call("/two", second), call("/open", ""); mcp != row.mcp || two != row.two || open != row.open {
				t.Errorf("the routes answer %d, %d and %d, want %d, %d and %d", mcp, two, open, row.mcp, row.two, row.open)
			}
			if got := send(t, gw, "/mcp", "", toolCall("delete_all"), nil).Status; got == http.StatusOK {
				t.Error("a request without a token is let through")
			}
		})
	}
}

// A path belongs to a route that this gateway does not have yet. Neither does another route
// of it serve the path, nor is a client told that nothing is there.
func TestARouteOfANewerConfiguration(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		twoScopes(c)
		c.Routes = append(c.Routes, config.Route{Name: "open", Path: "/open", Transport: "HTTP", Public: true, BackendPath: "/open"})
	}})
	own := config.TargetsOf(gw.Config)
	for _, row := range []struct {
		newer   string // the path of a route
		answers map[string]int
	}{
		{"/told", map[string]int{
			"/told": 503, "/told/": 503, "/told/sse": 503, "/.well-known/oauth-protected-resource/told": 503,
			"/tolder": 404, "/mcp": 401, "/.well-known/oauth-protected-resource/mcp": 200, "/token": 405, "/other": 404,
		}},
		{"/open/admin", map[string]int{"/open/admin": 503, "/open/admin/users": 503, "/open": 200, "/open/administrator": 200}},
		{"/", map[string]int{
			"/": 503, "/other": 503, "/mcp": 401, "/open": 200, "/register": 405,
			"/.well-known/oauth-protected-resource": 200, "/.well-known/openid-configuration": 404,
		}},
	} {
		t.Run(row.newer, func(t *testing.T) {
			targets := &config.Targets{Version: config.Version, Upstreams: own.Upstreams,
				Routes: append(own.Routes[:2:2], config.TargetRoute{Name: "newer", Path: row.newer})}
			gateway.SetPolicy(t, gw.Gateways[0], gw.Config, &config.Rules{Scopes: gw.Config.Scopes}, targets)
			for path, want := range row.answers {
				resp, err := http.Get(gw.URL + path)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if resp.StatusCode != want || want == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") == "" {
					t.Errorf("%s answers %d %v, want %d", path, resp.StatusCode, resp.Header, want)
				}
			}
		})
	}
}

// Rules that ask who a user is say nothing of users of an upstream that they know by
// another name, or that was another one. Nobody of these is let in, and nobody loses
// anything: the gateway that comes next decides.
func TestThePolicyOfAnotherUpstream(t *testing.T) {
	t.Parallel()
	e := newEmployer(t)
	gw := newIDJAG(t, e)
	nightly := gw.Provisioned("nightly", nightlySecret)
	client := gw.Register(t, nil)
	tokens := client.Redeem(t, client.Login(t))
	own := config.TargetsOf(gw.Config)
	issuer := own.Upstreams[0].Issuer
	everybody := []config.AccessRule{{Name: "all but partners", Expression: `upstream != "partners"`}}
	set := func(rules []config.AccessRule, upstreams ...config.TargetUpstream) {
		t.Helper()
		gateway.SetPolicy(t, gw.Gateways[0], gw.Config, &config.Rules{Scopes: gw.Config.Scopes, AccessRules: rules},
			&config.Targets{Version: config.Version, Routes: own.Routes, Upstreams: upstreams})
	}
	for name, upstreams := range map[string][]config.TargetUpstream{
		"another name": {{Name: "partners", Issuer: issuer}, {Name: "id-jag:partners", Issuer: employerIssuer}},
		"another provider": {
			{Name: "corp", Issuer: "https://other.example"}, {Name: "id-jag:employer", Issuer: "https://other.example"},
		},
		"none": nil,
	} {
		t.Run(name, func(t *testing.T) {
			set(everybody, upstreams...)
			client.Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
			b, request, back := approved(t, client)
			redirectsWith(t, b.Get(t, back), request, gw.URL, "temporarily_unavailable")
			assertion := gw.Secrets.Add("assertion", e.key.Sign(t, e.claims(gw, nil), idJAG))
			nightly.Token(t, bearing(assertion, nil)).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
		})
	}
	// Who asks nothing of users needs no name of theirs.
	set(nil)
	tokens = client.Refresh(t, tokens.Refresh)
	set(everybody, own.Upstreams...)
	client.Refresh(t, tokens.Refresh)
	client.Redeem(t, client.Login(t))
}

// A request is judged by the policy that is in force when it comes, and by no other: two
// policies that would each refuse it must not let it through together.
func TestARequestSeesOnePolicy(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: twoScopes})
	client := gw.Register(t, nil)
	staff := config.Rules{
		Scopes:      []config.Scope{{Name: "read", Allow: "false"}, {Name: "write"}},
		AccessRules: []config.AccessRule{{Name: "staff", Expression: "true"}},
	}
	nobody := config.Rules{
		Scopes:      []config.Scope{{Name: "read"}, {Name: "write"}},
		AccessRules: []config.AccessRule{{Name: "nobody", Expression: "false"}},
	}
	gateway.SetPolicy(t, gw.Gateways[0], gw.Config, &staff, nil)
	gw.IdP.UserInfo(func(claims map[string]any) map[string]any {
		// While the gateway asks who has logged in.
		gateway.SetPolicy(t, gw.Gateways[0], gw.Config, &nobody, nil)
		return claims
	})
	request := client.AuthorizationRequest()
	request.Set("scope", "read write")
	if scope := client.Redeem(t, client.LoginWith(t, request)).Scope; scope != "write" {
		t.Errorf("a login that began under one policy and ended under the next has the scopes %q", scope)
	}
	b, request, back := approved(t, client)
	isDenied(t, b.Get(t, back), request, gw.URL)
}
