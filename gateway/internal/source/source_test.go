package source

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestWhoSendsARequest(t *testing.T) {
	for _, row := range []struct {
		name      string
		peer      string
		forwarded []string
		want      string
	}{
		{"no proxy", "198.51.100.1:1234", nil, "198.51.100.1"},
		{"a stranger's word", "198.51.100.1:1234", []string{"6.6.6.6"}, "198.51.100.1"},
		{"a trusted proxy", "10.0.0.1:1234", []string{"198.51.100.1"}, "198.51.100.1"},
		{"a trusted proxy that says nothing", "10.0.0.1:1234", nil, "10.0.0.1"},
		{"two trusted proxies", "10.0.0.1:1234", []string{"198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"two headers", "10.0.0.1:1234", []string{"198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{"what the sender wrote first", "10.0.0.1:1234", []string{"6.6.6.6, 198.51.100.1"}, "198.51.100.1"},
		{"a trusted address that the sender wrote", "10.0.0.1:1234", []string{"10.9.9.9, 198.51.100.1"}, "198.51.100.1"},
		{"nothing but trusted ones", "10.0.0.1:1234", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"an element that is no address", "10.0.0.1:1234", []string{"6.6.6.6, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"an empty header", "10.0.0.1:1234", []string{""}, "10.0.0.1"},
		{"an element with a port", "10.0.0.1:1234", []string{"198.51.100.1:443"}, "198.51.100.1"},
		{"IPv6 with a port", "[fd00::1]:1234", []string{"[2001:db8::7]:443"}, "2001:db8::7"},
		{"IPv6 with a zone", "[fe80::1%eth0]:1234", nil, "fe80::1"},
		{"a zone does not hide a trusted proxy", "[fd00::1%eth0]:1234", []string{"198.51.100.1"}, "198.51.100.1"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:1234", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"no address at all", "@", []string{"198.51.100.1"}, "invalid IP"},
	} {
		t.Run(row.name, func(t *testing.T) {
			resolver, err := NewResolver([]string{"10.0.0.0/8", "fd00::1/64"})
			if err != nil {
				t.Fatal(err)
			}
			r := &http.Request{RemoteAddr: row.peer, Header: http.Header{"X-Forwarded-For": row.forwarded}}
			if got := resolver.Of(r).String(); got != row.want {
				t.Errorf("the sender is %s, not %s", got, row.want)
			}
		})
	}
	if _, err := NewResolver([]string{"10.0.0.1"}); err == nil {
		t.Error("an address is taken for a CIDR")
	}
}

func TestWhichHostIsMeant(t *testing.T) {
	resolver, err := NewResolver([]string{"10.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		peer      string
		forwarded []string
		want      string
	}{
		{"198.51.100.1:1", []string{"public.example"}, "own.example"},
		{"10.0.0.1:1", nil, "own.example"},
		{"10.0.0.1:1", []string{"public.example"}, "public.example"},
		{"10.0.0.1:1", []string{"public.example, evil.example"}, "own.example"},
		{"10.0.0.1:1", []string{"public.example", "evil.example"}, "own.example"},
	} {
		r := &http.Request{Host: "own.example", RemoteAddr: row.peer, Header: http.Header{"X-Forwarded-Host": row.forwarded}}
		if got := resolver.HostOf(r); got != row.want {
			t.Errorf("%s with %q means %s, not %s", row.peer, row.forwarded, got, row.want)
		}
	}
}

func TestARequestKnowsItsSender(t *testing.T) {
	resolver, err := NewResolver([]string{"10.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	r := (&http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"X-Forwarded-For": {"198.51.100.1"}}}).WithContext(t.Context())
	served := false
	resolver.Mark(func(_ http.ResponseWriter, r *http.Request) {
		served = true
		if got := AddrOf(r.Context()).String(); got != "198.51.100.1" {
			t.Errorf("the sender is %s", got)
		}
	})(nil, r)
	if !served || AddrOf(t.Context()).IsValid() {
		t.Error("the request was not served, or a context without one has a sender")
	}
}

func TestLimits(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l := NewLimiter(Limit{PerSecond: 1, Burst: 2}, Limit{PerSecond: 10, Burst: 3}, func() time.Time { return now })
	one, two, three := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.2"), netip.MustParseAddr("198.51.100.3")
	take := func(addr netip.Addr, want bool, longest time.Duration) {
		t.Helper()
		wait, ok := l.Take(addr)
		if ok != want || ok != (wait == 0) || wait > longest {
			t.Fatalf("%s gets %v, and has to wait %s", addr, ok, wait)
		}
	}
	take(one, true, 0)
	take(one, true, 0)
	for range 10 {
		take(one, false, time.Second) // which uses up nothing of all
	}
	take(two, true, 0)
	for range 10 {
		take(three, false, time.Second) // which uses up nothing of its own
	}
	now = now.Add(200 * time.Millisecond)
	take(three, true, 0)
	take(three, true, 0)
	take(three, false, time.Second)
	now = now.Add(time.Second)
	take(one, true, 0)
	take(one, false, time.Second)
}

func TestWhatIsGivenBackDoesNotCount(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for name, all := range map[string]Limit{"bounded": {PerSecond: 1, Burst: 3}, "unlimited": Unlimited} {
		l := NewLimiter(Limit{PerSecond: 1, Burst: 3}, all, func() time.Time { return now })
		one := netip.MustParseAddr("198.51.100.1")
		take := func(want bool) {
			t.Helper()
			if _, ok := l.Take(one); ok != want {
				t.Errorf("%s: it gets %v", name, ok)
			}
		}
		for range 10 {
			take(true)
			l.GiveBack(one)
		}
		for range 3 {
			take(true)
		}
		take(false)
		l.GiveBack(one)
		take(true)
		take(false)
		for range 10 { // never more than the burst
			l.GiveBack(one)
		}
		now = now.Add(time.Minute)
		for range 3 {
			take(true)
		}
		take(false)
	}
}

func TestOneSenderIsOneSource(t *testing.T) {
	for _, row := range []struct {
		a, b string
		same bool
	}{
		{"198.51.100.1", "198.51.100.2", false},
		{"2001:db8::1", "2001:db8::ffff", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"0.0.0.1", "::1", false},
	} {
		if same := network(netip.MustParseAddr(row.a)) == network(netip.MustParseAddr(row.b)); same != row.same {
			t.Errorf("%s and %s are one source: %v", row.a, row.b, same)
		}
	}
	if network(netip.Addr{}) != (netip.Prefix{}) {
		t.Error("the unknown address has a network")
	}
}

func TestSourcesAreForgotten(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l := NewLimiter(Limit{PerSecond: 1, Burst: 1}, Limit{PerSecond: 1e9, Burst: 1e9}, func() time.Time { return now })
	at := func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)) }
	for i := range maxSources {
		l.Take(at(i))
	}
	now = now.Add(time.Second)
	l.Take(at(0)) // the only one that has not been quiet
	l.Take(at(maxSources))
	if len(l.sources) != 2 {
		t.Errorf("%d sources are remembered", len(l.sources))
	}
	if _, ok := l.Take(at(0)); ok {
		t.Error("a source that was not quiet is forgotten")
	}
	for i := range 3 * maxSources {
		l.Take(at(i))
	}
	if len(l.sources) > maxSources {
		t.Errorf("%d sources are remembered", len(l.sources))
	}
}

// Whatever stands in X-Forwarded-For, nobody but a trusted proxy says who the sender
// is, and nobody gets rid of their own address by writing more before it.
func FuzzOf(f *testing.F) {
	for _, seed := range [][2]string{
		{"198.51.100.1:1", "6.6.6.6"}, {"10.0.0.1:1", "198.51.100.1"}, {"10.0.0.1:1", "6.6.6.6, 198.51.100.1, 10.0.0.2"}, {"10.0.0.1:1", "unknown, 10.0.0.2"}, {"10.0.0.1:1", ",,"},
		{"10.0.0.1:1", "[2001:db8::7]:443"}, {"[fd00::1%eth0]:1", "fe80::1%eth0"}, {"[::ffff:10.0.0.1]:1", "::ffff:198.51.100.1"}, {"@", "1.2.3.4"}, {"10.0.0.1:1", "198.51.100.1\n10.0.0.2"}, {"10.0.0.1:1", "010.0.0.1"}, {"10.0.0.1:1", "for=1.2.3.4"},
	} {
		f.Add(seed[0], seed[1])
	}
	resolver, err := NewResolver([]string{"10.0.0.0/8", "fd00::/64"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, peer, forwarded string) {
		request := func(first ...string) *http.Request {
			return &http.Request{RemoteAddr: peer, Host: "own.example", Header: http.Header{"X-Forwarded-For": append(first, strings.Split(forwarded, "\n")...)}}
		}
		r := request()
		got, own := resolver.Of(r), peerOf(r)
		if !resolver.trusts(own) && got != own {
			t.Errorf("%s says that it is %s", own, got)
		}
		if got.Zone() != "" || got.Is4In6() {
			t.Errorf("%q, %q: the sender is %s, which others write in another way", peer, forwarded, got)
		}
		if again := resolver.Of(request("6.6.6.6")); !resolver.trusts(got) && got != own && again != got {
			t.Errorf("%q: with 6.6.6.6 before it, the sender is %s and not %s", forwarded, again, got)
		}
		r.Header["X-Forwarded-Host"] = []string{"public.example"}
		if host := resolver.HostOf(r); (host == "public.example") != resolver.trusts(own) {
			t.Errorf("%s says that the host is %s", own, host)
		}
	})
}
