package report

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vestibule.dev/vestibule/gateway/config"
)

// controller takes reports in.
type controller struct {
	mu        sync.Mutex
	published []config.Report
	broken    bool
}

func (c *controller) publish(_ context.Context, document []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken {
		return errors.New("no answer")
	}
	var r config.Report
	if err := json.Unmarshal(document, &r); err != nil {
		return err
	}
	c.published = append(c.published, r)
	return nil
}

func (c *controller) set(broken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = broken
}

// store is the newest report's check of the store, and how many reports there were.
func (c *controller) store() (config.Check, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.published) == 0 {
		return config.Check{}, 0
	}
	return c.published[len(c.published)-1].Store, len(c.published)
}

// world is what a check finds.
type world struct {
	mu      sync.Mutex
	failure *Failure
	runs    int
}

func (w *world) set(f *Failure) { w.mu.Lock(); defer w.mu.Unlock(); w.failure = f }

func (w *world) run(context.Context) (string, *Failure) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs++
	return "fine", w.failure
}

func start(t *testing.T, w *world) *controller {
	t.Helper()
	c := &controller{}
	r := &Reporter{
		Initial: config.Report{Version: config.Version, Config: "c1"},
		Checks:  []Check{{Name: "store", Run: w.run, Put: func(r *config.Report, o config.Check) { r.Store = o }}},
		Publish: c.publish, Log: slog.New(slog.DiscardHandler),
	}
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	go r.Run(ctx)
	synctest.Wait()
	return c
}

func TestOneSuccessIsEnoughAndThreeFailuresAreTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		c := start(t, w)
		if got, _ := c.store(); got.Status != "True" || got.Message != "fine" {
			t.Fatalf("after one success the report says %+v", got)
		}
		w.set(&Failure{Reason: config.ReasonStoreUnreachable, Message: "no answer"})
		failing := time.Now()
		for {
			time.Sleep(time.Second)
			synctest.Wait()
			if got, _ := c.store(); got.Status == "False" {
				if got.Reason != config.ReasonStoreUnreachable || got.Message != "no answer" {
					t.Errorf("the report says %+v", got)
				}
				break
			}
			if time.Since(failing) > 30*time.Second {
				t.Fatal("after 30 s of failure the report does not say so")
			}
		}
		w.mu.Lock()
		if w.runs < 4 {
			t.Errorf("it is False after %d runs", w.runs)
		}
		w.mu.Unlock()
		w.set(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got, _ := c.store(); got.Status != "True" {
			t.Errorf("10 s after it works again, the report says %+v", got)
		}
	})
}

func TestOneFailureIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		c := start(t, w)
		_, before := c.store()
		w.set(&Failure{Reason: config.ReasonStoreUnreachable, Message: "no answer"})
		time.Sleep(calm + calm/6) // one run, and the next comes soon
		w.set(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, r := range c.published[before:] {
			if r.Store.Status != "True" {
				t.Errorf("a single failure is reported: %+v", r.Store)
			}
		}
	})
}

// An identity provider that is restarted calls nobody. One that never answered, and one
// that answers something wrong, are told of at once.
func TestAShortOutageIsNotTold(t *testing.T) {
	outage := &Failure{Reason: config.ReasonUpstreamUnreachable, Message: "no answer", Outage: true}
	wrong := &Failure{Reason: config.ReasonUpstreamCredentials, Message: "refused"}
	for name, row := range map[string]struct {
		first, then *Failure
		lasts       time.Duration
		want        string
	}{
		"short":            {nil, outage, shortOutage - 2*calm, "True"},
		"long":             {nil, outage, shortOutage + 2*urgent, "False"},
		"from the start":   {outage, outage, time.Minute, "False"},
		"no outage":        {nil, wrong, time.Minute, "False"},
		"an outage before": {wrong, outage, time.Minute, "False"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{failure: row.first}
				c := start(t, w)
				time.Sleep(time.Minute)
				w.set(row.then)
				time.Sleep(row.lasts)
				synctest.Wait()
				if got, _ := c.store(); got.Status != row.want {
					t.Errorf("after %v the report says %+v", row.lasts, got)
				}
				w.set(nil)
				time.Sleep(2 * calm)
				synctest.Wait()
				if got, _ := c.store(); got.Status != "True" {
					t.Errorf("once it works again, the report says %+v", got)
				}
			})
		})
	}
}

func TestTheSameIsSaidAgainNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t, &world{})
		said, before := c.store()
		time.Sleep(time.Hour)
		synctest.Wait()
		now, n := c.store()
		if again := n - before; again < 20 || again > 40 {
			t.Errorf("%d reports in an hour in which nothing changed", again)
		}
		if now != said {
			t.Errorf("the report changed from %+v to %+v", said, now)
		}
	})
}

func TestAReportIsToldOnceThatCanBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		c := start(t, w)
		c.set(true)
		w.set(&Failure{Reason: config.ReasonStoreForbidden, Message: "forbidden"})
		time.Sleep(time.Minute)
		c.set(false)
		time.Sleep(2 * retryPublish)
		synctest.Wait()
		if got, _ := c.store(); got.Status != "False" {
			t.Errorf("the report still says %+v", got)
		}
	})
}

// A check of what is far away is not run more often than it asks for, but for finding
// out whether a failure lasts.
func TestACheckMayBeRareOnceItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every = time.Minute
		w, c := &world{}, &controller{}
		r := &Reporter{
			Checks:  []Check{{Name: "public", Every: every, Run: w.run, Put: func(r *config.Report, o config.Check) { r.Store = o }}},
			Publish: c.publish, Log: slog.New(slog.DiscardHandler),
		}
		ctx, stop := context.WithCancel(t.Context())
		t.Cleanup(stop)
		go r.Run(ctx)
		runs := func(d time.Duration) int {
			w.mu.Lock()
			before := w.runs
			w.mu.Unlock()
			time.Sleep(d)
			synctest.Wait()
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.runs - before
		}
		if n := runs(time.Hour); n < 50 || n > 72 {
			t.Errorf("%d runs in an hour in which all is well", n)
		}
		w.set(&Failure{Reason: config.ReasonPublicURLUnreachable, Message: "no answer"})
		time.Sleep(every + every/6 + 3*urgent)
		synctest.Wait()
		if got, _ := c.store(); got.Status != "False" {
			t.Errorf("soon after the second failure the report says %+v", got)
		}
		if n := runs(time.Hour); n < 50 || n > 72 {
			t.Errorf("%d runs in an hour in which it is known to fail", n)
		}
	})
}
