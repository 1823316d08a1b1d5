package authorize

import (
	"strconv"
	"testing"
	"time"
)

func TestFinishedLoginsAreRemembered(t *testing.T) {
	f, now := newFinishedLogins(), time.Unix(1_800_000_000, 0)
	if f.has("a", now) || !f.add("a", now) || f.add("a", now) || !f.has("a", now) || !f.add("b", now.Add(time.Minute)) {
		t.Error("a login can be finished twice, or not once")
	}
	now = now.Add(loginFor)
	if f.has("a", now) || !f.has("b", now) || !f.add("c", now) || len(f.until) != 2 || len(f.order) != 2 {
		t.Errorf("what has expired is remembered: %v", f.until)
	}
	f.limit = 10
	for i := range 100 {
		f.add(strconv.Itoa(i), now)
	}
	if len(f.until) != 10 || len(f.order) != 10 || f.has("89", now) || !f.has("90", now) || f.add("99", now) {
		t.Errorf("remembered are %v", f.until)
	}
}
