package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// api speaks to the API server about the shards, in plain JSON: a typed client
// would double the gateway's size, and it puts the server's error text into its
// errors, which can quote a whole object.
type api struct {
	client *http.Client
	path   *url.URL // of all objects of the kind, in the namespace
	field  string   // of the object, where the records are
}

func newAPI(o Options) (*api, error) {
	fields := map[string]struct{ resource, field string }{
		"Secret":    {"secrets", "data"},
		"ConfigMap": {"configmaps", "binaryData"},
	}
	kind, ok := fields[o.Kind]
	if !ok {
		return nil, errors.New("the kind must be Secret or ConfigMap")
	}
	cfg := rest.CopyConfig(o.REST)
	cfg.Timeout = 0 // Watches are open for minutes; other calls have their own.
	cfg.APIPath, cfg.GroupVersion = "/api", &schema.GroupVersion{Version: "v1"}
	if cfg.UserAgent == "" {
		cfg.UserAgent = rest.DefaultKubernetesUserAgent()
	}
	if o.WrapTransport != nil {
		cfg.Wrap(o.WrapTransport)
	}
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting to the API server: %w", err)
	}
	base, versioned, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting to the API server: %w", err)
	}
	return &api{
		client: client,
		path:   base.JoinPath(versioned, "namespaces", o.Namespace, kind.resource),
		field:  kind.field,
	}, nil
}

// object is a shard as the API server has it at one version.
type object struct {
	version uint64
	records map[string][]byte
	// initial marks the bookmark that ends a watch's initial events.
	initial bool
}

// get reads a shard from etcd, not from the API server's cache.
func (a *api) get(ctx context.Context, name string) (*object, error) {
	body, err := a.do(ctx, http.MethodGet, a.path.JoinPath(name), nil, "application/json")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	content, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return a.decode(content)
}

// patch applies a JSON patch (RFC 6902) and returns the version that has it.
func (a *api) patch(ctx context.Context, name string, patch []byte) (uint64, error) {
	// The version is all we want back, not the whole shard.
	body, err := a.do(ctx, http.MethodPatch, a.path.JoinPath(name), patch,
		"application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
	if err != nil {
		return 0, err
	}
	defer body.Close()
	content, err := io.ReadAll(body)
	if err != nil {
		return 0, fmt.Errorf("reading the answer: %w", err)
	}
	o, err := a.decode(content)
	if err != nil {
		return 0, err
	}
	return o.version, nil
}

// watch follows one shard: first the shard as it is, then a bookmark, then
// every change, and bookmarks about once a minute.
func (a *api) watch(ctx context.Context, name string, timeout time.Duration) (io.ReadCloser, error) {
	u := *a.path
	u.RawQuery = url.Values{
		"watch":                {"true"},
		"fieldSelector":        {"metadata.name=" + name}, // What the role's resourceNames are checked against.
		"sendInitialEvents":    {"true"},
		"resourceVersionMatch": {"NotOlderThan"},
		"allowWatchBookmarks":  {"true"},
		"timeoutSeconds":       {strconv.Itoa(int(timeout.Seconds()))},
	}.Encode()
	return a.do(ctx, http.MethodGet, &u, nil, "application/json")
}

// do sends a request and returns the body of a 2xx answer, or a *refusal, or
// what went wrong on the way.
func (a *api) do(ctx context.Context, method string, u *url.URL, body []byte, accept string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	req.Header.Set("Accept", accept)
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/json-patch+json")
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		return nil, refused(resp)
	}
	return resp.Body, nil
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

// refusal is an answer other than 2xx, without its text.
type refusal struct {
	code       int
	reason     string
	retryAfter time.Duration
	// test says that a test of the patch failed, so nothing was written. Which
	// one is not said.
	test bool
}

func (r *refusal) Error() string {
	return fmt.Sprintf("the API server answered %d %s", r.code, r.reason)
}

func refused(resp *http.Response) *refusal {
	var status struct {
		Reason  string `json:"reason"`
		Details struct {
			Kind   string            `json:"kind"`
			Causes []json.RawMessage `json:"causes"`
		} `json:"details"`
	}
	r := &refusal{code: resp.StatusCode}
	err := json.NewDecoder(io.LimitReader(resp.Body, 8<<20)).Decode(&status)
	if err != nil {
		// A proxy's page, perhaps.
		return r
	}
	r.reason = status.Reason
	// Validation and admission answer 422 too, but they name the kind or a cause.
	r.test = r.code == http.StatusUnprocessableEntity && r.reason == "Invalid" &&
		status.Details.Kind == "" && len(status.Details.Causes) == 0
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		r.retryAfter = time.Duration(n) * time.Second
	}
	return r
}
