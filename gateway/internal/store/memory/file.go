package memory

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// lockTimeout is how long to wait for another process to close the file.
const lockTimeout = time.Second

var (
	formatBucket  = []byte("vestibule")
	formatKey     = []byte("format")
	formatVersion = []byte("1")
)

var (
	errInUse   = errors.New("another process has it open")
	errForeign = errors.New("it is not a store's file, or one of a later version")
	errCorrupt = errors.New("it is damaged; move it away to start with an empty store")
)

// file is a bbolt database with one bucket for each kind of record.
type file struct{ db *bbolt.DB }

func bucketOf(kind store.Kind) []byte { return []byte(kind.String()) }

// openFile opens the file, or makes it, and calls put with each record in it.
func openFile(path string, put func(store.Kind, store.ID, []byte)) (f *file, err error) {
	// bbolt reads the file as memory: what is damaged ends in a panic, and what
	// is cut off in a fault.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			f, err = nil, errCorrupt
		}
	}()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout})
	switch {
	case errors.Is(err, bbolterrors.ErrTimeout):
		return nil, errInUse
	case errors.Is(err, bbolterrors.ErrInvalid), errors.Is(err, bbolterrors.ErrVersionMismatch):
		return nil, errForeign
	case errors.Is(err, bbolterrors.ErrChecksum):
		return nil, errCorrupt
	case err != nil:
		return nil, err
	}
	f = &file{db}
	err = db.Update(claim)
	if err == nil {
		err = db.View(func(tx *bbolt.Tx) error { return load(tx, put) })
	}
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// claim makes the buckets of an empty database, and leaves any other alone.
func claim(tx *bbolt.Tx) error {
	if first, _ := tx.Cursor().First(); first != nil {
		format := tx.Bucket(formatBucket)
		if format == nil || !bytes.Equal(format.Get(formatKey), formatVersion) {
			return errForeign
		}
		return nil
	}
	format, err := tx.CreateBucket(formatBucket)
	if err != nil {
		return err
	}
	for _, kind := range store.Kinds {
		if _, err := tx.CreateBucket(bucketOf(kind)); err != nil {
			return err
		}
	}
	return format.Put(formatKey, formatVersion)
}

func load(tx *bbolt.Tx, put func(store.Kind, store.ID, []byte)) error {
	for _, kind := range store.Kinds {
		records := tx.Bucket(bucketOf(kind))
		if records == nil {
			return errCorrupt
		}
		err := records.ForEach(func(k, value []byte) error {
			if len(k) != len(store.ID{}) || value == nil {
				return errCorrupt
			}
			put(kind, store.ID(k), bytes.Clone(value)) // A value is bbolt's until tx ends.
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// write puts all writes on disk, or none.
func (f *file) write(batch []*write) error {
	err := f.db.Update(func(tx *bbolt.Tx) error {
		for _, w := range batch {
			records := tx.Bucket(bucketOf(w.kind))
			if records == nil {
				return fmt.Errorf("no bucket for kind %s", w.kind)
			}
			var err error
			if w.new == nil {
				err = records.Delete(w.id[:])
			} else {
				err = records.Put(w.id[:], w.new)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w: writing the file: %w", store.ErrUnavailable, err)
	}
	return nil
}

func (f *file) close() error { return f.db.Close() }
