package migration

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// markerID is where a store says what moves to it or from it. NewID never returns
// it, and it is no record: nobody but this package sees it.
var markerID store.ID

const markerKind = store.Grant

var markerKey = key{markerKind, markerID}

// What a marker says. Every store is one of a server's own, so one that has no marker
// has all the server's records, or there are none.
const (
	unmarked = 0
	copying  = 1 // records are being copied here, and some may not be there yet
	done     = 2 // all were
	left     = 3 // all were copied from here
)

// marker is what is under markerID. Like records it is read by later versions.
type marker struct {
	State uint8 `cbor:"1,keyasint"`
	// Move names the move: one and the same in the store that records come to, whoever
	// copies them, and in the one that was left.
	Move []byte `cbor:"2,keyasint"`
	// Nonce makes the value unlike every other.
	Nonce []byte `cbor:"3,keyasint"`
}

// forever is when markers expire: later than any record.
var forever = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

func random() []byte {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}

// newMarker returns a value that was never written before. It is a store.Note.
func newMarker(state uint8, move []byte) []byte {
	b, err := cbor.Marshal(marker{state, move, random()})
	if err != nil {
		panic(err) // of numbers and bytes
	}
	return append(store.AppendHeader(nil, forever), b...)
}

// readMarker returns the zero marker for no value.
func readMarker(value []byte) (m marker, err error) {
	if value == nil {
		return m, nil
	}
	if _, ok := store.Expires(value); !ok {
		return m, errMarker
	}
	if err := cbor.Unmarshal(value[store.HeaderLen:], &m); err != nil {
		return m, fmt.Errorf("%w: %w", errMarker, err)
	}
	if m.State < copying || m.State > left {
		return m, errMarker
	}
	return m, nil
}

// Why nobody serves from a store, or copies to it.
const (
	errMarker = store.Incomplete("a later version of the gateway has moved records, and this one cannot read what it has noted: " +
		"let all gateways be of that version")
	errLeft = store.Incomplete("the records were moved from this store to another: " +
		"set the type that they were moved to, with migrateFrom, again")
	errUnfinished = store.Incomplete("only a part of the records was moved to this store: " +
		"set migrateFrom again, and leave it there until the condition OAuthKVBound says Migrated")
	errElsewhere = store.Incomplete("the records of the store that migrateFrom names were moved before, and not to this one: " +
		"let the settings of the new store be those of the one that has them")
	errPartialSource = store.Incomplete("the store that migrateFrom names has only a part of the records, since a move to it was not finished: " +
		"remove migrateFrom")
	errSilent = store.Incomplete("the store that migrateFrom names does not answer: " +
		"see why, or set it as the type again, without migrateFrom, to give up")
	errFull = store.Incomplete("the new store is full before every record is in it: " +
		"let it have more room, or set the old type again, without migrateFrom, to give up")
	errInUse = store.Incomplete("this store has records that were not moved here, which a move would replace: " +
		"remove migrateFrom, since this is the store that is in use")
)

// serves returns nil if a store with this marker has every record.
func (m marker) serves() error {
	switch m.State {
	case copying:
		return errUnfinished
	case left:
		//rule:left-store-served
		return errLeft
	}
	return nil
}

// gives returns nil if a store with this marker has every record that is to move to
// another, whose marker is to.
func (m marker) gives(to marker) error {
	switch {
	case m.State == copying:
		return errPartialSource
	//rule:left-store-copied
	case m.State == left && (to.State != copying || !bytes.Equal(to.Move, m.Move)):
		return errElsewhere // Else somebody has died just before the end of this move.
	}
	return nil
}
