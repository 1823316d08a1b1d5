package telemetry

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// State is what a gateway is asked at each scrape. Its functions are called at once
// with everything else.
type State struct {
	Store Store
	Now   func() time.Time
	// Records counts those of a kind, and those among them that do not open.
	Records func(kind store.Kind) (unreadable, all int)
	// MintingSince is since when the key may be used that tokens are minted with.
	MintingSince func() time.Time
	// PolicyGood and KeysGood say whether the newest ones are in use.
	PolicyGood, KeysGood func() bool
	// CertificateEnds is when the certificate expires that the gateway serves with; nil
	// where it has none.
	CertificateEnds func() time.Time
	// ReadyPods count, by route, the backend's pods that take what is new. A route
	// whose pods are not told apart is not in it.
	ReadyPods map[string]func() int
}

// Ask adds what a gateway is to be asked.
func (m *Metrics) Ask(s State) {
	if m == nil {
		return
	}
	kinds := []string{"kind"}
	m.describe("gauge", "store_copy_age_seconds", helpCopyAge, kinds)
	m.describe("gauge", "records", helpRecords, kinds)
	m.describe("gauge", "records_unreadable", helpUnreadable, kinds)
	for _, kind := range store.Kinds {
		labels := prometheus.Labels{"kind": kind.String()}
		m.ask("store_copy_age_seconds", helpCopyAge, labels, func() float64 { return copyAge(s.Store, kind, s.Now()) })
		m.ask("records", helpRecords, labels, func() float64 { _, all := s.Records(kind); return float64(all) })
		m.ask("records_unreadable", helpUnreadable, labels, func() float64 { sealed, _ := s.Records(kind); return float64(sealed) })
	}
	m.one("minting_key_not_before_timestamp_seconds", "Since when the key may be used that tokens are minted with.",
		func() float64 { return float64(s.MintingSince().Unix()) })
	m.one("policy_last_reload_successful", "1 if the newest policy is in force, 0 if the last good one or none is.",
		func() float64 { return truth(s.PolicyGood()) })
	m.one("keys_last_reload_successful", "1 if the newest keys are in use, 0 if the last good ones are.",
		func() float64 { return truth(s.KeysGood()) })
	if s.CertificateEnds != nil {
		m.one("tls_certificate_not_after_timestamp_seconds", "When the certificate expires that the gateway serves with.",
			func() float64 { return float64(s.CertificateEnds().Unix()) })
	}
	m.describe("gauge", "backend_ready_pods", helpReadyPods, []string{"route"})
	for route, ready := range s.ReadyPods {
		m.ask("backend_ready_pods", helpReadyPods, prometheus.Labels{"route": route}, func() float64 { return float64(ready()) })
	}
}

const (
	helpCopyAge = "Time since the store was last known to have told of all changes, of the part where that is longest ago. " +
		"+Inf if it never has."
	helpRecords    = "Clients and grants in the store, as this gateway knows them."
	helpReadyPods  = "Pods behind a route that take new sessions. Absent if sessionAffinity is None."
	helpUnreadable = "Records that no key of this gateway opens."
)

func (m *Metrics) one(name, help string, now func() float64) {
	m.describe("gauge", name, help, nil)
	m.ask(name, help, nil, now)
}

func (m *Metrics) ask(name, help string, labels prometheus.Labels, now func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: labels}, now))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// copyAge is the age of the part that has not been heard of for the longest time.
func copyAge(s Store, kind store.Kind, now time.Time) float64 {
	parts, _ := s.Counts(kind)
	age := 0.0
	for part := range max(parts, 1) {
		heard := s.Heard(kind, store.NewID(uint16(part)))
		if heard.IsZero() {
			return math.Inf(1)
		}
		age = max(age, now.Sub(heard).Seconds())
	}
	return age
}
