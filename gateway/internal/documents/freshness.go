package documents

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Bounds of how long what was fetched is used without a look at its source. The
// lower one holds also where the source wants nothing kept: it is what keeps this
// server from being used to flood that one.
const (
	minFresh     = time.Minute
	defaultFresh = 5 * time.Minute
	maxFresh     = 24 * time.Hour
	// maxFreshKeys is less: a key that its owner has withdrawn is refused after that.
	maxFreshKeys = time.Hour
)

// freshFor is how long an answer may be used, by its headers (RFC 9111 section 4.2)
// and within the bounds.
func freshFor(h http.Header, longest time.Duration) time.Duration {
	return min(max(declared(h), minFresh), longest)
}

func declared(h http.Header) time.Duration {
	age := seconds(h.Get("Age"))
	lifetime, found := time.Duration(0), false
	for directive := range strings.SplitSeq(strings.ToLower(strings.Join(h.Values("Cache-Control"), ",")), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch name {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			lifetime, found = seconds(strings.Trim(value, `"`)), true
		}
	}
	if found {
		return lifetime - age
	}
	expires := h.Get("Expires")
	if expires == "" {
		return defaultFresh
	}
	until, err := http.ParseTime(expires)
	if err != nil {
		return 0 // as "0", it means the past
	}
	from, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return defaultFresh
	}
	return until.Sub(from) - age
}

// seconds reads delta-seconds; what is none is 0.
func seconds(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}
