package authorize

import (
	"sync"
	"time"
)

// maxFinished bounds how many finished logins are remembered.
const maxFinished = 1 << 16

// finishedLogins remembers, on this replica, which logins were finished, until they
// would have expired. If there is no room, it forgets the oldest.
type finishedLogins struct {
	mu    sync.Mutex
	limit int
	until map[string]time.Time
	// order has the states as they came, which is also as they expire.
	order []string
}

func newFinishedLogins() *finishedLogins {
	return &finishedLogins{limit: maxFinished, until: map[string]time.Time{}}
}

// add reports whether the login with this state was not finished before, and remembers
// it: of any number of concurrent callers one gets true.
func (f *finishedLogins) add(state string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget(now)
	if _, ok := f.until[state]; ok {
		return false
	}
	f.until[state], f.order = now.Add(loginFor), append(f.order, state)
	return true
}

// has reports whether the login with this state is remembered.
func (f *finishedLogins) has(state string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return now.Before(f.until[state])
}

// forget drops what has expired, and makes room for one more.
func (f *finishedLogins) forget(now time.Time) {
	for len(f.order) > 0 && (len(f.order) >= f.limit || !now.Before(f.until[f.order[0]])) {
		delete(f.until, f.order[0])
		f.order = f.order[1:]
	}
}
