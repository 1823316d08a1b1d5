package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"golang.org/x/oauth2"

	"vestibule.dev/vestibule/gateway/config"
)

// GitHub speaks OAuth 2.0 without OpenID Connect: who a token is about, its API
// says. A user is their number, since logins change hands.

func githubEndpoint(g *config.GitHubUpstream) oauth2.Endpoint {
	return oauth2.Endpoint{
		AuthURL: g.BaseURL + "/login/oauth/authorize", TokenURL: g.BaseURL + "/login/oauth/access_token",
		AuthStyle: oauth2.AuthStyleInParams,
	}
}

// githubIss is what GitHub's authorization server calls itself.
func githubIss(g *config.GitHubUpstream) string { return g.BaseURL + "/login/oauth" }

// The scopes that make GitHub say more.
const (
	githubEmail = "user:email"
	githubOrgs  = "read:org"
)

// maxPages bounds how many pages of 100 organizations are read.
const maxPages = 10

func (u *Upstream) identifyGitHub(ctx context.Context, p *provider, t *oauth2.Token, b before) (*Identity, error) {
	var user struct {
		ID    int64
		Login string
		Name  string
	}
	if err := u.github(ctx, p, t, "/user", &user); err != nil {
		return nil, err
	}
	if user.ID == 0 {
		return nil, fmt.Errorf("%w: its user has no number", ErrRefused)
	}
	who := &Identity{Issuer: u.Issuer(), Subject: strconv.FormatInt(user.ID, 10)}
	if err := b.sameUser(who); err != nil {
		return nil, err
	}
	claims := map[string]any{"login": user.Login}
	if user.Name != "" {
		claims["name"] = user.Name
	}
	if slices.Contains(p.oauth.Scopes, githubEmail) {
		if err := u.addEmail(ctx, p, t, claims); err != nil {
			return nil, err
		}
	}
	if slices.Contains(p.oauth.Scopes, githubOrgs) {
		if err := u.addOrganizations(ctx, p, t, claims); err != nil {
			return nil, err
		}
	}
	who.Name, who.Claims = displayName(claims, who.Subject), claims
	return who, nil
}

// addEmail adds the address that is the user's first, if GitHub has verified it.
func (u *Upstream) addEmail(ctx context.Context, p *provider, t *oauth2.Token, claims map[string]any) error {
	var addresses []struct {
		Email             string
		Primary, Verified bool
	}
	if err := u.github(ctx, p, t, "/user/emails?per_page=100", &addresses); err != nil {
		return err
	}
	for _, a := range addresses {
		if a.Primary && a.Verified {
			claims["email"], claims[emailVerified] = a.Email, true
		}
	}
	return nil
}

func (u *Upstream) addOrganizations(ctx context.Context, p *provider, t *oauth2.Token, claims map[string]any) error {
	logins := []any{}
	for page := 1; page <= maxPages; page++ {
		var some []struct{ Login string }
		if err := u.github(ctx, p, t, fmt.Sprintf("/user/orgs?per_page=100&page=%d", page), &some); err != nil {
			return err
		}
		for _, o := range some {
			logins = append(logins, o.Login)
		}
		if len(some) < 100 {
			break
		}
	}
	claims["organizations"] = logins
	return nil
}

// github reads from the API. It returns ErrUnreachable, or ErrRefused if the
// API does not take a token that GitHub has just given.
func (u *Upstream) github(ctx context.Context, p *provider, t *oauth2.Token, path string, into any) error {
	err := p.getJSON(ctx, u.config.GitHub.APIURL+path, t.AccessToken, into)
	if status, ok := errors.AsType[statusError](err); ok && status == http.StatusUnauthorized {
		return fmt.Errorf("%w: its API does not take its token", ErrRefused)
	}
	if err != nil {
		return fmt.Errorf("%w: no answer from its API: %s", ErrUnreachable, netText(err))
	}
	return nil
}

// checkGitHub says whether somebody answers at the login, whatever it is.
func (u *Upstream) checkGitHub(ctx context.Context, p *provider) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, p.oauth.Endpoint.TokenURL, nil)
	if err != nil {
		return err
	}
	resp, err := p.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusInternalServerError {
		return statusError(resp.StatusCode)
	}
	return nil
}
