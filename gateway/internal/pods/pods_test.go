package pods

import (
	"slices"
	"testing"
)

func endpoint(uid string, ready, serving bool) Endpoint {
	return Endpoint{UID: uid, Addr: uid + ":8080", Ready: ready, Serving: serving}
}

// chosen are those that Pick may return.
func chosen(s *Set, tried ...*Pod) []string {
	found := map[string]bool{}
	for range 200 {
		if p := s.Pick(tried); p != nil {
			found[p.UID] = true
		}
	}
	var uids []string
	for uid := range found {
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	return uids
}

func TestWhoTakesWhatIsNew(t *testing.T) {
	s := New()
	if s.Pick(nil) != nil || s.Find("a") != nil {
		t.Error("a set that knows nothing knows a pod")
	}
	select {
	case <-s.Known():
		t.Error("it says that it knows")
	default:
	}
	s.Replace([]Endpoint{endpoint("a", true, true), endpoint("b", false, true), endpoint("c", false, false), endpoint("d", true, true)})
	<-s.Known()
	if got := chosen(s); !slices.Equal(got, []string{"a", "d"}) {
		t.Errorf("new requests go to %v", got)
	}
	if got := chosen(s, s.Find("a")); !slices.Equal(got, []string{"d"}) {
		t.Errorf("a was tried, and now it is %v", got)
	}
	if got := s.Pick([]*Pod{s.Find("a"), s.Find("d")}); got != nil {
		t.Errorf("all were tried, and now it is %v", got.UID)
	}
	for _, uid := range []string{"a", "b", "c", "d"} {
		if s.Find(uid) == nil {
			t.Errorf("the sessions of %s are not found", uid)
		}
	}
	s.Replace([]Endpoint{endpoint("b", false, true), endpoint("c", false, false)})
	if got := chosen(s); !slices.Equal(got, []string{"b"}) {
		t.Errorf("with no pod ready, new requests go to %v", got)
	}
	if s.Find("a") != nil {
		t.Error("a pod that is gone is found")
	}
	s.Replace(nil)
	if got := chosen(s); got != nil {
		t.Errorf("with no pods, new requests go to %v", got)
	}
}

func TestTheLessBusyOfTwo(t *testing.T) {
	s := New()
	both := []Endpoint{endpoint("a", true, true), endpoint("b", true, true)}
	s.Replace(both)
	done := s.Find("a").Begin()
	s.Replace(both) // what is under way stays counted
	if got := chosen(s); !slices.Equal(got, []string{"b"}) {
		t.Errorf("while a has a request, the next go to %v", got)
	}
	done()
	done() // counts once
	defer s.Find("b").Begin()()
	if got := chosen(s); !slices.Equal(got, []string{"a"}) {
		t.Errorf("while b has a request, the next go to %v", got)
	}
	s.Replace([]Endpoint{{UID: "a", Addr: "other:8080", Ready: true}})
	if got := s.Find("a").Addr; got != "other:8080" {
		t.Errorf("a is at %s", got)
	}
}

func TestAPodOfTwoFamiliesIsOne(t *testing.T) {
	s := New()
	s.Replace([]Endpoint{{UID: "a", Addr: "10.0.0.1:80", Ready: true}, {UID: "a", Addr: "[fd00::1]:80", Ready: true}})
	if got := s.Pick(nil); got.Addr != "10.0.0.1:80" || s.Pick([]*Pod{got}) != nil {
		t.Errorf("its address is %s, or it is there twice", got.Addr)
	}
}
