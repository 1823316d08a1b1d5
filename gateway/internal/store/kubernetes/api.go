package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"sync/atomic"
	"time"

	"vestibule.dev/vestibule/gateway/internal/apiserver"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// api speaks to the API server about the shards.
type api struct {
	client *apiserver.Client
	field  string // of the object, where the records are
	now    func() time.Time

	asked atomic.Pointer[time.Time] // when the newest read began that etcd has answered
}

func newAPI(o Options) (*api, error) {
	fields := map[string]struct {
		resource apiserver.Resource
		field    string
	}{
		"Secret":    {apiserver.Secrets, "data"},
		"ConfigMap": {apiserver.ConfigMaps, "binaryData"},
	}
	kind, ok := fields[o.Kind]
	if !ok {
		return nil, errors.New("the kind must be Secret or ConfigMap")
	}
	client, err := apiserver.New(o.REST, kind.resource, o.Namespace, o.WrapTransport)
	if err != nil {
		return nil, err
	}
	return &api{client: client, field: kind.field, now: o.Now}, nil
}

// object is a shard as the API server has it at one version.
type object struct {
	version uint64
	records map[string][]byte
	// initial marks the bookmark that ends a watch's initial events.
	initial bool
}

// get reads a shard from etcd.
func (a *api) get(ctx context.Context, name string) (*object, error) {
	began := a.now()
	content, err := a.client.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	for last := a.asked.Load(); last == nil || began.After(*last); last = a.asked.Load() {
		if a.asked.CompareAndSwap(last, &began) {
			break
		}
	}
	return a.decode(content)
}

// reachedEtcd returns a time at which the API server was known to reach etcd, or the zero
// time.
func (a *api) reachedEtcd() time.Time {
	if asked := a.asked.Load(); asked != nil {
		return *asked
	}
	return time.Time{}
}

// patch applies a JSON patch and returns the version that has it.
func (a *api) patch(ctx context.Context, name string, patch []byte) (uint64, error) {
	content, err := a.client.Patch(ctx, name, apiserver.JSONPatch, patch)
	if err != nil {
		return 0, err
	}
	o, err := a.decode(content)
	if err != nil {
		return 0, err
	}
	return o.version, nil
}

// watch follows one shard.
func (a *api) watch(ctx context.Context, name string, lasts time.Duration) (io.ReadCloser, error) {
	return a.client.Watch(ctx, name, lasts)
}

var errBroken = errors.New("the API server's answer is not a shard")

// decode reads an object. Its errors quote nothing of it.
func (a *api) decode(content []byte) (*object, error) {
	var raw struct {
		Metadata struct {
			ResourceVersion string            `json:"resourceVersion"`
			Annotations     map[string]string `json:"annotations"`
		} `json:"metadata"`
		Data       json.RawMessage `json:"data"`
		BinaryData json.RawMessage `json:"binaryData"`
	}
	if err := json.Unmarshal(content, &raw); err != nil {
		return nil, errBroken
	}
	version, err := strconv.ParseUint(raw.Metadata.ResourceVersion, 10, 64)
	if err != nil {
		return nil, errBroken
	}
	o := &object{version: version, initial: raw.Metadata.Annotations["k8s.io/initial-events-end"] == "true"}
	data := raw.Data
	if a.field == "binaryData" {
		data = raw.BinaryData
	}
	if data == nil {
		return o, nil
	}
	if err := json.Unmarshal(data, &o.records); err != nil {
		return nil, errBroken
	}
	for key := range o.records {
		// Not all keys are ours: _shard keeps the map from vanishing.
		if _, err := store.ParseID(key); err != nil {
			delete(o.records, key)
		}
	}
	return o, nil
}
