//go:build integration

package controllers

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// tap sits between a reconciler and the API server: it counts, and fails what a
// test wants to fail.
type tap struct {
	client.WithWatch

	mu            sync.Mutex
	calls, writes []string
	// fault is asked before each call, with its number among all calls, or among
	// all writes, from 1; reads have no number among the writes. What it returns
	// is what the call does instead of, or, if done is true, after its work.
	fault func(call, write int) (err error, done bool)
}

func newTap(fault func(call, write int) (error, bool)) *tap {
	t := &tap{fault: fault}
	t.WithWatch = interceptor.NewClient(robot, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			return t.call(fmt.Sprintf("get %T %s", o, key.Name), false, func() error { return c.Get(ctx, key, o, opts...) })
		},
		List: func(ctx context.Context, c client.WithWatch, o client.ObjectList, opts ...client.ListOption) error {
			return t.call(fmt.Sprintf("list %T", o), false, func() error { return c.List(ctx, o, opts...) })
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			tried := len((&client.CreateOptions{}).ApplyOptions(opts).DryRun) > 0
			return t.call(fmt.Sprintf("create %T %s", o, o.GetName()), !tried, func() error { return c.Create(ctx, o, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			return t.call(fmt.Sprintf("delete %T %s", o, o.GetName()), true, func() error { return c.Delete(ctx, o, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			return t.call(fmt.Sprintf("patch %T %s", o, o.GetName()), true, func() error { return c.Patch(ctx, o, p, opts...) })
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			return t.call(fmt.Sprintf("apply %T", o), true, func() error { return c.Apply(ctx, o, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			return t.call(fmt.Sprintf("patch %s of %T %s", sub, o, o.GetName()), true, func() error {
				return c.SubResource(sub).Patch(ctx, o, p, opts...)
			})
		},
	})
	return t
}

func (t *tap) call(what string, write bool, do func() error) error {
	t.mu.Lock()
	t.calls = append(t.calls, what)
	n := 0
	if write {
		t.writes = append(t.writes, what)
		n = len(t.writes)
	}
	call := len(t.calls)
	t.mu.Unlock()
	if t.fault == nil {
		return do()
	}
	err, done := t.fault(call, n)
	if err != nil && done {
		if really := do(); really != nil {
			return really
		}
	}
	if err != nil {
		return err
	}
	return do()
}

// reset begins the counts anew.
func (t *tap) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls, t.writes = nil, nil
}
