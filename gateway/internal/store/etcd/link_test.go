//go:build integration

package etcd

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// link is a replica's way to etcd, which a test counts on, holds up and cuts.
type link struct {
	watches atomic.Int64

	mu      sync.Mutex
	txn     handler // nil lets transactions through
	resumed chan struct{}
	cut     bool // what was held back is lost, with the connection

	hasty atomic.Int64 // what is added to the revisions that watches have reached
}

// handler answers a transaction, with or without sending it.
type handler func(ctx context.Context, send func(context.Context) error) error

// once lets h answer the first transaction, and the others pass.
func once(h handler) handler {
	var used atomic.Bool
	return func(ctx context.Context, send func(context.Context) error) error {
		if used.Swap(true) {
			return send(ctx)
		}
		return h(ctx, send)
	}
}

func (l *link) onTxn(h handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.txn = h
}

// pauseWatch holds back all that watches say from now on.
func (l *link) pauseWatch() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.resumed == nil {
		l.resumed = make(chan struct{})
	}
}

// resumeWatch lets watches say all that was held back.
func (l *link) resumeWatch() { l.resume(false) }

// cutWatch loses what was held back, and the connection.
func (l *link) cutWatch() { l.resume(true) }

func (l *link) resume(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	if l.resumed != nil {
		close(l.resumed)
		l.resumed = nil
	}
}

func (l *link) wait(ctx context.Context) (cut bool) {
	l.mu.Lock()
	resumed := l.resumed
	l.mu.Unlock()
	if resumed == nil {
		return false
	}
	select {
	case <-resumed:
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut
}

func (l *link) options() []grpc.DialOption {
	unary := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		send := func(ctx context.Context) error { return invoke(ctx, method, req, reply, cc, opts...) }
		l.mu.Lock()
		txn := l.txn
		l.mu.Unlock()
		if strings.HasSuffix(method, "/Txn") && txn != nil {
			return txn(ctx, send)
		}
		return send(ctx)
	}
	stream := func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		l.watches.Add(1)
		s, err := open(ctx, desc, cc, method, opts...)
		return gated{s, l}, err
	}
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(unary), grpc.WithChainStreamInterceptor(stream)}
}

// gated is the stream of watches.
type gated struct {
	grpc.ClientStream
	link *link
}

func (g gated) RecvMsg(m any) error {
	err := g.ClientStream.RecvMsg(m)
	if r, ok := m.(*etcdserverpb.WatchResponse); ok && err == nil && !r.Created && !r.Canceled && len(r.Events) == 0 {
		r.Header.Revision += g.link.hasty.Load()
	}
	if g.link.wait(g.Context()) {
		return status.Error(codes.Unavailable, "cut")
	}
	return err
}
