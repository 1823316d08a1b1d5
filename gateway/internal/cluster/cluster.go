// Package cluster shares two objects with the gateway's controller: it follows
// the policy that the controller writes, and writes this pod's report.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/apiserver"
)

const (
	// watchLasts is how long a watch is asked to last. The next begins with the
	// object as it is, so nothing can be missed.
	watchLasts = 5 * time.Minute
	// silence ends a watch that says nothing: bookmarks come once a minute.
	silence = 130 * time.Second
	// pauseMax bounds the time between two watches.
	pauseMax = 10 * time.Second
)

// Objects are those of one gateway pod.
type Objects struct {
	Client *apiserver.Client
	Names  config.Cluster
	// PodUID is the key of this pod's report.
	PodUID string
	Log    *slog.Logger
}

// Publish writes this pod's report, and nobody else's.
func (o *Objects) Publish(ctx context.Context, report []byte) error {
	patch, err := json.Marshal(map[string]map[string]string{"data": {o.PodUID: string(report)}})
	if err != nil {
		return err
	}
	_, err = o.Client.Patch(ctx, o.Names.Report, apiserver.MergePatch, patch)
	return err
}

// FollowPolicy calls apply with the documents of the policy's ConfigMap as they are, and
// again whenever they may have changed, until ctx is done.
func (o *Objects) FollowPolicy(ctx context.Context, apply func(documents map[string]string)) {
	for failures := 0; ctx.Err() == nil; failures++ {
		started := time.Now()
		err := o.follow(ctx, apply)
		if time.Since(started) > time.Minute {
			failures = 0
		}
		if failures == 3 {
			o.Log.WarnContext(ctx, "the policy cannot be followed", "configmap", o.Names.Policy, "error", err)
		}
		pause := min(200*time.Millisecond<<min(failures, 8), pauseMax)
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // not a secret
		}
	}
}

var errEnded = errors.New("the watch ended")

func (o *Objects) follow(ctx context.Context, apply func(map[string]string)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	alarm := time.AfterFunc(silence, cancel)
	defer alarm.Stop()
	body, err := o.Client.Watch(ctx, o.Names.Policy, watchLasts)
	if err != nil {
		return err
	}
	defer body.Close()
	return each(body, func(eventType string, data map[string]string) {
		alarm.Reset(silence)
		if _, ok := data[config.PolicyKey]; ok && (eventType == "ADDED" || eventType == "MODIFIED") {
			apply(data)
		}
	})
}

// each calls seen with every event of a watch of a ConfigMap, until it ends.
func each(body io.Reader, seen func(eventType string, data map[string]string)) error {
	for events := json.NewDecoder(body); ; {
		var e struct {
			Type   string `json:"type"`
			Object struct {
				Data map[string]string `json:"data"`
			} `json:"object"`
		}
		if err := events.Decode(&e); err != nil {
			return errEnded // the decoder's own error could quote the object
		}
		if e.Type == "ERROR" {
			return errEnded
		}
		seen(e.Type, e.Object.Data)
	}
}
