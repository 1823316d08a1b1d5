package gateway_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// load is many users' clients, each of which does all there is to do, again and
// again, at both replicas.
type load struct {
	w       *keyWorld
	phases  []*phase
	current atomic.Pointer[phase]
	over    atomic.Bool
	users   sync.WaitGroup
}

// phase is what came of the requests that began in it.
type phase struct {
	name                 string
	mu                   sync.Mutex
	answers, unavailable int
	refused              []string
}

func startLoad(w *keyWorld) *load {
	l := &load{w: w}
	l.begin("at first")
	for n := range 4 {
		l.users.Go(func() { l.use(n) })
	}
	return l
}

func (l *load) begin(name string) {
	p := &phase{name: name}
	l.phases = append(l.phases, p)
	l.current.Store(p)
}

// lasts waits until the phase has seen so many more answers.
func (l *load) lasts(answers int) {
	l.w.t.Helper()
	p := l.current.Load()
	before := p.count()
	l.w.eventually("a load on the gateways", func() bool { return p.count() >= before+answers })
}

func (p *phase) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answers
}

func (l *load) stop() {
	l.over.Store(true)
	l.users.Wait()
}

// ask sends a request, and says whether it was answered with a success.
func (l *load) ask(what string, send func() gatewaytest.Answer) (gatewaytest.Answer, bool) {
	p := l.current.Load()
	a := send()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers++
	switch {
	case a.Status == http.StatusServiceUnavailable && a.Header.Get("Retry-After") != "":
		p.unavailable++
	case a.Status >= 400:
		p.refused = append(p.refused, fmt.Sprintf("%s: %d %s", what, a.Status, a.Body))
	}
	return a, a.Status < 400
}

// use is one user's life, until the load is over.
func (l *load) use(user int) {
	// What a user had from the beginning is good to the end.
	var first gatewaytest.Tokens
	for round := 0; !l.over.Load(); round++ {
		client, _ := l.register(round%2, fmt.Sprintf("192.0.2.%d", 10*user+round%10))
		for turn := 0; turn < 8 && client != nil && !l.over.Load(); turn++ {
			tokens, ok := l.login(client, turn%2)
			if !ok {
				continue
			}
			if first.Access == "" {
				first = tokens
			}
			time.Sleep(25 * time.Millisecond) // each token is searched for in all logs at the end
			for replica := range 2 {
				for _, access := range []string{first.Access, tokens.Access} {
					l.ask("a call", func() gatewaytest.Answer { return client.On(replica).Call(l.w.t, access) })
				}
				a, ok := l.ask("a refresh", func() gatewaytest.Answer {
					return client.On(replica).Token(l.w.t, gatewaytest.RefreshParams(tokens.Refresh))
				})
				if ok {
					tokens = client.Tokens(l.w.t, a)
				}
			}
		}
	}
}

func (l *load) register(replica int, addr string) (client *gatewaytest.Client, ok bool) {
	_, ok = l.ask("a registration", func() gatewaytest.Answer {
		var a gatewaytest.Answer
		client, a = l.w.register(replica, addr)
		return a
	})
	return client, ok
}

// login logs in at one replica, and redeems at the other.
func (l *load) login(client *gatewaytest.Client, replica int) (gatewaytest.Tokens, bool) {
	t := l.w.t
	here := client.On(replica)
	browser, request := here.Browser(t), here.AuthorizationRequest()
	consent, ok := l.ask("a consent page", func() gatewaytest.Answer { return browser.Get(t, here.AuthorizeURL(request)) })
	if !ok {
		return gatewaytest.Tokens{}, false
	}
	var code string
	_, ok = l.ask("a login", func() gatewaytest.Answer {
		last, arrived := browser.Follow(t, browser.Press(t, consent, "approve"))
		if code = l.w.Secrets.Add("code", arrived.Get("code")); code == "" && arrived != nil {
			last = gatewaytest.Answer{Status: http.StatusBadRequest, Body: arrived.Encode()}
		}
		return last
	})
	if !ok {
		return gatewaytest.Tokens{}, false
	}
	a, ok := l.ask("a redemption", func() gatewaytest.Answer {
		return client.On(1-replica).Token(t, gatewaytest.RedeemParams(gatewaytest.Code{Code: code, Verifier: request.Verifier}))
	})
	if !ok {
		return gatewaytest.Tokens{}, false
	}
	return client.Tokens(t, a), true
}
