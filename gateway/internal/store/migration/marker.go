package migration

import (
	"crypto/rand"
	"errors"
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

// What a marker says.
const (
	copying  = 1 // records are being copied here
	done     = 2 // all were
	left     = 3 // all were copied from here
	returned = 4 // then somebody served from here again
)

// marker is what is under markerID. Like records it is read by later versions.
type marker struct {
	State uint8 `cbor:"1,keyasint"`
	// Move names the move: one and the same in the store that is done, and in the
	// one that was left.
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

// newMarker returns a value that was never written before.
func newMarker(state uint8, move []byte) []byte {
	b, err := cbor.Marshal(marker{state, move, random()})
	if err != nil {
		panic(err) // of numbers and bytes
	}
	return append(store.AppendHeader(nil, forever), b...)
}

var errMarker = errors.New("the store has a migration's marker that this version cannot read")

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
	if m.State < copying || m.State > returned {
		return m, errMarker
	}
	return m, nil
}
