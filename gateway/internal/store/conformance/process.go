package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// message is a line of JSON between a test and a replica in a process of its
// own: a call, its answer, or what the replica's observer was told. Answers and
// observations share a pipe, so their order arrives too.
type message struct {
	Call     uint64     `json:"call,omitempty"` // the number of the call; none for an observation
	Op       string     `json:"op,omitempty"`
	Canceled bool       `json:"canceled,omitempty"` // the call's context has ended before it
	Kind     store.Kind `json:"kind,omitempty"`
	ID       store.ID   `json:"id"`
	Old      []byte     `json:"old"` // null is nil, which is not the empty value
	Value    []byte     `json:"value"`
	Time     time.Time  `json:"time"`
	Error    string     `json:"error,omitempty"`
}

var sentinels = []error{store.ErrNotFound, store.ErrConflict, store.ErrUnavailable, store.ErrFull}

// Serve lets a test in another process use the store, until in ends. Commands
// are what else the test may ask for, by name.
func Serve(in io.Reader, out io.Writer, s store.Store, commands map[string]func()) error {
	srv := &server{store: s, out: json.NewEncoder(out), commands: commands, cancels: map[uint64]context.CancelFunc{}}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	all.Go(func() {
		select {
		case <-s.Synced():
			srv.send(message{Op: "synced"})
		case <-ctx.Done():
		}
	})
	for calls := json.NewDecoder(bufio.NewReader(in)); ; {
		var m message
		if err := calls.Decode(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading a call: %w", err)
		}
		if m.Op == "cancel" {
			srv.cancel(m.Call)
			continue
		}
		callCtx := srv.begin(ctx, m)
		all.Go(func() {
			srv.send(srv.answer(callCtx, m))
			srv.cancel(m.Call)
		})
	}
}

type server struct {
	store    store.Store
	commands map[string]func()

	mu      sync.Mutex
	out     *json.Encoder
	cancels map[uint64]context.CancelFunc
}

func (s *server) begin(ctx context.Context, m message) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancels[m.Call] = cancel
	if m.Canceled {
		cancel()
	}
	return ctx
}

func (s *server) cancel(call uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel := s.cancels[call]; cancel != nil {
		cancel()
		delete(s.cancels, call)
	}
}

func (s *server) send(m message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.out.Encode(m) // If the test is gone, nobody is to be told.
}

func (s *server) answer(ctx context.Context, m message) message {
	answer, err := message{Call: m.Call}, error(nil)
	switch m.Op {
	case "new id":
		answer.ID, err = s.store.NewID(m.Kind)
	case "get":
		answer.Value, err = s.store.Get(ctx, m.Kind, m.ID)
	case "swap":
		err = s.store.CompareAndSwap(ctx, m.Kind, m.ID, m.Old, m.Value)
	case "run":
		err = s.store.Run(ctx, func(kind store.Kind, id store.ID, value []byte) {
			s.send(message{Kind: kind, ID: id, Value: value})
		})
	case "heard":
		answer.Time = s.store.Heard(m.Kind, m.ID)
	default:
		if command := s.commands[m.Op]; command != nil {
			command()
		} else {
			err = fmt.Errorf("no command %q", m.Op)
		}
	}
	if err != nil {
		answer.Error = err.Error()
		for _, sentinel := range sentinels {
			if errors.Is(err, sentinel) {
				answer.Error = sentinel.Error()
			}
		}
	}
	return answer
}

// Remote is a store in another process, which Serve lets us use.
type Remote struct {
	synced chan struct{}
	ended  chan struct{} // closed when no more answers come

	mu      sync.Mutex
	out     *json.Encoder
	calls   uint64
	waiting map[uint64]chan message
	observe store.Observer
}

var _ store.Store = (*Remote)(nil)

// Connect speaks to Serve.
func Connect(in io.Reader, out io.Writer) *Remote {
	r := &Remote{
		synced:  make(chan struct{}),
		ended:   make(chan struct{}),
		out:     json.NewEncoder(out),
		waiting: map[uint64]chan message{},
	}
	go r.receive(in)
	return r
}

func (r *Remote) receive(in io.Reader) {
	defer close(r.ended)
	for answers := json.NewDecoder(bufio.NewReader(in)); ; {
		var m message
		if answers.Decode(&m) != nil {
			return
		}
		if m.Op == "synced" {
			close(r.synced)
			continue
		}
		r.mu.Lock()
		answer, observe := r.waiting[m.Call], r.observe
		delete(r.waiting, m.Call)
		r.mu.Unlock()
		switch {
		case m.Call == 0:
			observe(m.Kind, m.ID, m.Value)
		case answer != nil:
			answer <- m
		}
	}
}

// call sends a call and waits for its answer, whatever becomes of ctx: how to
// answer a canceled call is for the other process to say.
func (r *Remote) call(ctx context.Context, m message) (message, error) {
	answer := make(chan message, 1)
	r.mu.Lock()
	r.calls++
	m.Call, m.Canceled = r.calls, ctx.Err() != nil
	r.waiting[m.Call] = answer
	err := r.out.Encode(m)
	r.mu.Unlock()
	if err != nil {
		return m, fmt.Errorf("calling the other process: %w", err)
	}
	done := ctx.Done()
	for {
		select {
		case got := <-answer:
			return got, errorOf(got.Error)
		case <-r.ended:
			return m, errors.New("the other process has ended")
		case <-done:
			done = nil
			r.mu.Lock()
			err = r.out.Encode(message{Call: m.Call, Op: "cancel"})
			r.mu.Unlock()
			if err != nil {
				return m, fmt.Errorf("calling the other process: %w", err)
			}
		}
	}
}

func errorOf(text string) error {
	for _, sentinel := range sentinels {
		if text == sentinel.Error() {
			return sentinel
		}
	}
	if text != "" {
		return errors.New(text)
	}
	return nil
}

// Wait returns when the other process has said its last word.
func (r *Remote) Wait() { <-r.ended }

// Do carries out one of Serve's commands.
func (r *Remote) Do(ctx context.Context, command string) error {
	_, err := r.call(ctx, message{Op: command})
	return err
}

// NewID is the other store's.
func (r *Remote) NewID(kind store.Kind) (store.ID, error) {
	m, err := r.call(context.Background(), message{Op: "new id", Kind: kind})
	return m.ID, err
}

// Get is the other store's.
func (r *Remote) Get(ctx context.Context, kind store.Kind, id store.ID) ([]byte, error) {
	m, err := r.call(ctx, message{Op: "get", Kind: kind, ID: id})
	return m.Value, err
}

// CompareAndSwap is the other store's.
func (r *Remote) CompareAndSwap(ctx context.Context, kind store.Kind, id store.ID, old, new []byte) error {
	_, err := r.call(ctx, message{Op: "swap", Kind: kind, ID: id, Old: old, Value: new})
	return err
}

// Run is the other store's.
func (r *Remote) Run(ctx context.Context, observe store.Observer) error {
	r.mu.Lock()
	if r.observe == nil {
		r.observe = observe
	}
	r.mu.Unlock()
	_, err := r.call(ctx, message{Op: "run"})
	return err
}

// Synced is closed when the other store's is.
func (r *Remote) Synced() <-chan struct{} { return r.synced }

// Heard is the other store's, by the same clock.
func (r *Remote) Heard(kind store.Kind, id store.ID) time.Time {
	m, _ := r.call(context.Background(), message{Op: "heard", Kind: kind, ID: id})
	return m.Time
}
