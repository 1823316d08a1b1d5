package records

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"

	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// errSealed says that a value does not open. It is never taken for an absent
// record: a gateway with the wrong keys must not sign everybody out.
var errSealed = errors.New("the record does not open")

// sealer turns records into values of a store and back. A value is the store's
// header, the key's id, and the record under a key of its own. The associated
// data ties it to its server, kind, id and header: who can write to the store
// can delete or roll back, but not forge, change or move.
type sealer struct {
	ring *keys.Ring
	uid  string
	kind store.Kind
}

func (s sealer) seal(id store.ID, record any, expires, now time.Time) ([]byte, error) {
	plain, err := cbor.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("encoding a record: %w", err)
	}
	key := s.ring.Current(now)
	head := append(store.AppendHeader(make([]byte, 0, len(plain)+64), expires), key.ID)
	aead, err := key.AEAD(keys.LabelStore, id[:])
	if err != nil {
		return nil, fmt.Errorf("sealing a record: %w", err)
	}
	return aead.Seal(head, nil, plain, s.associated(id, head)), nil
}

func (s sealer) open(id store.ID, value []byte, into any) error {
	if _, ok := store.Expires(value); !ok || len(value) <= store.HeaderLen {
		return fmt.Errorf("%w: unknown format", errSealed)
	}
	head, sealed := value[:store.HeaderLen+1], value[store.HeaderLen+1:]
	key, err := s.ring.Find(head[store.HeaderLen])
	if err != nil {
		return fmt.Errorf("%w: %w", errSealed, err)
	}
	aead, err := key.AEAD(keys.LabelStore, id[:])
	if err != nil {
		return fmt.Errorf("opening a record: %w", err)
	}
	plain, err := aead.Open(nil, nil, sealed, s.associated(id, head))
	if err != nil {
		return fmt.Errorf("%w: it was changed, moved, or is another server's", errSealed)
	}
	if err := cbor.Unmarshal(plain, into); err != nil {
		return fmt.Errorf("%w: decoding: %w", errSealed, err)
	}
	return nil
}

func (s sealer) associated(id store.ID, head []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(s.uid))) //nolint:gosec // a UID is short
	//rule:record-of-another-server
	b = append(b, s.uid...)
	//rule:record-of-another-kind
	b = append(b, byte(s.kind))
	b = append(b, id[:]...)
	//rule:record-lives-longer
	return append(b, head...)
}
