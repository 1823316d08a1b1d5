// Package apiserver speaks to the Kubernetes API server about objects that are
// known by name, in plain JSON: a typed client would double the gateway's size,
// and it puts the server's error text into its errors, which can quote a whole
// object. Nothing here quotes an answer.
package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// A Resource is the plural name of a kind.
type Resource string

// The resources that gateways touch.
const (
	Secrets        Resource = "secrets"
	ConfigMaps     Resource = "configmaps"
	EndpointSlices Resource = "endpointslices"
)

// Client reads, patches and watches the objects of one resource in one namespace.
type Client struct {
	http *http.Client
	path *url.URL // of all objects of the resource
}

// New returns a client. wrap, when set, wraps what sends its requests.
func New(cfg *rest.Config, resource Resource, namespace string, wrap func(http.RoundTripper) http.RoundTripper) (*Client, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.Timeout = 0 // Watches are open for minutes; other calls have their own.
	cfg.APIPath, cfg.GroupVersion = "/api", &schema.GroupVersion{Version: "v1"}
	if resource == EndpointSlices {
		cfg.APIPath, cfg.GroupVersion = "/apis", &schema.GroupVersion{Group: "discovery.k8s.io", Version: "v1"}
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = rest.DefaultKubernetesUserAgent()
	}
	if cfg.Proxy == nil { // as a kubeconfig with proxy-url sets it
		//rule:api-server-by-proxy
		cfg.Proxy = noProxy
	}
	if wrap != nil {
		cfg.Wrap(wrap)
	}
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting to the API server: %w", err)
	}
	base, versioned, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting to the API server: %w", err)
	}
	return &Client{http: client, path: base.JoinPath(versioned, "namespaces", namespace, string(resource))}, nil
}

// noProxy is used for the API server whatever HTTPS_PROXY says.
func noProxy(*http.Request) (*url.URL, error) { return nil, nil } //nolint:nilnil // as http.Transport wants it

// Get reads an object from etcd, not from the API server's cache.
func (c *Client) Get(ctx context.Context, name string) ([]byte, error) {
	body, err := c.do(ctx, http.MethodGet, c.path.JoinPath(name), nil, "", "application/json")
	if err != nil {
		return nil, err
	}
	return readAll(body)
}

// A PatchType is the content type of a patch.
type PatchType string

// The types of patch.
const (
	JSONPatch  PatchType = "application/json-patch+json"  // RFC 6902
	MergePatch PatchType = "application/merge-patch+json" // RFC 7386
)

// Patch changes an object, and returns the metadata of what it is then: the
// object itself is not sent back.
func (c *Client) Patch(ctx context.Context, name string, as PatchType, patch []byte) ([]byte, error) {
	body, err := c.do(ctx, http.MethodPatch, c.path.JoinPath(name), patch, string(as),
		"application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
	if err != nil {
		return nil, err
	}
	return readAll(body)
}

// Watch follows one object: first the object as it is, then a bookmark, then
// every change, and bookmarks about once a minute. The server ends it after about
// the given time.
func (c *Client) Watch(ctx context.Context, name string, lasts time.Duration) (io.ReadCloser, error) {
	// The field selector is what the role's resourceNames are checked against.
	return c.watch(ctx, "fieldSelector", "metadata.name="+name, lasts)
}

// WatchLabelled is Watch for all objects that a label selector finds. A bookmark
// follows when all were sent that there are.
func (c *Client) WatchLabelled(ctx context.Context, selector string, lasts time.Duration) (io.ReadCloser, error) {
	return c.watch(ctx, "labelSelector", selector, lasts)
}

func (c *Client) watch(ctx context.Context, by, selector string, lasts time.Duration) (io.ReadCloser, error) {
	u := *c.path
	u.RawQuery = url.Values{
		"watch":                {"true"},
		by:                     {selector},
		"sendInitialEvents":    {"true"},
		"resourceVersionMatch": {"NotOlderThan"},
		"allowWatchBookmarks":  {"true"},
		"timeoutSeconds":       {strconv.Itoa(int(lasts.Seconds()))},
	}.Encode()
	return c.do(ctx, http.MethodGet, &u, nil, "", "application/json")
}

// do sends a request and returns the body of a 2xx answer, or a *Refusal, or
// what went wrong on the way.
func (c *Client) do(ctx context.Context, method string, u *url.URL, body []byte, contentType, accept string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	req.Header.Set("Accept", accept)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		return nil, refused(resp)
	}
	return resp.Body, nil
}

func readAll(body io.ReadCloser) ([]byte, error) {
	defer body.Close()
	content, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return content, nil
}

// Refusal is an answer other than 2xx, without its text.
type Refusal struct {
	// Code is the HTTP status, and Reason that of the API's Status, if it is one.
	Code   int
	Reason string
	// RetryAfter is how long to wait, if the answer says so.
	RetryAfter time.Duration
	// Test says that a test of a JSON patch failed, so nothing was written. Which
	// one is not said.
	Test bool
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("the API server answered %d %s", r.Code, r.Reason)
}

func refused(resp *http.Response) *Refusal {
	//rule:api-server-quoted
	var status struct {
		Reason  string `json:"reason"`
		Details struct {
			Kind   string            `json:"kind"`
			Causes []json.RawMessage `json:"causes"`
		} `json:"details"`
	}
	r := &Refusal{Code: resp.StatusCode}
	err := json.NewDecoder(io.LimitReader(resp.Body, 8<<20)).Decode(&status)
	if err != nil {
		// A proxy's page, perhaps.
		return r
	}
	r.Reason = status.Reason
	// Validation and admission answer 422 too, but they name the kind or a cause.
	r.Test = r.Code == http.StatusUnprocessableEntity && r.Reason == "Invalid" &&
		status.Details.Kind == "" && len(status.Details.Causes) == 0
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		r.RetryAfter = time.Duration(n) * time.Second
	}
	return r
}
