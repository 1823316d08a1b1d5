package devidp

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

const (
	// loginLifetime is how long a person may look for the password.
	loginLifetime = 10 * time.Minute
	// codeLifetime is how long a relying party may take to redeem a code.
	codeLifetime = time.Minute
	// tokenLifetime is how long an access token opens userinfo.
	tokenLifetime = 5 * time.Minute
	// maxLogins bounds what visitors without a password can make the process remember.
	maxLogins = 1000
)

// storage keeps everything in memory: a restart ends all logins, and nobody
// stays logged in anyway.
type storage struct {
	unsupported
	client *client
	users  users
	key    signingKey
	now    func() time.Time

	mu      sync.Mutex
	pending map[string]*login // by id, until the password is right
	codes   map[string]*login // by code, until it is redeemed
	tokens  map[string]token  // by id
}

// token is what an access token allows.
type token struct {
	subject string
	scopes  []string
	expires time.Time
}

var _ op.Storage = (*storage)(nil)

func newStorage(c *client, us users, key signingKey, now func() time.Time) *storage {
	return &storage{
		client: c, users: us, key: key, now: now,
		pending: map[string]*login{}, codes: map[string]*login{}, tokens: map[string]token{},
	}
}

// forget drops what has expired. The caller holds the lock.
func (s *storage) forget() {
	now := s.now()
	expired := func(_ string, l *login) bool { return !now.Before(l.expires) }
	maps.DeleteFunc(s.pending, expired)
	maps.DeleteFunc(s.codes, expired)
	maps.DeleteFunc(s.tokens, func(_ string, t token) bool { return !now.Before(t.expires) })
}

// CreateAuthRequest begins a login in the browser that the context names.
func (s *storage) CreateAuthRequest(ctx context.Context, r *oidc.AuthRequest, _ string) (op.AuthRequest, error) {
	if err := admit(r); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	if len(s.pending) >= maxLogins {
		return nil, oidc.ErrServerError().WithDescription("too many logins are waiting for a password")
	}
	l := &login{id: rand.Text(), browser: browserFrom(ctx), request: *r, expires: s.now().Add(loginLifetime)}
	s.pending[l.id] = l
	return l, nil
}

// waiting returns the login of this id if it was begun in this browser and
// still waits for a password.
func (s *storage) waiting(id, browser string) (*login, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	l, ok := s.pending[id]
	return l, ok && equal(l.browser, browser)
}

// complete spends a waiting login and returns its code in the same step: of any
// number of concurrent callers one gets it.
func (s *storage) complete(waiting *login, subject string) (code string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	if _, ok := s.pending[waiting.id]; !ok {
		return "", false
	}
	delete(s.pending, waiting.id)
	done := *waiting
	done.subject, done.authTime = subject, s.now()
	done.expires = done.authTime.Add(codeLifetime)
	code = rand.Text()
	s.codes[code] = &done
	return code, true
}

// AuthRequestByCode spends the code, whatever becomes of the token request: the
// library would do so only after it has issued tokens, and once per caller.
func (s *storage) AuthRequestByCode(_ context.Context, code string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	l, ok := s.codes[code]
	if !ok {
		return nil, errors.New("the code is unknown, expired or spent")
	}
	delete(s.codes, code)
	return l, nil
}

// DeleteAuthRequest has nothing to do: a login is gone once its code is spent.
func (s *storage) DeleteAuthRequest(context.Context, string) error { return nil }

// CreateAccessToken keeps what the access token allows under a random id.
func (s *storage) CreateAccessToken(_ context.Context, r op.TokenRequest) (string, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	id, t := rand.Text(), token{subject: r.GetSubject(), scopes: r.GetScopes(), expires: s.now().Add(tokenLifetime)}
	s.tokens[id] = t
	return id, t.expires, nil
}

// SetUserinfoFromToken answers userinfo.
func (s *storage) SetUserinfoFromToken(_ context.Context, info *oidc.UserInfo, id, _, _ string) error {
	s.mu.Lock()
	s.forget()
	t, ok := s.tokens[id]
	s.mu.Unlock()
	user, known := s.users.bySubject(t.subject)
	if !ok || !known {
		return oidc.ErrAccessDenied().WithDescription("the access token has expired")
	}
	user.describe(info, t.scopes)
	return nil
}

// SetUserinfoFromScopes gives the id token no claim about the user but the
// subject, which the library takes from here: userinfo has the others.
func (s *storage) SetUserinfoFromScopes(_ context.Context, info *oidc.UserInfo, subject, _ string, _ []string) error {
	info.Subject = subject
	return nil
}

func (s *storage) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	if id != s.client.id {
		return nil, errors.New("the client is unknown")
	}
	return s.client, nil
}

func (s *storage) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	if id != s.client.id || !equal(secret, s.client.secret) {
		return errors.New("the client id or its secret is wrong")
	}
	return nil
}

func (s *storage) SigningKey(context.Context) (op.SigningKey, error) { return s.key, nil }

func (s *storage) KeySet(context.Context) ([]op.Key, error) {
	return []op.Key{verificationKey{s.key}}, nil
}

func (s *storage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.ES256}, nil
}

func (s *storage) Health(context.Context) error { return nil }
