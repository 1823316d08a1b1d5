package token

import (
	"context"
	"errors"
	"slices"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/clients"
	"vestibule.dev/vestibule/gateway/internal/grants"
	"vestibule.dev/vestibule/gateway/internal/idjag"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/policy"
)

// On whose word a client has a grant without a login: its own, or that of the
// trusted issuer whose name follows. No upstream has such a name.
const (
	ByClient = "client_credentials"
	ByIssuer = config.IssuerPrefix
)

// Assertions verifies what trusted issuers have signed.
type Assertions interface {
	// Verify returns invalid_grant or temporarily_unavailable.
	Verify(ctx context.Context, compact, clientID string) (*idjag.Verified, *oauth.Error)
}

// may refuses a grant type that the client was not provisioned for. Who registered
// itself never was.
func may(client *clients.Client, grant config.GrantType) *oauth.Error {
	if !client.May(grant) || grant != config.GrantAuthorizationCode && client.Public() {
		return oauth.UnauthorizedClient("this client may not use this grant type")
	}
	return nil
}

// clientCredentials is RFC 6749 section 4.4: the client acts for itself. Access
// rules speak of users, and are not asked: an administrator has named the client.
func (h *Handler) clientCredentials(ctx context.Context, client *clients.Client, p oauth.Params) (*grants.Issued, error) {
	if e := may(client, config.GrantClientCredentials); e != nil {
		return nil, e
	}
	resource, e := oauth.ChooseResource(h.PublicURL, h.Resources, p["resource"])
	if e != nil {
		return nil, e
	}
	scopes, e := h.scopes(ctx, client, resource, p.Get("scope"), nil)
	if e != nil {
		return nil, e
	}
	return h.Grants.Issue(ctx, grants.Unattended{
		Holder:   grants.Holder{ClientID: client.ID(), Upstream: ByClient, Issuer: h.PublicURL, Subject: client.ID(), Name: client.Name},
		Scopes:   scopes,
		Resource: resource, Max: grants.MaxUnattended,
	})
}

// jwtBearer is RFC 7523 section 4 with an identity assertion: the client acts for a
// user who has logged in elsewhere.
func (h *Handler) jwtBearer(ctx context.Context, client *clients.Client, p oauth.Params) (*grants.Issued, error) {
	if e := may(client, config.GrantJWTBearer); e != nil {
		return nil, e
	}
	compact, e := p.Need("assertion")
	if e != nil {
		return nil, e
	}
	who, e := h.Assertions.Verify(ctx, compact, client.ID())
	if e != nil {
		return nil, e
	}
	resource, e := h.meant(who.Resources, p["resource"])
	if e != nil {
		return nil, e
	}
	user := policy.User{Upstream: ByIssuer + who.IssuerName, Claims: who.Claims}
	_, err := h.Policy(ctx).Allowed(user)
	//rule:id-jag-no-rule
	if errors.Is(err, policy.ErrDenied) {
		return nil, oauth.InvalidGrant("this user may not use this server")
	}
	//rule:unnamed-upstream-of-assertion
	if err != nil {
		return nil, oauth.AsError(err)
	}
	// What the assertion says bounds what the request may ask for.
	var bound oauth.Scopes
	if who.Scope != "" {
		var err error
		if bound, err = oauth.ParseScopes(who.Scope); err != nil {
			return nil, oauth.InvalidScope("the assertion's scope is not a list of scope tokens").Because(err)
		}
	}
	scopes, e := h.scopes(ctx, client, resource, p.Get("scope"), bound)
	if e != nil {
		return nil, e
	}
	theirs := h.Policy(ctx).MayHave(scopes, user)
	if theirs.Empty() && !scopes.Empty() {
		return nil, oauth.InvalidScope("this user may have none of the requested scopes")
	}
	name, _ := who.Claims["name"].(string)
	return h.Grants.Issue(ctx, grants.Unattended{
		Holder: grants.Holder{ClientID: client.ID(), Upstream: user.Upstream, Issuer: who.Issuer, Subject: who.Subject, Name: name},
		Claims: who.Claims, Scopes: theirs, Resource: resource, Max: grants.MaxPerUser,
	})
}

// meant is the resource that the request asks for, among those that the assertion
// is for: it must be for one of ours.
func (h *Handler) meant(signed, asked []string) (string, *oauth.Error) {
	none := oauth.InvalidTarget("resource must be one URL of this server that the assertion names")
	var ours []string
	for _, r := range h.Resources {
		//rule:id-jag-resource
		if slices.ContainsFunc(signed, func(s string) bool { return oauth.SameResource(r, s) }) {
			ours = append(ours, r)
		}
	}
	if len(ours) == 0 {
		return "", none
	}
	resource, e := oauth.ChooseResource(h.PublicURL, ours, asked)
	if e != nil {
		return "", none
	}
	return resource, nil
}

// scopes are what the client gets of what it asks for, or, if it does not say, of
// what the resource needs: no more than exists, than it may have, and than bound
// holds, unless that is nil. It is an error if there are scopes and none is left.
func (h *Handler) scopes(ctx context.Context, client *clients.Client, resource, asked string, bound oauth.Scopes) (oauth.Scopes, *oauth.Error) {
	judge := h.Policy(ctx)
	all := judge.Scopes()
	if len(all) == 0 {
		return nil, nil
	}
	wanted := judge.Suggested(h.Paths[resource])
	if bound != nil {
		wanted = bound
	}
	if asked != "" {
		var err error
		if wanted, err = oauth.ParseScopes(asked); err != nil {
			return nil, oauth.InvalidScope("scope is not a list of scope tokens").Because(err)
		}
	}
	granted := slices.DeleteFunc(slices.Clone(wanted), func(s string) bool {
		//rule:id-jag-scope
		return !slices.Contains(all, s) || bound != nil && !slices.Contains(bound, s)
	})
	if granted = client.Narrow(granted); len(granted) == 0 {
		return nil, oauth.InvalidScope("this client may have none of the requested scopes here")
	}
	return granted, nil
}
