package etcd

import (
	"context"
	"strings"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// answer is what a call about one record brought.
type answer struct {
	header  *etcdserverpb.ResponseHeader
	swapped bool
	value   []byte // nil if there is no record, or the answer says nothing of it
}

// call makes one attempt, and a second one if only the login was missing.
func (s *Store) call(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	if s.login == nil {
		return f(ctx)
	}
	token := s.login.current()
	err := f(ctx)
	if !isTokenRefused(err) {
		return err
	}
	if err := s.login.renew(ctx, s.client, token); err != nil {
		return err
	}
	return f(ctx)
}

// read asks the leader, which sees every write that was answered before.
func (s *Store) read(ctx context.Context, k key) (*answer, error) {
	a := &answer{}
	return a, s.call(ctx, func(ctx context.Context) error {
		resp, err := s.client.Get(ctx, s.name(k))
		if err == nil {
			a.header, a.value = resp.Header, valueOf(resp.Kvs)
		}
		return err
	})
}

func valueOf(found []*mvccpb.KeyValue) []byte {
	if len(found) == 0 {
		return nil
	}
	return valueIn(found[0])
}

// valueIn returns the value of a key that there is; protobuf has the empty one as nil.
func valueIn(kv *mvccpb.KeyValue) []byte {
	if kv.Value == nil {
		return []byte{}
	}
	return kv.Value
}

// name is the key of a record.
func (s *Store) name(k key) string {
	return s.opts.Prefix + "/" + k.kind.String() + "/" + k.id.String()
}

// parse is the inverse of name. Not all keys are records of this version.
func (s *Store) parse(name []byte) (k key, ok bool) {
	kind, id, _ := strings.Cut(strings.TrimPrefix(string(name), s.opts.Prefix+"/"), "/")
	for _, known := range store.Kinds {
		if known.String() == kind {
			k.kind = known
		}
	}
	var err error
	k.id, err = store.ParseID(id)
	return k, err == nil && k.kind != 0
}

// all is what keys of records begin with, and the end of their range.
func (s *Store) all() (from string, options []clientv3.OpOption) {
	from = s.opts.Prefix + "/"
	return from, []clientv3.OpOption{clientv3.WithRange(clientv3.GetPrefixRangeEnd(from))}
}
