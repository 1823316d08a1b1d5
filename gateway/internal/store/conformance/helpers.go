package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// What a store's own tests need, too.

// Start runs a replica until the test ends, and waits until it is synced.
func Start(t *testing.T, s store.Store, observe store.Observer) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, observe) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	select {
	case <-s.Synced():
	case <-time.After(patience):
		t.Fatal("the replica does not catch up")
	}
}

// Ignore is the observer of who does not care.
func Ignore(store.Kind, store.ID, []byte) {}

// Eventually waits until the condition holds, 20 seconds at most.
func Eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so: %s", what)
		}
	}
}

var values atomic.Int64

// NewValue returns a value that has this text, and no other has. It outlives the test.
func NewValue(text string) []byte {
	return fmt.Appendf(store.AppendHeader(nil, time.Now().Add(time.Hour)), "%d %s", values.Add(1), text)
}

// CreateRecord makes a grant in the first part, which must succeed.
func CreateRecord(t *testing.T, s store.Store) (store.ID, []byte) {
	t.Helper()
	id, value := store.NewID(0), NewValue("first")
	if err := s.CompareAndSwap(t.Context(), store.Grant, id, nil, value); err != nil {
		t.Fatal(err)
	}
	return id, value
}

// Told is all that an observer was told.
type Told struct {
	mu     sync.Mutex
	values map[store.ID][][]byte
}

// Observe is the observer.
func (o *Told) Observe(_ store.Kind, id store.ID, value []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.values == nil {
		o.values = map[store.ID][][]byte{}
	}
	o.values[id] = append(o.values[id], value)
}

// History is what was told of a record, in order.
func (o *Told) History(id store.ID) [][]byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.values[id])
}

// Records is how many records something was told of.
func (o *Told) Records() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.values)
}

// Knows says whether this is what was told last; nil is that there is no record.
func (o *Told) Knows(id store.ID, value []byte) bool {
	h := o.History(id)
	return len(h) > 0 && (h[len(h)-1] == nil) == (value == nil) && bytes.Equal(h[len(h)-1], value)
}

// The commands that replicas in processes of their own have.
const (
	PauseWatch  = "pause watch"
	ResumeWatch = "resume watch"
)

// replicaEnv makes a test binary a replica that its parent uses: it has the options.
const replicaEnv = "VESTIBULE_TEST_REPLICA"

// Main is a TestMain: it runs the tests, or serves as the replica that OpenProcess has
// started this process as, with the options that it was given. It returns the exit
// code, and has said what went wrong.
func Main[O any](m *testing.M, run func(*testing.M) (int, error), serve func(O) (int, error)) int {
	code, err := 1, error(nil)
	if arg, ok := os.LookupEnv(replicaEnv); ok {
		var options O
		if err = json.Unmarshal([]byte(arg), &options); err == nil {
			code, err = serve(options)
		}
	} else {
		code, err = run(m)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// OpenProcess starts this test binary once more, as a replica with these options,
// which ends with the test. Its TestMain is Main.
func OpenProcess(t *testing.T, options any) *Remote {
	t.Helper()
	arg, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), replicaEnv+"="+string(arg),
		// The race detector would have it sleep for a second at its end.
		"GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	child.Stderr = os.Stderr
	in, inErr := child.StdinPipe()
	out, outErr := child.StdoutPipe()
	if err := errors.Join(inErr, outErr, child.Start()); err != nil {
		t.Fatal(err)
	}
	r := Connect(out, in)
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		r.Wait()
		if err := child.Wait(); err != nil {
			t.Errorf("the replica: %v", err)
		}
	})
	return r
}
