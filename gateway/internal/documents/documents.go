// Package documents finds clients that are not registered, but name themselves by
// the URL of a document that describes them (Client ID Metadata Documents,
// draft-ietf-oauth-client-id-metadata-document), and the keys that clients
// publish. Whoever sends a browser here chooses what is fetched, so all of it is
// bounded: from where, how much, how long, and how often.
package documents

import (
	"context"
	"errors"
	"log/slog"
	"mime"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/assertion"
	"vestibule.dev/vestibule/gateway/internal/egress"
	"vestibule.dev/vestibule/gateway/internal/source"
)

const (
	// maxDocument and maxKeySet bound what is fetched, in bytes. The draft
	// recommends 5 KB for a document; sets may come with certificates.
	maxDocument = 10 << 10
	maxKeySet   = 64 << 10
	// maxKept is how many documents, and how many sets, are kept.
	maxKept = 1000
	// maxFetches is how many fetches run at once: of URLs that have answered well
	// before, and of all others, who thus cannot starve the former.
	maxFetches = 16
	// unknownKeyPause is how long a set is believed when it lacks a key that
	// somebody names.
	unknownKeyPause = 30 * time.Second
)

// How often one replica fetches from one host, and what it has not fetched
// before, for one sender and for all. What it has fetched before counts for
// its host alone, so nobody can use up what known clients need.
var (
	newFromOne  = source.Limit{PerSecond: 0.5, Burst: 30}
	newFromAll  = source.Limit{PerSecond: 5, Burst: 150}
	newAtHost   = source.Limit{PerSecond: 1, Burst: 20}
	knownAtHost = source.Limit{PerSecond: 2, Burst: 20}
	atAllHosts  = source.Limit{PerSecond: 100, Burst: 1000}
)

// Options are what the service needs.
type Options struct {
	Settings config.ClientIDMetadataDocuments
	// Lookup finds a name's addresses; unset, the system does.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	Now    func() time.Time
	Log    *slog.Logger
}

// Service fetches, checks and keeps documents and key sets.
type Service struct {
	opts      Options
	guard     *egress.Guard
	documents *cache[*Document]
	keySets   *cache[assertion.Keys]

	senders          *source.Limiter
	newAt, knownAt   *source.KeyedLimiter[string]
	newcomers, known chan struct{}
}

// New returns the service, or says what in the settings is not what it should be.
func New(o Options) (*Service, error) {
	guard, err := egress.New(egress.Options{
		AllowedHosts: o.Settings.AllowedHosts, DeniedCIDRs: o.Settings.DeniedCIDRs, AllowedCIDRs: o.Settings.AllowedCIDRs,
		CABundleFile: o.Settings.CABundleFile, Lookup: o.Lookup,
	})
	if err != nil {
		return nil, err
	}
	s := &Service{
		opts: o, guard: guard,
		senders:   source.NewLimiter(newFromOne, newFromAll, o.Now),
		newAt:     source.NewKeyedLimiter[string](newAtHost, atAllHosts, o.Now),
		knownAt:   source.NewKeyedLimiter[string](knownAtHost, atAllHosts, o.Now),
		newcomers: make(chan struct{}, maxFetches), known: make(chan struct{}, maxFetches),
	}
	s.documents = newCache(maxKept, o.Now, s.fetchDocument)
	s.keySets = newCache(maxKept, o.Now, s.fetchKeys)
	return s, nil
}

// Kind says what kind of no an Error is.
type Kind int

// The kinds.
const (
	// NotAllowed is a client that the configuration does not let in, whatever its
	// document says.
	NotAllowed Kind = iota
	// Invalid is a document that was read, and is not what it should be.
	Invalid
	// Unreachable is a document that was not read: it may be good.
	Unreachable
	// Busy is one that was not asked for, since too much is.
	Busy
)

// Error says why there is no document.
type Error struct {
	Kind Kind
	// Reason, if set, continues the sentence that begins with the document, for
	// people. It quotes nothing of the document, and says nothing of the network:
	// what can be reached from here is no stranger's business.
	Reason string
	// Cause is for the log.
	Cause error
	// RetryAfter is set of a Busy one.
	RetryAfter time.Duration
}

