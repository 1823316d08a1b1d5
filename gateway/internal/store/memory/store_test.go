package memory_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/conformance"
	"vestibule.dev/vestibule/gateway/internal/store/memory"
)

const capacity = 256 << 10

func fixture(t *testing.T, file string) conformance.Fixture {
	s := open(t, memory.Options{File: file, MaxBytes: capacity, SweepEvery: 50 * time.Millisecond})
	return conformance.Fixture{
		Open:   func(*testing.T) store.Store { return s },
		Single: true,
		Parts:  1,
		Bytes:  capacity,
	}
}

func TestConformance(t *testing.T) {
	t.Run("process", func(t *testing.T) {
		conformance.Run(t, func(t *testing.T) conformance.Fixture { return fixture(t, "") })
	})
	t.Run("file", func(t *testing.T) {
		conformance.Run(t, func(t *testing.T) conformance.Fixture {
			return fixture(t, filepath.Join(t.TempDir(), "store.db"))
		})
	})
}

func open(t *testing.T, o memory.Options) *memory.Store {
	t.Helper()
	s, err := memory.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func value(text string) []byte {
	return append(store.AppendHeader(nil, time.Now().Add(time.Hour)), text...)
}

func TestAFileKeepsRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, memory.Options{File: path})
	ctx := t.Context()
	kept, gone := store.NewID(0), store.NewID(0)
	first, second := value("first"), value("second")
	for _, w := range []struct {
		kind     store.Kind
		id       store.ID
		old, new []byte
	}{
		{store.Grant, kept, nil, first},
		{store.Grant, kept, first, second},
		{store.Client, gone, nil, first},
		{store.Client, gone, first, nil},
	} {
		if err := s.CompareAndSwap(ctx, w.kind, w.id, w.old, w.new); err != nil {
			t.Fatal(err)
		}
	}

	// What a process that dies now would leave.
	copied := filepath.Join(t.TempDir(), "copy.db")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, content, 0o600); err != nil {
		t.Fatal(err)
	}
	again := open(t, memory.Options{File: copied})
	if got, err := again.Get(ctx, store.Grant, kept); err != nil || !bytes.Equal(got, second) {
		t.Errorf("the kept record is %q, %v, want %q", got, err, second)
	}
	if _, err := again.Get(ctx, store.Client, gone); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the deleted record: %v, want that there is none", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("the file's mode is %o, want 600", mode)
	}
}

func TestAFileHasOneOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	open(t, memory.Options{File: path})
	begin := time.Now()
	_, err := memory.Open(memory.Options{File: path})
	if err == nil || !strings.Contains(err.Error(), "another process has it open") || !strings.Contains(err.Error(), path) {
		t.Errorf("opening the file twice: %v, want an error that names it and says so", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the error took %v", took)
	}
}

func TestAClosedFileTakesNoWrites(t *testing.T) {
	s, err := memory.Open(memory.Options{File: filepath.Join(t.TempDir(), "store.db")})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	id := store.NewID(0)
	if err := s.CompareAndSwap(t.Context(), store.Grant, id, nil, value("late")); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("writing after Close: %v, want that the store is unavailable", err)
	}
	if _, err := s.Get(t.Context(), store.Grant, id); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("reading what was not written: %v, want that there is none", err)
	}
}

func TestABadFileIsAnError(t *testing.T) {
	good := func(t *testing.T, path string) {
		s, err := memory.Open(memory.Options{File: path})
		if err != nil {
			t.Fatal(err)
		}
		for range 64 {
			v := value(strings.Repeat("x", 4<<10))
			if err := s.CompareAndSwap(t.Context(), store.Grant, store.NewID(0), nil, v); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	edit := func(t *testing.T, path string, change func([]byte) []byte) {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, change(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		make func(t *testing.T, path string)
		want string
	}{
		"text": {func(t *testing.T, path string) {
			if err := os.WriteFile(path, bytes.Repeat([]byte("dear diary\n"), 1000), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "not a store's file"},
		"another program's database": {func(t *testing.T, path string) {
			db, err := bbolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = db.Update(func(tx *bbolt.Tx) error {
				_, err := tx.CreateBucket([]byte("theirs"))
				return err
			})
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
		}, "not a store's file"},
		"cut off": {func(t *testing.T, path string) {
			good(t, path)
			edit(t, path, func(b []byte) []byte { return b[:3*os.Getpagesize()] })
		}, "damaged"},
		"overwritten pages": {func(t *testing.T, path string) {
			good(t, path)
			edit(t, path, func(b []byte) []byte {
				for i := 2 * os.Getpagesize(); i < len(b); i++ {
					b[i] = 0xa5
				}
				return b
			})
		}, "damaged"},
		"a directory that is not there": {func(*testing.T, string) {}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			if strings.HasPrefix(name, "a directory") {
				path = filepath.Join(path, "store.db")
			}
			c.make(t, path)
			before, _ := os.ReadFile(path)
			s, err := memory.Open(memory.Options{File: path})
			if err == nil {
				t.Fatal(errors.Join(errors.New("it opens"), s.Close()))
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("the error is %q, want that it names the file and says %q", err, c.want)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file has changed")
			}
		})
	}
}
