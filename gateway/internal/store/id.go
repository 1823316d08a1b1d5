package store

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"
)

// ID names a record: two bytes say in which part of the store it is, sixteen
// are random.
type ID [18]byte

// NewID returns a new random id in the given part.
func NewID(part uint16) ID {
	var id ID
	binary.BigEndian.PutUint16(id[:2], part)
	_, _ = rand.Read(id[2:]) // never fails (crypto/rand)
	return id
}

// Part is the part of the store that holds the record.
func (id ID) Part() uint16 { return binary.BigEndian.Uint16(id[:2]) }

// String returns the id as 24 characters of base64url.
func (id ID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

var errBadID = errors.New("not a record id")

// ParseID is the inverse of String. It accepts no other spelling of an id.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != base64.RawURLEncoding.EncodedLen(len(id)) {
		return id, errBadID
	}
	n, err := base64.RawURLEncoding.Strict().Decode(id[:], []byte(s))
	if err != nil || n != len(id) {
		return ID{}, errBadID
	}
	return id, nil
}

// HeaderLen is the length of the header of each value, in the clear: a version
// byte and the time of expiry, in seconds since 1970 as five bytes.
const HeaderLen = 6

// valueVersion is the format of values that this package writes and reads.
const valueVersion = 1

// AppendHeader appends the header of a value that may be swept after expires.
func AppendHeader(b []byte, expires time.Time) []byte {
	var t [8]byte
	binary.BigEndian.PutUint64(t[:], uint64(max(expires.Unix(), 0)))
	return append(append(b, valueVersion), t[3:]...)
}

// Expires returns when a value may be swept. ok is false if it has no header
// of a known version: then it must be left alone.
func Expires(value []byte) (t time.Time, ok bool) {
	if len(value) < HeaderLen || value[0] != valueVersion {
		return time.Time{}, false
	}
	var b [8]byte
	copy(b[3:], value[1:HeaderLen])
	return time.Unix(int64(binary.BigEndian.Uint64(b[:])), 0), true //nolint:gosec // forty bits
}
