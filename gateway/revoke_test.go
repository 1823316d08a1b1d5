package gateway_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

func TestRevocation(t *testing.T) { // A58
	t.Parallel()
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use})
	client, another := gw.Register(t, nil), gw.Register(t, nil)
	type tokens = gatewaytest.Tokens
	refresh := func(t tokens) url.Values { return url.Values{"token": {t.Refresh}} }
	for _, row := range []struct {
		name   string
		client *gatewaytest.Client
		form   func(tokens) url.Values
		status int
		code   string
		// What is alive afterwards.
		access, refresh bool
	}{
		{"a refresh token", client, refresh, 200, "", false, false},
		{"an access token", client, func(t tokens) url.Values { return url.Values{"token": {t.Access}} }, 200, "", false, true},
		{"a wrong hint", client, func(t tokens) url.Values {
			return url.Values{"token": {t.Refresh}, "token_type_hint": {"access_token"}}
		}, 200, "", false, false},
		{"an unknown hint", client, func(t tokens) url.Values {
			return url.Values{"token": {t.Access}, "token_type_hint": {"saml"}}
		}, 200, "", false, true},

		{"an unknown token", client, func(tokens) url.Values { return url.Values{"token": {"unknown"}} }, 200, "", true, true},
		{"a forged token", client, func(t tokens) url.Values { return url.Values{"token": {forged(t.Refresh)}} }, 200, "", true, true},
		{"A57 another client", another, refresh, 200, "", true, true},
		{"A57 another client's access token", another, func(t tokens) url.Values { return url.Values{"token": {t.Access}} }, 200, "", true, true},
		{"an unknown client", client, func(t tokens) url.Values {
			return url.Values{"token": {t.Refresh}, "client_id": {"unknown"}}
		}, 401, "invalid_client", true, true},
		{"no client", client, func(t tokens) url.Values {
			return url.Values{"token": {t.Refresh}, "client_id": nil}
		}, 401, "invalid_client", true, true},
		{"no token", client, func(tokens) url.Values { return nil }, 400, "invalid_request", true, true},
		{"an empty token", client, func(tokens) url.Values { return url.Values{"token": {""}} }, 400, "invalid_request", true, true},
		{"two tokens", client, func(t tokens) url.Values { return url.Values{"token": {t.Refresh, t.Access}} }, 400, "invalid_request", true, true},
		{"a long token", client, func(t tokens) url.Values {
			return url.Values{"token": {t.Refresh + strings.Repeat("a", 3000)}}
		}, 400, "invalid_request", true, true},
		{"a token that is not UTF-8", client, func(t tokens) url.Values { return url.Values{"token": {t.Refresh + "\xff"}} }, 400, "invalid_request", true, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			issued := client.Redeem(t, client.Login(t))
			writes := journal.Writes()
			a := row.client.Form(t, "/revoke", row.form(issued))
			if row.code != "" {
				a.Fails(t, row.status, row.code)
			} else if a.Status != http.StatusOK || a.Body != "" || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("the answer is %d %v: %s", a.Status, a.Header, a.Body)
			}
			if row.access && row.refresh && journal.Writes() != writes {
				t.Error("it wrote to the store")
			}
			if a := client.Call(t, issued.Access); (a.Status == http.StatusOK) != row.access {
				t.Errorf("the access token gets %d", a.Status)
			}
			if a := client.Token(t, gatewaytest.RefreshParams(issued.Refresh)); (a.Status == http.StatusOK) != row.refresh {
				t.Errorf("the refresh token gets %d", a.Status)
			} else if row.refresh {
				client.Tokens(t, a)
			} else {
				a.Fails(t, http.StatusBadRequest, "invalid_grant")
			}
		})
	}
	t.Run("twice", func(t *testing.T) {
		issued := client.Redeem(t, client.Login(t))
		for range 2 {
			if a := client.Form(t, "/revoke", refresh(issued)); a.Status != http.StatusOK {
				t.Errorf("the answer is %d: %s", a.Status, a.Body)
			}
		}
	})
}
