package grants

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"github.com/fxamacker/cbor/v2"

	"vestibule.dev/vestibule/gateway/internal/clients"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/records"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/tokens"
	"vestibule.dev/vestibule/gateway/internal/upstream"
	"vestibule.dev/vestibule/gateway/policy"
)

// claimsDecoder gives claims the types that JSON gives them, which is what
// access rules expect.
var claimsDecoder = func() cbor.DecMode {
	mode, err := cbor.DecOptions{DefaultMapType: reflect.TypeFor[map[string]any]()}.DecMode()
	if err != nil {
		panic(err) // constant options
	}
	return mode
}()

// Clients is what the service asks of the registered clients.
type Clients interface {
	// Known returns the client in the local copy, or nil, and how old that copy is.
	Known(clientID string) (*clients.Client, time.Time)
	// Exists asks the store: store.ErrNotFound or store.ErrUnavailable.
	Exists(ctx context.Context, clientID string) error
}

// Upstreams are what the service asks of the identity providers.
type Upstreams interface {
	// Serves says whether users of the issuer log in at the upstream of that name:
	// never at one that is not, or no longer, configured.
	Serves(name, issuer string) bool
	// Renew asks an upstream that is configured again: see upstream.Upstream.
	Renew(ctx context.Context, name string, t upstream.Tokens, was upstream.Identity) (*upstream.Renewed, error)
}

// Options are what the service needs.
type Options struct {
	Store     store.Store
	Ring      *keys.Ring
	ServerUID string
	Clients   Clients
	FreshFor  time.Duration
	// OutageTolerance is how long tokens that are already known stay good
	// while the store does not answer.
	OutageTolerance time.Duration
	AccessTokenTTL  time.Duration
	RefreshTokenTTL time.Duration
	// Policy returns what a request is judged by: the same throughout the request.
	Policy func(ctx context.Context) Policy
	// Upstreams are where users log in.
	Upstreams Upstreams
	// Vouches says whether the one on whose word a client has a grant without a user
	// is trusted with that client still.
	Vouches func(clientID, upstream, issuer string) bool
	// PublicURL, when set, is what older clients name in place of a resource:
	// at the token endpoint it stands for the grant's, whichever that is.
	PublicURL string
	Now       func() time.Time
	Log       *slog.Logger
}

// Policy says who may have a grant, and what for. It is immutable.
type Policy interface {
	// Grantable are the scopes that are configured: what a grant has beyond them is lost.
	Grantable() oauth.Scopes
	// Allowed says by which rule a user may have a grant. The error is policy.ErrDenied,
	// or that nobody can say.
	Allowed(u policy.User) (rule string, err error)
	// MayHave returns those of the scopes that a user may have.
	MayHave(scopes oauth.Scopes, u policy.User) oauth.Scopes
}

// Service makes, redeems, refreshes, checks and ends grants.
type Service struct {
	opts    Options
	table   *records.Table[grant]
	dead    *deadTokens
	changes changes
}

// New returns the service; its Observe must be fed by the store.
func New(opts Options) *Service {
	return &Service{opts: opts, dead: newDeadTokens(), table: records.New(records.Options[grant]{
		Kind: store.Grant, Store: opts.Store, Ring: opts.Ring, ServerUID: opts.ServerUID,
		FreshFor: opts.FreshFor, Now: opts.Now, Log: opts.Log,
		Expires: (*grant).expires, Index: (*grant).user,
	})}
}

// Observe takes a change in the store.
func (s *Service) Observe(id store.ID, value []byte) {
	s.table.Observe(id, value)
	s.changes.tell(id)
}

// Unreadable says how many records do not open with the gateway's keys, and how
// many there are in all.
func (s *Service) Unreadable() (sealed, all int) { return s.table.Unreadable() }

// Rekey is to be called when the ring's keys were replaced.
func (s *Service) Rekey() { s.table.Rekey() }

// Sweep deletes some of the records whose key was dropped.
func (s *Service) Sweep(ctx context.Context) { s.table.Sweep(ctx) }

// Holder says whose a grant is.
type Holder struct {
	ClientID, Upstream, Issuer, Subject, Name string
}

// Approval is what a user has approved.
type Approval struct {
	Holder
	Claims map[string]any
	// Sources are those of the claims.
	Sources     *upstream.Sources
	Scopes      oauth.Scopes
	Resource    string
	RedirectURI string
	// Challenge is the SHA-256 that the code verifier must have.
	Challenge []byte
	// Proof is what the grant has to keep of its client, if anything.
	Proof *clients.Proof
	// Tokens are the upstream's, or nil if it cannot be asked again. Then MaxAge,
	// if positive, bounds how long the grant lives.
	Tokens *upstream.Tokens
	MaxAge time.Duration
}

