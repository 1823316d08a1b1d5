package gateway_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/grants"
)

// fleet is a server with two replicas, whose time the test can change.
type fleet struct {
	*gatewaytest.Server
	advance func(time.Duration)
}

// raceSetup lets tests register many clients: each comes from an address of its own.
func raceSetup() gatewaytest.Setup {
	return gatewaytest.Setup{Replicas: 2, Configure: func(c *config.Config) {
		c.TrustedProxies = []string{"127.0.0.0/8"}
	}}
}

// races are what may happen at both replicas at the same moment.
var races = []struct {
	name string
	run  func(*testing.T, fleet)
}{
	{"a client is good everywhere at once", clientsAreGoodEverywhere},
	{"a code is redeemed once", aCodeIsRedeemedOnce},
	{"a refresh token has one successor", aRefreshTokenHasOneSuccessor},
	{"a spent refresh token ends the grant everywhere", aSpentTokenEndsTheGrant},
	{"a thief and a victim end the grant", aThiefAndAVictimEndTheGrant},
	{"grants do not stand in each other's way", grantsDoNotStandInEachOthersWay},
}

// deafRaces are those with nothing that only a watch can tell: until that is
// back, a replica may believe a token that was revoked at the other.
var deafRaces = races[:3]

func TestRacesInMemory(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, raceSetup())
	f := fleet{gw, gw.Clock.Advance}
	for _, race := range races {
		t.Run(race.name, func(t *testing.T) { race.run(t, f) })
	}
}

// parallel runs f n times at once, and gives each its number.
func parallel(n int, f func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	all.Wait()
}

// clientsAreGoodEverywhere registers at one replica and uses at the other.
func clientsAreGoodEverywhere(t *testing.T, f fleet) {
	const clients = 200
	var refused []string
	var mu sync.Mutex
	limit := make(chan struct{}, 16)
	parallel(clients, func(i int) {
		limit <- struct{}{}
		defer func() { <-limit }()
		client := f.RegisterFrom(t, fmt.Sprintf("192.0.2.%d", i), nil).On(1)
		a := client.Token(t, gatewaytest.RedeemParams(client.Login(t)))
		if a.Status == http.StatusOK {
			a = client.On(0).Call(t, client.Tokens(t, a).Access)
		}
		if a.Status != http.StatusOK {
			mu.Lock()
			defer mu.Unlock()
			refused = append(refused, fmt.Sprintf("%d %s", a.Status, a.Body))
		}
	})
	if len(refused) > 0 {
		t.Errorf("%d of %d new clients or their tokens are refused at the other replica, for instance %s", len(refused), clients, refused[0])
	}
}

func aCodeIsRedeemedOnce(t *testing.T, f fleet) {
	client := f.Register(t, nil)
	code := client.Login(t)
	answers := make([]gatewaytest.Answer, 100)
	parallel(len(answers), func(i int) { answers[i] = client.On(i%2).Token(t, gatewaytest.RedeemParams(code)) })
	var won []gatewaytest.Tokens
	for _, a := range answers {
		if a.Status == http.StatusOK {
			won = append(won, client.Tokens(t, a))
			continue
		}
		a.Fails(t, http.StatusBadRequest, "invalid_grant")
	}
	if len(won) != 1 {
		t.Fatalf("%d of %d redemptions succeed", len(won), len(answers))
	}
	for replica := range 2 {
		client.On(replica).Token(t, gatewaytest.RefreshParams(won[0].Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
		dies(t, client.On(replica), won[0].Access)
	}
}

// dies waits until a revoked token is refused: a replica whose watch is behind
// may take it until then, but no longer than copies count as fresh.
func dies(t *testing.T, client *gatewaytest.Client, accessToken string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		a := client.Call(t, accessToken)
		if a.Status != http.StatusOK {
			a.Fails(t, http.StatusUnauthorized, "invalid_token")
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a revoked access token is still good")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func aRefreshTokenHasOneSuccessor(t *testing.T, f fleet) {
	client := f.Register(t, nil)
	old := client.Redeem(t, client.Login(t))
	answers := make([]gatewaytest.Tokens, 16)
	parallel(len(answers), func(i int) { answers[i] = client.On(i%2).Refresh(t, old.Refresh) })
	for _, a := range answers {
		if a.Refresh != answers[0].Refresh {
			t.Fatal("two refreshes with one token got different refresh tokens")
		}
		if replica := client.On(1).Call(t, a.Access); replica.Status != http.StatusOK {
			t.Errorf("an access token from the race gets %d: %s", replica.Status, replica.Body)
		}
	}
	if answers[0].Refresh == old.Refresh {
		t.Fatal("the refresh token was not rotated")
	}
	client.On(1).Refresh(t, answers[0].Refresh)
}

func aSpentTokenEndsTheGrant(t *testing.T, f fleet) {
	client := f.Register(t, nil)
	first := client.Redeem(t, client.Login(t))
	second := client.On(1).Refresh(t, first.Refresh)
	third := client.Refresh(t, second.Refresh)
	f.advance(grants.RetryWindow + time.Second)
	client.On(1).Token(t, gatewaytest.RefreshParams(first.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
	for replica := range 2 {
		client.On(replica).Token(t, gatewaytest.RefreshParams(third.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
		dies(t, client.On(replica), third.Access)
	}
}

func aThiefAndAVictimEndTheGrant(t *testing.T, f fleet) {
	client := f.Register(t, nil)
	stolen := client.Redeem(t, client.Login(t))
	victim := client.Refresh(t, stolen.Refresh)
	f.advance(grants.RetryWindow + time.Second)
	thief := client.On(1).Refresh(t, stolen.Refresh)
	if thief.Refresh == victim.Refresh {
		t.Fatal("a stale token gets what its first use got")
	}
	client.Token(t, gatewaytest.RefreshParams(victim.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
	for replica := range 2 {
		client.On(replica).Token(t, gatewaytest.RefreshParams(thief.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
		dies(t, client.On(replica), thief.Access)
	}
}

func grantsDoNotStandInEachOthersWay(t *testing.T, f fleet) {
	client := f.Register(t, nil)
	tokens := make([]gatewaytest.Tokens, 32)
	for i := range tokens {
		// Somebody else each time: one user has only so many grants.
		f.IdP.LoginAs(fmt.Sprintf("user-%d", i), nil)
		tokens[i] = client.Redeem(t, client.Login(t))
	}
	f.IdP.LoginAs("alice", nil)
	statuses := make([]string, len(tokens))
	parallel(len(tokens), func(i int) {
		a := client.On(i%2).Token(t, gatewaytest.RefreshParams(tokens[i].Refresh))
		statuses[i] = fmt.Sprintf("%d %s", a.Status, a.Code())
	})
	if bad := slices.DeleteFunc(statuses, func(s string) bool { return strings.HasPrefix(s, "200") }); len(bad) > 0 {
		t.Errorf("%d of %d refreshes of different grants fail: %v", len(bad), len(tokens), url.QueryEscape(bad[0]))
	}
}
