// Package store says what the gateway needs of the place where clients and
// grants are kept. Values are sealed before they come here: a store can lose
// or roll back a record, but it can neither read nor forge one.
package store

import (
	"context"
	"errors"
	"time"
)

// Kind is what a record describes. Each kind has parts of the store to itself,
// so that a flood of registrations does not slow the refreshes down.
type Kind uint8

// The kinds of record.
const (
	Client Kind = 1
	Grant  Kind = 2
)

// Kinds are all kinds of record.
var Kinds = [...]Kind{Client, Grant}

func (k Kind) String() string {
	switch k {
	case Client:
		return "client"
	case Grant:
		return "grant"
	}
	return "unknown"
}

var (
	// ErrNotFound says that the store itself, not a copy of it, has no such record.
	ErrNotFound = errors.New("no such record")
	// ErrConflict says that, at some moment during the call, the record was not
	// what the caller thought.
	ErrConflict = errors.New("the record has changed")
	// ErrUnavailable says that the store did not answer. After a write the
	// outcome is unknown.
	ErrUnavailable = errors.New("the store is unavailable")
	// ErrForbidden says, together with ErrUnavailable, that the store takes no such
	// request from who sent it. Not every store can tell.
	ErrForbidden = errors.New("the store forbids it")
	// ErrFull says that the store takes no new records of this kind.
	ErrFull = errors.New("the store is full")
)

// Incomplete says, together with ErrUnavailable, that the store does not have every
// record, so that nobody must serve from it. Its text is for people: it says why, and
// what to do about it.
type Incomplete string

func (i Incomplete) Error() string { return string(i) }

// Room is what a part of the store has left when NewID names it: enough for the
// largest record.
const Room = 20 << 10

// Note is the length up to which a value is no record, but says something about the
// store. A full store takes it all the same.
const Note = 64

// Store keeps records. All methods may be called at once. Values are never
// changed after they were handed over, on either side.
//
// Each value must be unlike every other ever written, which sealing with a
// random nonce makes them. So a value is its own version, and a writer whose
// answer was lost knows its own write when it reads it.
type Store interface {
	// NewID returns an unused id for a record of this kind, in a part of the
	// store that has room. It returns ErrFull when there is none.
	NewID(kind Kind) (ID, error)

	// Get reads the record from the store itself: it sees every write that
	// ended before the call began, on whichever replica. It returns
	// ErrNotFound or ErrUnavailable.
	Get(ctx context.Context, kind Kind, id ID) ([]byte, error)

	// CompareAndSwap replaces value old with value new in one atomic step. A
	// nil old creates the record, a nil new deletes it. Of any number of
	// concurrent calls with the same old, on all replicas, one succeeds.
	//
	// It returns nil if this call's write took place, even if the first answer
	// was lost; ErrConflict if it did not and cannot any more; ErrUnavailable
	// if that could not be found out (it may still take place); and ErrFull.
	// A deletion whose first answer was lost returns nil too if the record is
	// gone by another's deletion of the same value.
	// The observer has seen the write before the call returns nil.
	CompareAndSwap(ctx context.Context, kind Kind, id ID, old, new []byte) error

	// Run keeps the observer up to date until ctx is done, and sweeps expired
	// records. It is called once, and returns an error only if it cannot go on.
	Run(ctx context.Context, observe Observer) error

	// Synced is closed when the observer has seen all records once.
	Synced() <-chan struct{}

	// Heard returns when the observer was last known to be up to date with the
	// part of the store that holds this record: the time of the last event or
	// sign of life of the watch. For a part that is not watched it is the zero time.
	Heard(kind Kind, id ID) time.Time
}

// Observer is told each record's value whenever it changes; nil means that it
// is gone. Calls about one record never run at once and never go back: after
// the value of a later write comes no value of an earlier one. An observer does
// not call the store: writers and readers wait for it.
type Observer func(kind Kind, id ID, value []byte)
