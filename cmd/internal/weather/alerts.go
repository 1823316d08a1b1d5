package weather

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"unicode/utf8"
)

const (
	// maxAlerts bounds what the process remembers.
	maxAlerts = 1000
	// maxAlert is the length of the longest alert, in characters.
	maxAlert = 500
)

// alerts is what callers have set, for as long as the process runs.
type alerts struct {
	mu     sync.Mutex
	byCity map[string]string
}

func newAlerts() *alerts { return &alerts{byCity: map[string]string{}} }

// set replaces the alert of a city; an empty text removes it.
func (a *alerts) set(city, text string) error {
	if utf8.RuneCountInString(text) > maxAlert {
		return fmt.Errorf("text is longer than %d characters", maxAlert)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	city = key(city)
	if text == "" {
		delete(a.byCity, city)
		return nil
	}
	if _, known := a.byCity[city]; !known && len(a.byCity) >= maxAlerts {
		return errors.New("too many alerts: remove one by setting an empty text")
	}
	a.byCity[city] = text
	return nil
}

// get returns the alert of a city, or "".
func (a *alerts) get(city string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.byCity[key(city)]
}

// all returns a copy of the alerts by city.
func (a *alerts) all() map[string]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.byCity)
}