func (e *Error) Error() string {
	s := []string{"the document cannot be used", "the document", "the document cannot be read", "too many documents are asked for"}[e.Kind]
	if e.Reason != "" {
		s += " " + e.Reason
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Cause }

// Allowed says why no client may have this client_id, or returns nil. It asks
// nobody, and costs next to nothing.
func (s *Service) Allowed(clientID string) *Error {
	if !s.opts.Settings.Enabled {
		return &Error{Kind: NotAllowed, Cause: errors.New("clientIDMetadataDocuments is not enabled")}
	}
	u, err := CheckClientID(clientID)
	if err != nil {
		return &Error{Kind: NotAllowed, Cause: err}
	}
	if err := s.guard.CheckURL(u); err != nil {
		return &Error{Kind: NotAllowed, Cause: err}
	}
	return nil
}

// Find returns the document of the client with this client_id. The error is an *Error.
func (s *Service) Find(ctx context.Context, clientID string) (*Document, error) {
	if e := s.Allowed(clientID); e != nil {
		return nil, e
	}
	d, err := s.documents.fresh(ctx, clientID)
	if err != nil {
		return nil, asError(err)
	}
	return d, nil
}

// Last returns the document as it was last read, however long ago, or nil. It
// serves those who have a grant already: that a client's host is down must not
// sign its users out.
func (s *Service) Last(clientID string) *Document {
	if it := s.documents.last(clientID); it != nil && s.Allowed(clientID) == nil {
		return it.value
	}
	return nil
}

// ErrNoSuchKey says that keys were read a moment ago, too short for another look,
// and that the one in question was not among them. It may be new, or withdrawn.
var ErrNoSuchKey = errors.New("the key set was read a moment ago, and has no such key")

// Keys returns the keys that are published at a URL, as new as they have to be
// to have one of this id, if there is one. The error, an *Error, says that they
// cannot be read now; its cause may be ErrNoSuchKey.
func (s *Service) Keys(ctx context.Context, uri, keyID string) (assertion.Keys, error) {
	last := s.keySets.last(uri)
	if last != nil && s.opts.Now().Before(last.freshUntil) && last.value.Has(keyID) {
		return last.value, nil
	}
	if last != nil && s.opts.Now().Before(last.fetchedAt.Add(unknownKeyPause)) && !last.value.Has(keyID) {
		return assertion.Keys{}, &Error{Kind: Busy, Cause: ErrNoSuchKey, RetryAfter: unknownKeyPause}
	}
	keys, err := s.keySets.refresh(ctx, uri)
	switch {
	case err == nil:
		return keys, nil
	case last != nil && last.value.Has(keyID):
		return last.value, nil
	}
	return assertion.Keys{}, asError(err)
}

// asError sorts out what a fetch returns.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Kind: Unreachable, Cause: err}
}

func (s *Service) fetchDocument(ctx context.Context, clientID string, known bool) (*Document, time.Duration, error) {
	answer, err := s.get(ctx, clientID, maxDocument, known)
	if err != nil {
		return nil, 0, err
	}
	d, err := parse(clientID, answer.Body)
	if err != nil {
		return nil, 0, s.invalid(ctx, clientID, err.Error())
	}
	if u, err := url.Parse(d.JWKSURI); d.JWKSURI != "" && (err != nil || s.guard.CheckURL(u) != nil) {
		return nil, 0, s.invalid(ctx, clientID, "has a jwks_uri that this server does not fetch from")
	}
	return d, freshFor(answer.Header, maxFresh), nil
}

func (s *Service) fetchKeys(ctx context.Context, uri string, known bool) (assertion.Keys, time.Duration, error) {
	answer, err := s.get(ctx, uri, maxKeySet, known)
	if err != nil {
		return assertion.Keys{}, 0, err
	}
	keys, err := assertion.ParseKeys(answer.Body)
	if err != nil {
		return assertion.Keys{}, 0, s.invalid(ctx, uri, err.Error())
	}
	return keys, freshFor(answer.Header, maxFreshKeys), nil
}

// get fetches JSON, if there is room for one more fetch.
func (s *Service) get(ctx context.Context, target string, limit int64, known bool) (*egress.Answer, error) {
	if e := s.take(ctx, target, known); e != nil {
		s.opts.Log.WarnContext(ctx, "a fetch for a client was put off", "url", target, "reason", e.Cause.Error())
		return nil, e
	}
	room := s.newcomers
	if known {
		room = s.known
	}
	ctx, cancel := context.WithTimeout(ctx, egress.Timeout)
	defer cancel()
	select {
	case room <- struct{}{}:
		defer func() { <-room }()
	case <-ctx.Done():
		return nil, &Error{Kind: Busy, Cause: errors.New("too many fetches are running"), RetryAfter: time.Second}
	}
	answer, err := s.guard.Get(ctx, target, limit)
	if err != nil {
		s.opts.Log.WarnContext(ctx, "a fetch for a client failed", "url", target, "error", err)
		e := &Error{Kind: Unreachable, Cause: err}
		if bad, ok := errors.AsType[*egress.AnswerError](err); ok {
			e.Reason = "cannot be used as it was sent: " + bad.Reason
		}
		return nil, e
	}
	if !isJSON(answer.Header.Get("Content-Type")) {
		return nil, s.invalid(ctx, target, "is not sent as application/json")
	}
	return answer, nil
}

func (s *Service) invalid(ctx context.Context, target, reason string) *Error {
	s.opts.Log.WarnContext(ctx, "what a client publishes cannot be used", "url", target, "reason", reason)
	return &Error{Kind: Invalid, Reason: reason}
}

// take counts a fetch, or says that it is one too many.
func (s *Service) take(ctx context.Context, target string, known bool) *Error {
	u, err := url.Parse(target)
	if err != nil {
		return &Error{Kind: NotAllowed, Cause: err}
	}
	busy := func(wait time.Duration, why string) *Error {
		return &Error{Kind: Busy, Cause: errors.New(why), RetryAfter: wait}
	}
	if known {
		if wait, ok := s.knownAt.Take(u.Host); !ok {
			return busy(wait, "too many fetches from this host")
		}
		return nil
	}
	//rule:fetches-without-number
	if wait, ok := s.senders.Take(source.AddrOf(ctx)); !ok {
		return busy(wait, "too many new URLs from this sender, or in all")
	}
	if wait, ok := s.newAt.Take(u.Host); !ok {
		return busy(wait, "too many new URLs at this host")
	}
	return nil
}

// isJSON says whether a media type is JSON, or more closely something in JSON.
func isJSON(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && (mediaType == "application/json" || strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json"))
}
