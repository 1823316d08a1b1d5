package gateway_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

func TestAttackRegistrationFlood(t *testing.T) {
	t.Parallel()
	trusting := func(c *config.Config) { c.TrustedProxies = []string{"127.0.0.0/8"} }
	try := func(gw *gatewaytest.Server, from string) gatewaytest.Answer {
		r := gw.Request(t, http.MethodPost, "/register", strings.NewReader(`{"redirect_uris":["https://client.example/cb"],"token_endpoint_auth_method":"none"}`),
			map[string]string{"Content-Type": "application/json", "X-Forwarded-For": from})
		return gw.Do(t, gw.HTTP(0), r)
	}
	// burst registers as often as one source may, each time from an address.
	burst := func(t *testing.T, gw *gatewaytest.Server, from func(i int) string) {
		t.Helper()
		for i := range 60 {
			if a := try(gw, from(i)); a.Status != http.StatusCreated {
				t.Fatalf("registration %d answers %d: %s", i, a.Status, a.Body)
			}
		}
	}
	refused := func(t *testing.T, a gatewaytest.Answer) {
		t.Helper()
		a.Fails(t, http.StatusTooManyRequests, "temporarily_unavailable")
		if s, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || s < 1 || s > 60 {
			t.Errorf("Retry-After is %q", a.Header.Get("Retry-After"))
		}
	}
	t.Run("behind a trusted proxy", func(t *testing.T) {
		gw := gatewaytest.New(t, gatewaytest.Setup{Configure: trusting})
		// What stands further left, the sender has written.
		burst(t, gw, func(i int) string { return fmt.Sprintf("203.0.113.%d, 198.51.100.1", i) })
		refused(t, try(gw, "198.51.100.1"))
		if a := try(gw, "198.51.100.2"); a.Status != http.StatusCreated {
			t.Errorf("another source gets %d", a.Status)
		}
		gw.Clock.Advance(time.Second)
		if a := try(gw, "198.51.100.1"); a.Status != http.StatusCreated {
			t.Errorf("a second later the answer is %d", a.Status)
		}
	})
	t.Run("by somebody who claims to be a proxy", func(t *testing.T) {
		gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) { c.TrustedProxies = []string{"10.0.0.0/8"} }})
		burst(t, gw, func(i int) string { return fmt.Sprintf("198.51.100.%d", i) })
		refused(t, try(gw, "203.0.113.1"))
	})
	t.Run("from one network of IPv6", func(t *testing.T) {
		gw := gatewaytest.New(t, gatewaytest.Setup{Configure: trusting})
		burst(t, gw, func(i int) string { return fmt.Sprintf("2001:db8:0:1:%x::%x", i, i) })
		refused(t, try(gw, "2001:db8:0:1:ffff::1"))
		if a := try(gw, "2001:db8:0:2::1"); a.Status != http.StatusCreated {
			t.Errorf("another network gets %d", a.Status)
		}
	})
	t.Run("in all", func(t *testing.T) {
		gw := gatewaytest.New(t, gatewaytest.Setup{Configure: trusting})
		for n := range 5 {
			burst(t, gw, func(int) string { return fmt.Sprintf("198.51.100.%d", n) })
		}
		refused(t, try(gw, "198.51.100.99"))
	})
}

// While a victim has registered and is about to log in, others register as much as
// they can, from one source and from many.
func TestAttackFloodAgainstAPendingClient(t *testing.T) {
	t.Parallel()
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use, Configure: func(c *config.Config) { c.TrustedProxies = []string{"127.0.0.0/8"} }})
	victim := gw.RegisterFrom(t, "192.0.2.1", nil)
	b, request := victim.Browser(t), victim.AuthorizationRequest()
	page := b.Get(t, gw.AuthorizeURL(request))
	flood := func(from func(i int) string) (registered int) {
		for i := range 100 {
			r := gw.Request(t, "POST", "/register", strings.NewReader(`{"redirect_uris":["https://evil.example/cb"],"token_endpoint_auth_method":"none"}`),
				map[string]string{"Content-Type": "application/json", "X-Forwarded-For": from(i)})
			switch a := gw.Do(t, gw.HTTP(0), r); a.Status {
			case http.StatusCreated:
				registered++
			default:
				a.Fails(t, http.StatusTooManyRequests, "temporarily_unavailable")
			}
		}
		return registered
	}
	one := flood(func(int) string { return "198.51.100.1" })
	many := 0
	for n := range 4 {
		many += flood(func(i int) string { return fmt.Sprintf("203.0.%d.%d", 113+n, i) })
	}
	if one > 60 || one+many > 300 {
		t.Errorf("%d clients registered from one source, %d from many", one, many)
	}
	// Ten minutes of it do not wash the victim's client away, nor keep it from its login.
	gw.Clock.Advance(9 * time.Minute)
	flood(func(i int) string { return fmt.Sprintf("203.0.200.%d", i) })
	last, arrived := b.Follow(t, b.Press(t, page, "approve"))
	if arrived.Get("code") == "" {
		t.Fatalf("the victim's login ends with %d:\n%s", last.Status, last.Body)
	}
	unharmed(t, victim, victim.Redeem(t, gatewaytest.Code{Code: arrived.Get("code"), Verifier: request.Verifier}))
}

// In X-Forwarded-For an attacker writes the victim's address, to use up what the
// victim may register, or a new one each time, to have no limit.
func TestAttackForgedSource(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		trusted []string
		header  func(i int) []string
	}{
		"no proxy is trusted":         {nil, func(int) []string { return []string{"192.0.2.1"} }},
		"before the proxy's entry":    {[]string{"127.0.0.0/8"}, func(int) []string { return []string{"192.0.2.1, 198.51.100.1"} }},
		"in a header of its own":      {[]string{"127.0.0.0/8"}, func(int) []string { return []string{"192.0.2.1", "198.51.100.1"} }},
		"with an address that varies": {[]string{"127.0.0.0/8"}, func(i int) []string { return []string{fmt.Sprintf("203.0.113.%d, 198.51.100.1", i)} }},
		"as a trusted proxy":          {[]string{"127.0.0.0/8"}, func(int) []string { return []string{"192.0.2.1, 127.0.0.1, 198.51.100.1"} }},
		"as something that is none":   {[]string{"127.0.0.0/8"}, func(int) []string { return []string{"192.0.2.1, x\x80, 198.51.100.1"} }},
	} {
		t.Run(name, func(t *testing.T) {
			journal := gatewaytest.NewJournal(t)
			gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use, Configure: func(c *config.Config) { c.TrustedProxies = row.trusted }})
			try := func(forwarded []string) gatewaytest.Answer {
				r := gw.Request(t, "POST", "/register", strings.NewReader(`{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"none"}`), map[string]string{"Content-Type": "application/json"})
				r.Header["X-Forwarded-For"] = forwarded
				return gw.Do(t, gw.HTTP(0), r)
			}
			for i := range 60 {
				if a := try(row.header(i)); a.Status != http.StatusCreated {
					t.Fatalf("registration %d answers %d: %s", i, a.Status, a.Body)
				}
			}
			try(row.header(60)).Fails(t, http.StatusTooManyRequests, "temporarily_unavailable")
			if row.trusted == nil {
				return // then all who come through here are one source
			}
			if a := try([]string{"192.0.2.1"}); a.Status != http.StatusCreated {
				t.Errorf("the victim gets %d", a.Status)
			}
			if strings.Contains(gw.Secrets.Written(), `"source":"203.0.113.`) {
				t.Error("the audit log believes it")
			}
		})
	}
}
