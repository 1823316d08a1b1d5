// Package report finds out, again and again, what only a running gateway can
// know, and tells its controller when that changes.
package report

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"vestibule.dev/vestibule/gateway/config"
)

const (
	// failuresToFalse is how many failures in a row are one too many.
	failuresToFalse = 3
	// shortOutage is how long a check that has succeeded may fail by an outage before the
	// controller is told. People are not to be called for every restart elsewhere.
	shortOutage = 2 * time.Minute
	// calm is the time between two runs of a check that succeeds, and urgent that
	// of one that does not: a controller is to hear of either within 30 seconds.
	calm   = 18 * time.Second
	urgent = 4 * time.Second
	// runTimeout bounds one run.
	runTimeout = 5 * time.Second
	// publishTimeout bounds one try to tell, retryPublish is the time to the next.
	publishTimeout = 10 * time.Second
	retryPublish   = 3 * time.Second
	// repeatPublish is the time after which the same is said again, in case that
	// somebody has deleted the object. To write what is there changes nothing.
	repeatPublish = 2 * time.Minute
)

// Check is one thing to find out.
type Check struct {
	// Name is for the log.
	Name string
	// Run tries it once. A success may come with a message for people.
	Run func(ctx context.Context) (message string, failure *Failure)
	// Every is the time between two runs whose outcome is told already; zero for the
	// usual one, after which a controller hears of a change within 30 seconds.
	Every time.Duration
	// Put writes an outcome where it belongs.
	Put func(r *config.Report, outcome config.Check)
}

// Failure says why a check failed: Reason is one of config's constants, Message
// is for people. Outage says that the failure may end by itself: if the check has
// succeeded before, the controller is told only of one that lasts two minutes.
type Failure struct {
	Reason, Message string
	Outage          bool
}

// Reporter runs checks and publishes what comes of them.
type Reporter struct {
	// Initial is the report before anything is known.
	Initial config.Report
	Checks  []Check
	// Publish tells the controller.
	Publish func(ctx context.Context, document []byte) error
	Log     *slog.Logger
}

// outcome is a change of what one check says.
type outcome struct {
	check int
	value config.Check
}

// Run works until ctx is done.
func (r *Reporter) Run(ctx context.Context) {
	outcomes := make(chan outcome)
	var started sync.WaitGroup
	defer started.Wait()
	current := r.Initial
	for i, c := range r.Checks {
		c.Put(&current, config.Check{Status: statusUnknown})
		started.Go(func() { r.watch(ctx, i, c, outcomes) })
	}
	// The timer fires when there is something to tell.
	tell := time.NewTimer(0)
	defer tell.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-outcomes:
			r.Checks[o.check].Put(&current, o.value)
			tell.Reset(0)
		case <-tell.C:
			if err := r.publish(ctx, current); err != nil && ctx.Err() == nil {
				r.Log.WarnContext(ctx, "the report cannot be published", "error", err)
				tell.Reset(jitter(retryPublish))
			} else {
				tell.Reset(jitter(repeatPublish))
			}
		}
	}
}

func (r *Reporter) publish(ctx context.Context, current config.Report) error {
	document, err := json.Marshal(current)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	return r.Publish(ctx, document)
}

const (
	statusTrue    = "True"
	statusFalse   = "False"
	statusUnknown = "Unknown"
)

// watch runs one check again and again, and sends what it says when that changes.
func (r *Reporter) watch(ctx context.Context, index int, c Check, outcomes chan<- outcome) {
	said := config.Check{Status: statusUnknown}
	var succeeded time.Time
	for failures := 0; ; {
		now := said
		pause := calm
		message, failure := run(ctx, c)
		if failure == nil {
			failures, succeeded = 0, time.Now()
			now = config.Check{Status: statusTrue, Message: message}
		} else {
			failures++
			pause = urgent
			//rule:short-outages-told
			short := failure.Outage && said.Status == statusTrue && time.Since(succeeded) < shortOutage
			if failures >= failuresToFalse && !short {
				now = config.Check{Status: statusFalse, Reason: failure.Reason, Message: failure.Message}
			}
			r.Log.DebugContext(ctx, "a check failed", "check", c.Name, "reason", failure.Reason, "message", failure.Message)
		}
		if c.Every != 0 && (failure == nil || failures >= failuresToFalse) {
			pause = c.Every
		}
		if now != said {
			said = now
			r.Log.InfoContext(ctx, "a check has another outcome", "check", c.Name, "status", now.Status, "reason", now.Reason, "message", now.Message)
			select {
			case outcomes <- outcome{index, now}:
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-time.After(jitter(pause)):
		case <-ctx.Done():
			return
		}
	}
}

func run(ctx context.Context, c Check) (string, *Failure) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	return c.Run(ctx)
}

// jitter returns d give or take a sixth, so that replicas do not march in step.
func jitter(d time.Duration) time.Duration {
	return d*5/6 + rand.N(d/3+1) //nolint:gosec // not a secret
}
