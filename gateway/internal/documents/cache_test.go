package documents

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// origin is where a cache fetches from.
type origin struct {
	mu      sync.Mutex
	fetched []string
	fail    error
	hold    chan struct{} // unless nil, fetches wait until it is closed
}

func (o *origin) fetch(ctx context.Context, url string, known bool) (string, time.Duration, error) {
	o.mu.Lock()
	o.fetched = append(o.fetched, fmt.Sprintf("%s %v", url, known))
	fail, hold, n := o.fail, o.hold, len(o.fetched)
	o.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if fail != nil {
		return "", 0, fail
	}
	if strings.HasPrefix(url, "panic") {
		panic(url)
	}
	return fmt.Sprintf("%s %d", url, n), time.Minute, ctx.Err()
}

// took returns what was fetched since the last call.
func (o *origin) took() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := strings.Join(o.fetched, ",")
	o.fetched = nil
	return all
}

func TestTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		c := newCache(2, time.Now, o.fetch)
		get := func(url, want, fetches string) {
			t.Helper()
			got, err := c.fresh(t.Context(), url)
			if err != nil && !errors.Is(err, o.fail) || err == nil && !strings.HasPrefix(got, want) {
				t.Errorf("%s: %q, %v", url, got, err)
			}
			if took := o.took(); took != fetches {
				t.Errorf("%s: fetched %q, want %q", url, took, fetches)
			}
		}
		get("a", "a 1", "a false")
		time.Sleep(time.Minute - time.Nanosecond)
		get("a", "a 1", "")
		time.Sleep(time.Nanosecond)
		get("a", "a 1", "a true")
		get("b", "b 1", "b false")
		get("a", "a 1", "")
		get("c", "c 1", "c false") // b was used least recently
		get("a", "a 1", "")
		get("b", "b 1", "b false")
		if len(c.items) != 2 || c.order.Len() != 2 {
			t.Errorf("%d are kept", len(c.items))
		}

		// A failure is not kept, and takes nothing away.
		o.fail = errors.New("down")
		get("d", "", "d false")
		get("d", "", "d false")
		time.Sleep(time.Minute)
		get("a", "", "a true")
		if it := c.last("a"); it == nil || !strings.HasPrefix(it.value, "a ") {
			t.Error("the last one is gone")
		}
		if c.last("d") != nil {
			t.Error("a failure is kept")
		}
		o.fail = nil
		get("a", "a 1", "a true")
	})
}

func TestManyWhoAskAtOnceAreOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{hold: make(chan struct{})}
		c := newCache(10, time.Now, o.fetch)
		var group sync.WaitGroup
		impatient, give := context.WithCancel(t.Context())
		group.Go(func() { // the first, whose request it is, goes away
			if _, err := c.fresh(impatient, "a"); !errors.Is(err, context.Canceled) {
				t.Errorf("who went away gets %v", err)
			}
		})
		synctest.Wait()
		for range 100 {
			group.Go(func() {
				if got, err := c.fresh(t.Context(), "a"); got != "a 1" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
		synctest.Wait()
		give()
		synctest.Wait()
		close(o.hold)
		group.Wait()
		if took := o.took(); took != "a false" {
			t.Errorf("fetched %q", took)
		}
	})
}

// What strangers publish is read outside of any request: nobody else would catch it.
func TestAPanicEndsOneFetch(t *testing.T) {
	c := newCache(10, time.Now, (&origin{}).fetch)
	if _, err := c.fresh(t.Context(), "panic"); err == nil || !strings.Contains(err.Error(), "panic") {
		t.Errorf("got %v", err)
	}
}

func TestForHowLongAnAnswerIsFresh(t *testing.T) {
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	const date = "Wed, 25 Nov 2026 10:00:00 GMT"
	for name, row := range map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"nothing said":           {header(), defaultFresh},
		"max-age":                {header("Cache-Control", "public, Max-Age=3600"), time.Hour},
		"quoted":                 {header("Cache-Control", `max-age="3600"`), time.Hour},
		"in a second header":     {header("Cache-Control", "public", "Cache-Control", "max-age=3600"), time.Hour},
		"already old":            {header("Cache-Control", "max-age=3600", "Age", "1800"), 30 * time.Minute},
		"older than it may be":   {header("Cache-Control", "max-age=60", "Age", "1800"), minFresh},
		"too short":              {header("Cache-Control", "max-age=1"), minFresh},
		"too long":               {header("Cache-Control", "max-age=31536000"), maxFresh},
		"beyond numbers":         {header("Cache-Control", "max-age=99999999999999999999"), minFresh},
		"negative":               {header("Cache-Control", "max-age=-1"), minFresh},
		"no-store":               {header("Cache-Control", "max-age=3600, no-store"), minFresh},
		"no-cache":               {header("Cache-Control", "no-cache"), minFresh},
		"Expires":                {header("Date", date, "Expires", "Wed, 25 Nov 2026 12:00:00 GMT"), 2 * time.Hour},
		"Expires in the past":    {header("Date", date, "Expires", "Wed, 25 Nov 2026 09:00:00 GMT"), minFresh},
		"Expires that is none":   {header("Date", date, "Expires", "0"), minFresh},
		"Expires without Date":   {header("Expires", "Wed, 25 Nov 2026 12:00:00 GMT"), defaultFresh},
		"max-age before Expires": {header("Cache-Control", "max-age=600", "Date", date, "Expires", "Wed, 25 Nov 2026 12:00:00 GMT"), 10 * time.Minute},
	} {
		if got := freshFor(row.header, maxFresh); got != row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
		}
	}
	if got := freshFor(header("Cache-Control", "max-age=31536000"), maxFreshKeys); got != maxFreshKeys {
		t.Errorf("keys are fresh for %s", got)
	}
}

func TestWhatIsJSON(t *testing.T) {
	for contentType, want := range map[string]bool{
		"application/json": true, "application/json; charset=utf-8": true, "APPLICATION/JSON": true, "application/cimd+json": true,
		"": false, "text/json": false, "text/html": false, "application/jsonp": false, "text/x+json": false, "application/json+html": false, "application/": false,
	} {
		if isJSON(contentType) != want {
			t.Errorf("%q: %v", contentType, !want)
		}
	}
}
