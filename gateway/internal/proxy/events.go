package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"vestibule.dev/vestibule/gateway/internal/oauth"
)

var (
	// lookEvery is how often an open stream asks whether its token is still good, and
	// whether something must be said for it not to be taken for dead.
	lookEvery = 5 * time.Second
	// stuckAfter is how long a client may leave unread what was sent to it.
	stuckAfter = 30 * time.Second
)

// comment is one that clients do not see.
const comment = ": keep-alive\n\n"

// answer is where an answer goes to: a client that must read on. If it is a stream of
// server-sent events, it has a comment when nothing was sent for a while, between two
// events only, and ends when its token is no good any more.
//
// It costs a stream no goroutine: most of them say nothing most of the time.
type answer struct {
	http.ResponseWriter
	control *http.ResponseController
	// shared says that others use the connection, too: then a deadline ends what is late
	// whether anything is being sent or not.
	shared bool

	mu     sync.Mutex // answers, flushes and comments are not sent by one goroutine
	until  time.Time  // by when what is sent must have been read
	events *events    // nil if it is no stream
}

// events is what is known of a stream.
type events struct {
	body      *stream
	keepAlive time.Duration
	good      func() bool

	timer *time.Timer // nil before it began, and when it is over
	tail  [4]byte
	some  bool // any byte was sent
	last  time.Time
}

func newAnswer(w http.ResponseWriter, shared bool) *answer {
	return &answer{ResponseWriter: w, control: http.NewResponseController(w), shared: shared}
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader begins the answer, or sends an interim response.
func (a *answer) WriteHeader(status int) {
	//rule:early-hint-of-backend
	if status < http.StatusOK {
		withholdMore(a.Header())
	}
	a.ResponseWriter.WriteHeader(status)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.events != nil && status >= http.StatusOK {
		a.events.last = time.Now()
		a.events.timer = time.AfterFunc(lookEvery, a.look)
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wait()
	defer a.rest()
	n, err := a.ResponseWriter.Write(p)
	if a.events != nil {
		a.events.note(p[:n])
	}
	return n, err
}

// FlushError is for http.ResponseController.
func (a *answer) FlushError() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wait()
	defer a.rest()
	return a.control.Flush()
}

// wait sets how long what is sent next may wait for the client, more or less: most
// answers are sent in two pieces, at once. mu is held.
func (a *answer) wait() {
	until := time.Now().Add(stuckAfter)
	if until.Sub(a.until) > stuckAfter/10 {
		a.until = until
		//rule:stuck-reader-kept
		_ = a.control.SetWriteDeadline(until) // not every writer has deadlines; the server's own has
	}
}

// rest lets nothing happen while nothing is sent. mu is held.
func (a *answer) rest() {
	//rule:quiet-stream-in-http2
	if a.shared {
		a.until = time.Time{}
		_ = a.control.SetWriteDeadline(time.Time{}) // as in wait
	}
}

// look ends the stream, or keeps it alive.
func (a *answer) look() {
	if !a.events.good() {
		a.events.body.end()
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.events
	if e.timer == nil {
		return
	}
	//rule:comment-within-an-event
	if e.keepAlive > 0 && time.Since(e.last) >= e.keepAlive && e.between() {
		a.wait()
		_, err := io.WriteString(a.ResponseWriter, comment)
		err = errors.Join(err, a.control.Flush())
		if a.rest(); err != nil {
			e.body.end() // nobody reads
			return
		}
		e.last = time.Now()
	}
	e.timer.Reset(lookEvery)
}

// close lets nothing be sent any more but by the server.
func (a *answer) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.events != nil && a.events.timer != nil {
		a.events.timer.Stop()
		a.events.timer = nil
	}
}

// note remembers how the stream ends so far.
func (e *events) note(data []byte) {
	if len(data) == 0 {
		return
	}
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

// stream is a body that can be ended from outside, as if the backend had ended it.
type stream struct {
	io.ReadCloser
	ended  atomic.Bool
	stop   func() bool // no more endAfter
	closed chan struct{}
	once   sync.Once
}

func newStream(body io.ReadCloser) *stream { return &stream{ReadCloser: body} }

func (s *stream) end() {
	s.ended.Store(true)
	_ = s.ReadCloser.Close() // wakes the reader
}

// endAfter ends the stream some time after ctx is done.
func (s *stream) endAfter(ctx context.Context, delay func() time.Duration) {
	s.closed = make(chan struct{})
	s.stop = context.AfterFunc(ctx, func() {
		select {
		case <-time.After(delay()):
			s.end()
		case <-s.closed:
		}
	})
}

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil && s.ended.Load() {
		return n, io.EOF
	}
	return n, err
}

func (s *stream) Close() error {
	if s.stop != nil {
		s.stop()
		s.once.Do(func() { close(s.closed) })
	}
	return s.ReadCloser.Close()
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