// Create writes a grant and returns the authorization code for it. It returns
// store.ErrFull or store.ErrUnavailable.
func (s *Service) Create(ctx context.Context, a Approval) (authorizationCode string, err error) {
	id, err := s.table.NewID()
	if err != nil {
		return "", err
	}
	now := s.opts.Now()
	//rule:code-lives-long
	codeExpires := now.Add(CodeTTL)
	authorizationCode = s.mint(tokens.Code, id, 0, codeExpires, tokens.NewSecret(), now)
	g := &grant{
		ClientID: a.ClientID, Upstream: a.Upstream, Issuer: a.Issuer, Subject: a.Subject, Name: a.Name,
		Scopes: a.Scopes, Resource: a.Resource, Proof: a.Proof,
		CreatedAt: now.Unix(), ExpiresAt: now.Add(s.lifetime(a)).Unix(),
	}
	d := data{Claims: a.Claims}
	if a.Tokens != nil {
		g.UpstreamGeneration, d.Upstream, d.Sources = 1, keepTokens(*a.Tokens, now), keepSources(a.Sources)
	}
	dataKey := newDataKey()
	if g.Data, err = sealData(id, dataKey, d); err != nil {
		return "", err
	}
	held, err := hold(id, authorizationCode, dataKey)
	if err != nil {
		return "", err
	}
	g.Code = &code{heldToken: held, Challenge: a.Challenge, RedirectURI: a.RedirectURI, ExpiresAt: codeExpires.Unix()}
	return authorizationCode, s.table.Create(ctx, id, g)
}

// lifetime is how long a grant lives from login.
func (s *Service) lifetime(a Approval) time.Duration {
	if a.Tokens == nil && a.MaxAge > 0 {
		return min(a.MaxAge, s.opts.RefreshTokenTTL)
	}
	return s.opts.RefreshTokenTTL
}

// ProofOf returns what the grant behind a code or token keeps of its client, or
// nil: if it keeps nothing, is not this client's, or is not there. The token is
// not checked beyond its MAC, since nothing in the answer is secret. The error is
// store.ErrUnavailable.
func (s *Service) ProofOf(ctx context.Context, token, clientID string) (*clients.Proof, error) {
	now := s.opts.Now()
	for _, kind := range []tokens.Kind{tokens.Refresh, tokens.Code, tokens.Access} {
		t, err := tokens.Parse(s.opts.Ring, kind, token, now)
		if errors.Is(err, keys.ErrNotYet) {
			return nil, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
		}
		if err != nil {
			continue
		}
		g, err := s.table.Read(ctx, t.Record)
		if errors.Is(err, store.ErrNotFound) || err == nil && g.ClientID != clientID {
			return nil, nil //nolint:nilnil // nothing is kept, which is no error
		}
		if err != nil {
			return nil, err
		}
		return g.Proof, nil
	}
	return nil, nil //nolint:nilnil // as above
}

func (s *Service) mint(kind tokens.Kind, id store.ID, generation uint32, expires time.Time, secret [tokens.SecretLen]byte, now time.Time) string {
	return tokens.Mint(s.opts.Ring.Current(now), tokens.Token{Kind: kind, Record: id, Generation: generation, Expires: expires}, secret)
}

// Issued is what a token request gets.
type Issued struct {
	Holder
	GrantID      string
	AccessToken  string
	RefreshToken string
	Scopes       oauth.Scopes
	// ExpiresIn is how long the access token is good, in seconds.
	ExpiresIn int64
	Resource  string
	// Retried says that these tokens were already issued by an earlier request
	// with the same refresh token.
	Retried bool
}

// protocolError turns what a table returns into an answer. Only the store's own
// word makes an absent record an invalid_grant.
func protocolError(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return oauth.InvalidGrant("the grant has ended").Because(err)
	}
	if _, ok := errors.AsType[*oauth.Error](err); ok {
		return err
	}
	//rule:outage-ends-grants
	return oauth.Unavailable(err)
}

// unread is the answer to a code or refresh token that cannot be read. One whose key
// is on its way here is not refused.
func unread(description string, err error) *oauth.Error {
	if errors.Is(err, keys.ErrNotYet) {
		return oauth.Unavailable(err)
	}
	return oauth.InvalidGrant("%s", description).Because(err)
}
