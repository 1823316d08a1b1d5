package gatewaytest

import (
	"context"
	"maps"
	"time"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/internal/records/recordstest"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// Vault is a store whose records the test may look at, change, delete and take
// back, as somebody who has got hold of it could. Any number of gateways can use
// it, also of different servers, and each of them can be left behind. Its Use is
// for Setup.Options.
type Vault struct {
	*recordstest.Store
	// Watches are the gateways' views, in the order in which these were made.
	Watches []*recordstest.Replica
}

// Use has a gateway use this store, and the store that gateway's time.
func (v *Vault) Use(o *gateway.Options) {
	if v.Store == nil {
		v.Store = recordstest.New(clock(o.Now))
	}
	r := v.Replica()
	v.Watches = append(v.Watches, r)
	o.Store = watched{r}
}

// Edit changes the records of one kind as f says, and lets the gateways know: nil
// removes one.
func (v *Vault) Edit(kind store.Kind, f func(id store.ID, value []byte) []byte) {
	edited := maps.Clone(v.Snapshot())
	for key, value := range edited {
		if key.Kind != kind {
			continue
		}
		if edited[key] = f(key.ID, value); edited[key] == nil {
			delete(edited, key)
		}
	}
	v.Restore(edited)
}

type clock func() time.Time

func (c clock) Now() time.Time { return c() }

// watched is a view that a gateway runs.
type watched struct{ *recordstest.Replica }

// Run tells the observer all records, and what changes, until ctx is done.
func (w watched) Run(ctx context.Context, observe store.Observer) error {
	w.Attach(observe)
	<-ctx.Done()
	return nil
}
