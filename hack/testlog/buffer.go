// Package testlog takes in what programs and loggers write while a test reads it.
package testlog

import (
	"strings"
	"sync"
)

// Buffer is an io.Writer that several may write to, and read, at once. The zero
// value is empty.
type Buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write appends p.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String is all that was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
