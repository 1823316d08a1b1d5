package probe

import (
	"context"
	"fmt"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/apiserver"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/memory"
)

// broken is a store in memory of which reads or writes fail.
type broken struct {
	store.Store
	get, swap error
}

func (b broken) Get(ctx context.Context, kind store.Kind, id store.ID) ([]byte, error) {
	if b.get != nil {
		return nil, b.get
	}
	return b.Store.Get(ctx, kind, id)
}

func (b broken) CompareAndSwap(ctx context.Context, kind store.Kind, id store.ID, old, new []byte) error {
	if b.swap != nil {
		return b.swap
	}
	return b.Store.CompareAndSwap(ctx, kind, id, old, new)
}

func TestStore(t *testing.T) {
	refusal := func(code int) error {
		return fmt.Errorf("%w: reading shard s: %w", store.ErrUnavailable, &apiserver.Refusal{Code: code, Reason: "Any"})
	}
	for name, tc := range map[string]struct {
		get, swap error
		unopened  int
		of        int
		reason    string
	}{
		"good":                       {},
		"some records do not open":   {unopened: 1, of: 2},
		"no record opens":            {unopened: 2, of: 2, reason: config.ReasonKeysMismatch},
		"reading is forbidden":       {get: refusal(403), reason: config.ReasonStoreForbidden},
		"writing is forbidden":       {swap: refusal(403), reason: config.ReasonStoreForbidden},
		"a shard is gone":            {get: refusal(404), reason: config.ReasonStoreObjectAbsent},
		"reading fails":              {get: refusal(500), reason: config.ReasonStoreUnreachable},
		"writing fails":              {swap: refusal(500), reason: config.ReasonStoreUnwritable},
		"the user may not read":      {get: fmt.Errorf("%w: %w", store.ErrUnavailable, store.ErrForbidden), reason: config.ReasonStoreForbidden},
		"the user may not write":     {swap: fmt.Errorf("%w: %w", store.ErrUnavailable, store.ErrForbidden), reason: config.ReasonStoreForbidden},
		"the store is out of space":  {swap: store.ErrFull, reason: config.ReasonStoreUnwritable},
		"records are missing":        {get: fmt.Errorf("%w: %w", store.ErrUnavailable, store.Incomplete("moved")), reason: config.ReasonStoreIncomplete},
		"nobody answers reads":       {get: store.ErrUnavailable, reason: config.ReasonStoreUnreachable},
		"nobody answers writes":      {swap: store.ErrUnavailable, reason: config.ReasonStoreUnwritable},
		"a write that must not pass": {swap: fmt.Errorf("accepted: %w", context.Canceled), reason: config.ReasonStoreUnwritable},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := memory.Open(memory.Options{})
			if err != nil {
				t.Fatal(err)
			}
			check := Store(broken{m, tc.get, tc.swap}, func() (int, int) { return tc.unopened, tc.of })
			message, failure := check(t.Context())
			switch {
			case failure == nil && tc.reason == "" && message != "":
			case failure != nil && failure.Reason == tc.reason && failure.Message != "":
			default:
				t.Errorf("the check says %q, %+v", message, failure)
			}
		})
	}
}
