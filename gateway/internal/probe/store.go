package probe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/apiserver"
	"vestibule.dev/vestibule/gateway/internal/report"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// Store reads a record that is not there, and tries to change it: the store must
// say that there is none, and refuse. That goes the whole way of a read and of a
// write, and leaves nothing behind. unreadable says how many records do not open
// with the gateway's keys, and of how many.
func Store(s store.Store, unreadable func() (broken, all int)) func(context.Context) (string, *report.Failure) {
	return func(ctx context.Context) (string, *report.Failure) {
		for _, kind := range store.Kinds {
			id, err := s.NewID(kind)
			if err != nil {
				// Full of records, perhaps, which are read and written all the same.
				id = store.NewID(0)
			}
			if _, err := s.Get(ctx, kind, id); !errors.Is(err, store.ErrNotFound) {
				return "", explainStore("reading", kind, err)
			}
			if err := s.CompareAndSwap(ctx, kind, id, random(), random()); !errors.Is(err, store.ErrConflict) {
				return "", explainStore("writing", kind, err)
			}
		}
		if broken, all := unreadable(); broken > 0 && broken == all {
			return "", &report.Failure{
				Reason:  config.ReasonKeysMismatch,
				Message: fmt.Sprintf("none of %d records opens with the keys of this gateway", all),
			}
		}
		return "records can be read and written", nil
	}
}

func random() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}

func explainStore(doing string, kind store.Kind, err error) *report.Failure {
	what := fmt.Sprintf("%s %s records", doing, kind)
	var incomplete store.Incomplete
	var refused *apiserver.Refusal
	switch {
	case errors.As(err, &incomplete):
		return &report.Failure{Reason: config.ReasonStoreIncomplete, Message: incomplete.Error()}
	case errors.Is(err, store.ErrForbidden):
		return &report.Failure{Reason: config.ReasonStoreForbidden, Message: what + ": the store forbids it to the gateway's user"}
	case errors.Is(err, store.ErrFull):
		return &report.Failure{Reason: config.ReasonStoreUnwritable, Message: what + ": the store is full"}
	case errors.As(err, &refused) && refused.Code == http.StatusForbidden:
		return &report.Failure{
			Reason:  config.ReasonStoreForbidden,
			Message: what + ": the API server forbids it to the gateway's service account",
		}
	case errors.As(err, &refused) && refused.Code == http.StatusNotFound:
		return &report.Failure{Reason: config.ReasonStoreObjectAbsent, Message: what + ": an object of the store does not exist"}
	case errors.As(err, &refused) && doing == "writing":
		return &report.Failure{Reason: config.ReasonStoreUnwritable, Message: fmt.Sprintf("%s: %s", what, refused)}
	case errors.As(err, &refused):
		return &report.Failure{Reason: config.ReasonStoreUnreachable, Message: fmt.Sprintf("%s: %s", what, refused)}
	case doing == "writing":
		return &report.Failure{Reason: config.ReasonStoreUnwritable, Message: what + ": no answer in time"}
	}
	return &report.Failure{Reason: config.ReasonStoreUnreachable, Message: what + ": no answer in time"}
}
