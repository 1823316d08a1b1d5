// Package audit writes down what people and clients were let do, and what not:
// one line an event, in constant words, facts as pairs, never a secret.
package audit

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Event is what happened.
type Event string

// The events.
const (
	Registered   Event = "client registered"
	Reregistered Event = "client registered anew"
	Unregistered Event = "client deleted"
	Approved     Event = "grant approved"
	Denied       Event = "grant denied"
	Issued       Event = "tokens issued"
	Refreshed    Event = "tokens refreshed"
	Refused      Event = "request refused"
	Revoked      Event = "token revoked"
)

// Log writes audit lines.
type Log struct {
	log     *slog.Logger
	source  func(*http.Request) netip.Addr
	observe func(*http.Request, Event, []slog.Attr)
}

// New returns a log that writes to log, and takes the address of a request's
// sender from source.
func New(log *slog.Logger, source func(*http.Request) netip.Addr) *Log {
	return &Log{log: log.With("audit", true), source: source}
}

// Observe has f told of each event of a request. It is to be called before the first.
func (l *Log) Observe(f func(r *http.Request, e Event, facts []slog.Attr)) { l.observe = f }

// Record writes one event of a request. Facts are pairs of a constant key and
// a value, which may be a stranger's text.
func (l *Log) Record(r *http.Request, e Event, facts ...slog.Attr) {
	if l.observe != nil {
		l.observe(r, e, facts)
	}
	l.RecordContext(r.Context(), e, append(facts, slog.String("source", l.source(r).String()))...)
}

// RecordContext writes one event that has no request at hand.
func (l *Log) RecordContext(ctx context.Context, e Event, facts ...slog.Attr) {
	level := slog.LevelInfo
	if e == Refused || e == Denied {
		level = slog.LevelWarn
	}
	for i, f := range facts {
		if f.Value.Kind() == slog.KindString {
			//rule:log-injection
			facts[i].Value = slog.StringValue(plain(f.Value.String()))
		}
	}
	l.log.LogAttrs(ctx, level, string(e), facts...) //nolint:sloglint // an Event is one of the constants above
}

// plain replaces the characters that slog's JSON handler lets through and that a
// terminal follows or does not show: the control characters beyond ASCII, and those
// that turn the direction of a line.
func plain(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= 0x80 && unicode.In(c, unicode.Cc, unicode.Cf) {
			return utf8.RuneError
		}
		return c
	}, s)
}

// Claimed makes something that an unknown sender says of itself short enough to
// be written down. The log's handler escapes it.
func Claimed(s string) string {
	const limit = 128
	//rule:log-flooded
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}
