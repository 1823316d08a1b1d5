package kubernetes

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"vestibule.dev/vestibule/gateway/internal/store"
)

func TestAppendPatch(t *testing.T) {
	const key = "AAABAgMEBQYHCAkKCwwNDg8Q"
	for name, tc := range map[string]struct {
		field  string
		writes []*write
		want   string
	}{
		"a creation": {
			"data", []*write{{key: key, new: []byte("new")}},
			`[{"op":"test","path":"/data/` + key + `","value":null},{"op":"add","path":"/data/` + key + `","value":"bmV3"}]`,
		},
		"a change": {
			"binaryData", []*write{{key: key, old: []byte("old"), new: []byte("new")}},
			`[{"op":"test","path":"/binaryData/` + key + `","value":"b2xk"},{"op":"replace","path":"/binaryData/` + key + `","value":"bmV3"}]`,
		},
		"a deletion": {
			"data", []*write{{key: key, old: []byte{0xfb, 0xff}}},
			`[{"op":"test","path":"/data/` + key + `","value":"+/8="},{"op":"remove","path":"/data/` + key + `"}]`,
		},
		"empty values": {
			"data", []*write{{key: key, old: []byte{}, new: []byte{}}},
			`[{"op":"test","path":"/data/` + key + `","value":""},{"op":"replace","path":"/data/` + key + `","value":""}]`,
		},
		"two writes": {
			"data", []*write{{key: "a", new: []byte("x")}, {key: "b", old: []byte("x")}},
			`[{"op":"test","path":"/data/a","value":null},{"op":"add","path":"/data/a","value":"eA=="},` +
				`{"op":"test","path":"/data/b","value":"eA=="},{"op":"remove","path":"/data/b"}]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, string(appendPatch(nil, tc.field, tc.writes))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecode(t *testing.T) {
	const key = "AAABAgMEBQYHCAkKCwwNDg8Q"
	for name, tc := range map[string]struct {
		field, content string
		want           *object
	}{
		"a Secret": {
			"data", `{"metadata":{"resourceVersion":"7"},"data":{"_shard":"MQ==","` + key + `":"AP8="}}`,
			&object{version: 7, records: map[string][]byte{key: {0, 0xff}}},
		},
		"a ConfigMap, whose data is not ours": {
			"binaryData", `{"metadata":{"resourceVersion":"7"},"data":{"` + key + `":"text"},"binaryData":{"` + key + `":"AP8="}}`,
			&object{version: 7, records: map[string][]byte{key: {0, 0xff}}},
		},
		"an empty value":            {"data", `{"metadata":{"resourceVersion":"7"},"data":{"` + key + `":""}}`, &object{version: 7, records: map[string][]byte{key: {}}}},
		"metadata alone":            {"data", `{"metadata":{"resourceVersion":"7"}}`, &object{version: 7}},
		"the end of initial events": {"data", `{"metadata":{"resourceVersion":"7","annotations":{"k8s.io/initial-events-end":"true"}}}`, &object{version: 7, initial: true}},
		"no version":                {"data", `{"metadata":{},"data":{"` + key + `":"c2VjcmV0"}}`, nil},
		"not base64":                {"data", `{"metadata":{"resourceVersion":"7"},"data":{"` + key + `":"secret!"}}`, nil},
		"not a map":                 {"data", `{"metadata":{"resourceVersion":"7"},"data":"secret"}`, nil},
		"not JSON":                  {"data", `secret`, nil},
		"cut off":                   {"data", `{"metadata":{"resourceVersion":"7"},"data":{"` + key + `":"c2Vj`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := (&api{field: tc.field}).decode([]byte(tc.content))
			if (err == nil) != (tc.want != nil) {
				t.Fatalf("error %v", err)
			}
			if err != nil && err.Error() != errBroken.Error() {
				t.Errorf("error %q may quote the object", err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(object{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	good := Options{
		REST: &rest.Config{Host: "https://127.0.0.1"}, Namespace: "default", Name: "weather", Kind: "Secret",
		ClientShards: 1, GrantShards: 1, Replicas: 1,
	}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Options){
		"no connection":   func(o *Options) { o.REST = nil },
		"no namespace":    func(o *Options) { o.Namespace = "" },
		"no name":         func(o *Options) { o.Name = "" },
		"another kind":    func(o *Options) { o.Kind = "Pod" },
		"no shards":       func(o *Options) { o.GrantShards = 0 },
		"too many shards": func(o *Options) { o.ClientShards = maxShards + 1 },
		"no replicas":     func(o *Options) { o.Replicas = 0 },
		"a bad CA": func(o *Options) {
			o.REST = &rest.Config{Host: "https://x", TLSClientConfig: rest.TLSClientConfig{CAData: []byte("x")}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			spoil(&o)
			if _, err := New(o); err == nil {
				t.Error("New accepts them")
			}
		})
	}
}

// A write without values would be a test of nothing.
func TestAWriteNeedsAValue(t *testing.T) {
	s, err := New(Options{
		REST: &rest.Config{Host: "https://127.0.0.1:1"}, Namespace: "default", Name: "weather", Kind: "Secret",
		ClientShards: 1, GrantShards: 1, Replicas: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.CompareAndSwap(t.Context(), store.Grant, store.NewID(0), nil, nil)
	if err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("CompareAndSwap: %v, want an error of the caller's", err)
	}
}
