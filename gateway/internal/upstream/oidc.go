package upstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"

	"vestibule.dev/vestibule/gateway/internal/keys"
)

// oidcProvider is what only a provider of OpenID Connect has.
type oidcProvider struct {
	verifier *rp.IDTokenVerifier
	userinfo string
	// sendsIss says that its authorization responses name it (RFC 9207).
	sendsIss bool
}

// document is what is used of a discovery document.
type document struct {
	Issuer        string   `json:"issuer"`
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Keys          string   `json:"jwks_uri"`
	Userinfo      string   `json:"userinfo_endpoint"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
	SendsIss      bool     `json:"authorization_response_iss_parameter_supported"`
}

func (u *Upstream) discoverOIDC(ctx context.Context, p *provider) error {
	c := u.config.OIDC
	address := c.DiscoveryURL
	if address == "" {
		address = strings.TrimSuffix(c.IssuerURL, "/") + "/.well-known/openid-configuration"
	}
	var d document
	if err := p.getJSON(ctx, address, "", &d); err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	//rule:upstream-issuer
	if d.Issuer != c.IssuerURL {
		return ErrIssuerDiffers
	}
	if err := d.checkEndpoints(); err != nil {
		return err
	}
	p.oauth.Scopes = append([]string{oidc.ScopeOpenID}, p.oauth.Scopes...)
	p.oauth.Endpoint = oauth2.Endpoint{AuthURL: d.Authorization, TokenURL: d.Token, AuthStyle: authStyle(d.AuthMethods, p.secret)}
	p.oidc = &oidcProvider{userinfo: d.Userinfo, sendsIss: d.SendsIss}
	if c.IDTokenOnly {
		p.oidc.userinfo = ""
	}
	options := []rp.VerifierOption{
		rp.WithIssuedAtOffset(clockSkew), rp.WithNonce(nil), rp.WithSupportedSigningAlgorithms(algorithms(d.Algorithms)...),
	}
	if len(c.Issuers) > 0 {
		// Which of them it is, is looked at when the signature has been.
		options = append(options, rp.WithISSVerifier(func(string) error { return nil }))
	}
	keys := &keySet{fetch: func(ctx context.Context, into any) error { return p.getJSON(ctx, d.Keys, "", into) }, now: u.now}
	p.oidc.verifier = rp.NewIDTokenVerifier(c.IssuerURL, c.ClientID, keys, options...)
	return nil
}

// checkEndpoints returns an insecureError for the first endpoint that is not secure.
func (d *document) checkEndpoints() error {
	for _, endpoint := range []struct{ name, url string }{
		{"authorization_endpoint", d.Authorization}, {"token_endpoint", d.Token}, {"jwks_uri", d.Keys}, {"userinfo_endpoint", d.Userinfo},
	} {
		if endpoint.url == "" && endpoint.name == "userinfo_endpoint" {
			continue
		}
		//rule:insecure-endpoint
		if u, err := url.Parse(endpoint.url); err != nil || !secure(u) {
			return insecureError(endpoint.name)
		}
	}
	return nil
}

// algorithms are those of the discovery document that need a public key to be
// checked: with any other, anybody could sign.
func algorithms(supported []string) []string {
	good := []string{"RS256", "ES256", "PS256", "RS384", "ES384", "PS384", "RS512", "ES512", "PS512", "EdDSA"}
	both := slices.DeleteFunc(slices.Clone(good), func(a string) bool { return !slices.Contains(supported, a) })
	if len(both) == 0 {
		return good[:3]
	}
	return both
}

// authStyle is chosen here because a library that tries both sends a failing
// exchange twice.
func authStyle(methods []string, secret string) oauth2.AuthStyle {
	if secret == "" || len(methods) > 0 && !slices.Contains(methods, string(oidc.AuthMethodBasic)) {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader // the default of OpenID Connect Discovery section 3
}

// identifyOIDC reads who a token response is about. A refresh need not come with an
// id token: then the claims of the last one still count.
func (u *Upstream) identifyOIDC(ctx context.Context, p *provider, t *oauth2.Token, b before) (*Identity, error) {
	who := &Identity{Claims: map[string]any{}, Sources: &Sources{}}
	raw, _ := t.Extra("id_token").(string)
	switch {
	case raw != "":
		idToken, err := verify(ctx, p.oidc.verifier, t.AccessToken, raw, b)
		if err != nil {
			return nil, classify(err)
		}
		who.Issuer, who.Subject = idToken.Issuer, idToken.Subject
		maps.Copy(who.Claims, idToken.Claims)
	case b.identity != nil:
		who.Issuer, who.Subject = b.identity.Issuer, b.identity.Subject
		maps.Copy(who.Claims, b.identity.idTokenClaims(p.oidc.userinfo != ""))
	default:
		return nil, fmt.Errorf("%w: there is no id token in it", ErrRefused)
	}
	if err := b.sameUser(who); err != nil {
		return nil, err
	}
	if p.oidc.userinfo != "" {
		if err := u.addUserinfo(ctx, p, t.AccessToken, who, b); err != nil {
			return nil, err
		}
	}
	u.settle(who.Claims)
	who.Sources.forget(who.Claims)
	who.Name = displayName(who.Claims, who.Subject)
	return who, u.admit(who)
}

func verify(ctx context.Context, v *rp.IDTokenVerifier, accessToken, raw string, b before) (*oidc.IDTokenClaims, error) {
	idToken, err := rp.VerifyTokens[*oidc.IDTokenClaims](ctx, accessToken, raw, v)
	if err != nil {
		return nil, err
	}
	// That of a refresh need not have it (OpenID Connect Core section 12.2).
	//rule:upstream-nonce
	if again := b.identity != nil && idToken.Nonce == ""; !again && !keys.Equal([]byte(idToken.Nonce), []byte(b.nonce)) {
		return nil, oidc.ErrNonceInvalid
	}
	return idToken, nil
}

// addUserinfo adds the claims of the userinfo endpoint. If that refuses for good, it
// adds none, and who.Missing says why. It returns ErrUnreachable, ErrRefused or
// ErrOtherUser.
func (u *Upstream) addUserinfo(ctx context.Context, p *provider, accessToken string, who *Identity, b before) error {
	var info map[string]any
	err := p.getJSON(ctx, p.oidc.userinfo, accessToken, &info)
	if status, ok := errors.AsType[statusError](err); ok && status.permanent() {
		who.Missing = fmt.Errorf("no claims from its userinfo endpoint: %w", status)
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: no answer from its userinfo endpoint: %s", ErrUnreachable, netText(err))
	}
	//rule:userinfo-of-another
	if subject := info["sub"]; subject != who.Subject {
		//rule:renewed-userinfo-of-another
		if _, ok := subject.(string); ok && b.identity != nil {
			return ErrOtherUser
		}
		return fmt.Errorf("%w: its userinfo endpoint answers for another user", ErrRefused)
	}
	if _, ok := info["email"]; ok {
		// One source says both, or the id token's word would vouch for userinfo's address.
		//rule:email-verified-elsewhere
		delete(who.Claims, u.emailProof())
	}
	maps.Copy(who.Claims, info)
	who.Sources.Userinfo = slices.Sorted(maps.Keys(info))
	return nil
}

const emailVerified = "email_verified"

func (u *Upstream) emailProof() string {
	if proof := u.config.OIDC.EmailProof; proof != "" {
		return proof
	}
	return emailVerified
}

// settle leaves the claims that may be decided on.
func (u *Upstream) settle(claims map[string]any) {
	proof := u.emailProof()
	switch v := claims[proof]; {
	case v == true, v == "true": // as some providers write it
	case proof != emailVerified && (v == "1" || v == 1.0): // as Entra writes it
	default:
		//rule:email-unverified
		delete(claims, "email")
	}
	if _, ok := claims["email"]; ok {
		claims[emailVerified] = true
	} else if proof != emailVerified || claims[emailVerified] != false {
		delete(claims, emailVerified)
	}
	// What is somewhere else is not here (OpenID Connect Core section 5.6.2), as
	// Entra does with the groups of users that have many.
	if elsewhere, ok := claims["_claim_names"].(map[string]any); ok {
		for name := range elsewhere {
			//rule:claims-elsewhere
			delete(claims, name)
		}
	}
	for _, name := range []string{"nonce", "at_hash", "c_hash", "sid", "_claim_names", "_claim_sources"} {
		delete(claims, name)
	}
}

// admit returns ErrNotAdmitted for a user that is not of the configured domains
// or tenants.
func (u *Upstream) admit(who *Identity) error {
	//rule:id-token-of-another-issuer
	if !u.Serves(who.Issuer) {
		return ErrNotAdmitted
	}
	for name, values := range u.config.OIDC.RequiredClaims {
		//rule:everybody-admitted
		if value, ok := who.Claims[name].(string); !ok || !slices.Contains(values, value) {
			return ErrNotAdmitted
		}
	}
	return nil
}

func displayName(claims map[string]any, subject string) string {
	for _, name := range []string{"email", "preferred_username", "login", "name"} {
		if s, _ := claims[name].(string); s != "" && len(s) <= 256 {
			return s
		}
	}
	return subject
}
