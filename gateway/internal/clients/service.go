package clients

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/assertion"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/records"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/tokens"
)

// Options are what the service needs.
type Options struct {
	Store        store.Store
	Ring         *keys.Ring
	ServerUID    string
	FreshFor     time.Duration
	Registration config.Registration
	// Audiences are what an assertion may name as this server: its issuer, and
	// the URL of its token endpoint, which today's clients use (RFC 7523 section 3).
	Audiences []string
	// KeySets fetches the keys of clients that publish them, and TrustedKeySets
	// those of clients that an administrator has provisioned.
	KeySets, TrustedKeySets KeySets
	// Documents are those by whose URL a client may name itself; nil, none may.
	Documents Documents
	// Provisioned are the clients that an administrator has named.
	Provisioned []config.Client
	// Remembered returns what the grant behind a code or token keeps of its client,
	// or nil. It returns store.ErrUnavailable.
	Remembered func(ctx context.Context, token, clientID string) (*Proof, error)
	// TakeFailure counts a failed authentication by its sender, or says how long
	// they have to wait. Unset, nothing is counted.
	TakeFailure func(*http.Request) (wait time.Duration, ok bool)
	Now         func() time.Time
	Log         *slog.Logger
}

// KeySets knows what clients publish at their jwks_uri.
type KeySets interface {
	// Keys returns the keys at this URL, as new as they have to be to have one of
	// this id, if there is one. An error says that they cannot be read now.
	Keys(ctx context.Context, uri, keyID string) (assertion.Keys, error)
}

// Service finds, registers and authenticates clients.
type Service struct {
	opts  Options
	table *records.Table[Client]
	room  room
	used  *usedAssertions
	// provisioned are by client_id.
	provisioned map[string]*Client
}

// New returns the service; its Observe must be fed by the store.
func New(opts Options) *Service {
	s := &Service{opts: opts, used: newUsedAssertions(), room: room{limit: MaxClients, leaving: map[store.ID]bool{}}, table: records.New(records.Options[Client]{
		Kind: store.Client, Store: opts.Store, Ring: opts.Ring, ServerUID: opts.ServerUID,
		FreshFor: opts.FreshFor, Now: opts.Now, Log: opts.Log,
		Expires: (*Client).expires, Index: (*Client).index,
	}), provisioned: map[string]*Client{}}
	for i := range opts.Provisioned {
		c := &opts.Provisioned[i]
		s.provisioned[c.ID] = provision(c)
	}
	return s
}

// Observe takes a change in the store.
func (s *Service) Observe(id store.ID, value []byte) { s.table.Observe(id, value) }

// Unreadable says how many records do not open with the gateway's keys, and how
// many there are in all.
func (s *Service) Unreadable() (sealed, all int) { return s.table.Unreadable() }

// Rekey is to be called when the ring's keys were replaced.
func (s *Service) Rekey() { s.table.Rekey() }

// Sweep deletes some of the records whose key was dropped.
func (s *Service) Sweep(ctx context.Context) { s.table.Sweep(ctx) }

// Issued is what a client is told once, and kept as a hash only.
type Issued struct {
	// Secret is "" unless one was made.
	Secret string
	// ManagementToken is the registration access token (RFC 7592).
	ManagementToken string
}

// Register writes a new client and returns it with what was made for it. From then
// on every replica knows it. It returns ErrTooMany, store.ErrFull or
// store.ErrUnavailable.
func (s *Service) Register(ctx context.Context, c Client) (*Client, Issued, error) {
	leave, err := s.makeRoom(ctx)
	if err != nil {
		return nil, Issued{}, err
	}
	defer leave()
	id, err := s.table.NewID()
	if err != nil {
		return nil, Issued{}, err
	}
	issued := Issued{ManagementToken: tokens.NewManagementToken()}
	c.ManagementHash = tokens.Hash(issued.ManagementToken)
	if c.hasSecret() {
		issued.Secret = tokens.NewClientSecret()
		c.SecretHash = tokens.Hash(issued.Secret)
	}
	now := s.opts.Now()
	c.id, c.CreatedAt, c.ExpiresAt = id, now.Unix(), now.Add(s.opts.Registration.UnusedTTL()).Unix()
	if err := s.table.Create(ctx, id, &c); err != nil {
		return nil, Issued{}, err
	}
	return &c, issued, nil
}

// Find returns the client with this client_id. It returns store.ErrNotFound on
// the store's own word only, or store.ErrUnavailable; and a *documents.Error for
// one that names itself by a URL.
func (s *Service) Find(ctx context.Context, clientID string) (*Client, error) {
	if s.isDocument(clientID) {
		return s.findDocument(ctx, clientID)
	}
	if c := s.provisioned[clientID]; c != nil {
		return c, nil
	}
	id, err := parseID(clientID)
	if err != nil {
		return nil, err
	}
	//rule:client-unknown-on-copy
	c, err := s.table.Read(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.withID(id), nil
}

// Known returns the client in the local copy, or nil, and when that copy was
// last known to be up to date.
func (s *Service) Known(clientID string) (c *Client, heard time.Time) {
	if s.isDocument(clientID) {
		return s.knownDocument(clientID), s.opts.Now()
	}
	if c := s.provisioned[clientID]; c != nil {
		return c, s.opts.Now()
	}
	id, err := parseID(clientID)
	if err != nil {
		return nil, time.Time{}
	}
	if c, heard = s.table.Peek(id); c != nil {
		c = c.withID(id)
	}
	return c, heard
}

// Exists asks the store itself; its error is store.ErrNotFound or store.ErrUnavailable.
func (s *Service) Exists(ctx context.Context, clientID string) error {
	if s.isDocument(clientID) {
		if s.knownDocument(clientID) == nil {
			return store.ErrNotFound
		}
		return nil
	}
	if s.provisioned[clientID] != nil {
		return nil
	}
	id, err := parseID(clientID)
	if err != nil {
		return err
	}
	_, err = s.table.Get(ctx, id)
	return err
}

func (c *Client) withID(id store.ID) *Client {
	with := *c // records in the copy are never changed
	with.id = id
	return &with
}

func parseID(clientID string) (store.ID, error) {
	rest, ok := strings.CutPrefix(clientID, idPrefix)
	if !ok {
		return store.ID{}, store.ErrNotFound
	}
	id, err := store.ParseID(rest)
	if err != nil {
		return store.ID{}, store.ErrNotFound
	}
	return id, nil
}

// Touch records that the client has got a token: it lives for the whole
// lifetime from now on. To spare the store, it writes only for a client that
// was unused or is past half of its lifetime.
func (s *Service) Touch(ctx context.Context, c *Client) error {
	if !c.recorded() {
		return nil
	}
	now, ttl := s.opts.Now(), s.opts.Registration.TTL()
	enough := now.Add(ttl / 2).Unix()
	if c.Used && c.ExpiresAt > enough {
		return nil
	}
	return s.table.Update(ctx, c.id, func(c *Client) (records.Verdict, error) {
		if c.Used && c.ExpiresAt > enough {
			return records.Keep, nil
		}
		c.Used, c.ExpiresAt = true, now.Add(ttl).Unix()
		return records.Write, nil
	})
}
