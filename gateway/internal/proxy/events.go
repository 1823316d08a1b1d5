package proxy

import (
	"errors"
	"io"
	"sync"
	"time"

	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// lookEvery is how often an open stream asks whether its token is still good, and
// whether something must be said for it not to be taken for dead.
var lookEvery = 5 * time.Second

// comment is one that clients do not see.
const comment = ": keep-alive\n\n"

// events is a stream of server-sent events on its way to the client: when nothing came
// for a while it has a comment, between two events only; and it ends when good does
// not hold any more.
type events struct {
	src       io.ReadCloser
	keepAlive time.Duration
	good      func() bool

	chunks chan chunk
	free   chan []byte
	stop   chan struct{}
	once   sync.Once

	ticker *time.Ticker
	rest   []byte // of what was read
	buffer []byte // that rest is in
	err    error  // after rest
	tail   [4]byte
	some   bool // any byte came
	last   time.Time
}

type chunk struct {
	data []byte
	err  error
}

// newEvents starts to read src, one piece ahead at most: a client that does not read
// stops the backend.
func newEvents(src io.ReadCloser, keepAlive time.Duration, good func() bool) *events {
	e := &events{
		src: src, keepAlive: keepAlive, good: good,
		chunks: make(chan chunk), free: make(chan []byte, 1), stop: make(chan struct{}),
		ticker: time.NewTicker(lookEvery), last: time.Now(),
	}
	e.free <- make([]byte, 4<<10)
	go e.read()
	return e
}

func (e *events) read() {
	for {
		var buffer []byte
		select {
		case buffer = <-e.free:
		case <-e.stop:
			return
		}
		n, err := e.src.Read(buffer[:cap(buffer)])
		select {
		case e.chunks <- chunk{buffer[:n], err}:
		case <-e.stop:
			return
		}
		if err != nil {
			return
		}
	}
}

func (e *events) Read(p []byte) (int, error) {
	for {
		if len(e.rest) > 0 {
			n := copy(p, e.rest)
			e.rest = e.rest[n:]
			return n, nil
		}
		if e.err != nil {
			return 0, e.err
		}
		if e.buffer != nil {
			e.free <- e.buffer
			e.buffer = nil
		}
		select {
		case c := <-e.chunks:
			e.buffer, e.rest, e.err = c.data, c.data, c.err
			if len(c.data) > 0 {
				e.note(c.data)
			}
		case now := <-e.ticker.C:
			if !e.good() {
				e.err = io.EOF
				continue
			}
			if e.keepAlive > 0 && now.Sub(e.last) >= e.keepAlive && e.between() {
				e.last, e.rest = now, []byte(comment)
			}
		}
	}
}

// note remembers how the stream ends so far.
func (e *events) note(data []byte) {
	e.some, e.last = true, time.Now()
	if len(data) >= len(e.tail) {
		copy(e.tail[:], data[len(data)-len(e.tail):])
		return
	}
	copy(e.tail[:], e.tail[len(data):])
	copy(e.tail[len(e.tail)-len(data):], data)
}

// between says that the last event is complete: lines end in LF, CR or both.
func (e *events) between() bool {
	if !e.some {
		return true
	}
	end := string(e.tail[2:])
	return end == "\n\n" || end == "\r\r" || string(e.tail[:]) == "\r\n\r\n"
}

// Close ends the reading, too.
func (e *events) Close() error {
	e.once.Do(func() { close(e.stop) })
	e.ticker.Stop()
	return e.src.Close()
}

// stillGood says whether the request's token would be let through again. While the
// store is away, streams go on.
func (h *Handler) stillGood(c *call) func() bool {
	if h.Public {
		return func() bool { return true }
	}
	return func() bool {
		// The stream's own context may end any moment; the answer is in memory.
		_, err := h.Checker.Check(h.Draining, c.token, h.Resource)
		var refused *oauth.Error
		return !errors.As(err, &refused) || refused.Code != oauth.CodeInvalidToken
	}
}
