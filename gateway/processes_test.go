//go:build integration

package gateway_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/clients"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/grants"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/tokens"
	"vestibule.dev/vestibule/gateway/policy"
)

const (
	seededGrants = 5000
	seeders      = 500 // at once: a store that is given all at once may lose answers
	seedVerifier = "a-verifier-of-forty-three-characters-or-more"
)

// backing is an empty store that processes can share.
type backing struct {
	config     config.Store
	kubeconfig string
	// open returns the store, as a gateway would.
	open func(t *testing.T) store.Store
	// dump writes all that the store holds, and returns how many records there are.
	dump func(t *testing.T, w io.Writer) int
}

// TestRacesOfTwoProcesses runs the races on two gateways that have nothing in
// common but a real store, where thousands of grants are already: first with good
// watches, then with one of the two hearing nothing for 30 seconds.
func TestRacesOfTwoProcesses(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) backing{"Kubernetes": inKubernetes, "etcd": inEtcd} {
		t.Run(name, func(t *testing.T) {
			b, l, setup := start(t), gatewaytest.Listen(t), raceSetup()
			trust := setup.Configure
			setup.Configure = func(c *config.Config) {
				trust(c)
				c.Store = b.config
			}
			s := gatewaytest.Describe(t, "http://"+l.Addr().String(), setup)
			t.Cleanup(func() {
				if n := b.dump(t, s.Secrets); n < seededGrants {
					t.Errorf("the store holds %d records, fewer than were put there", n)
				}
			})
			seedGrants(t, b.open(t), s)

			replicas := []*replica{startReplica(t, s, l, b.kubeconfig), startReplica(t, s, gatewaytest.Listen(t), b.kubeconfig)}
			f := fleet{s, func(d time.Duration) {
				for _, r := range replicas {
					r.do(t, "advance "+d.String())
				}
			}}
			for _, race := range races {
				t.Run(race.name, func(t *testing.T) { race.run(t, f) })
			}
			t.Run("one replica hears nothing", func(t *testing.T) { deafReplica(t, f, replicas[1]) })
		})
	}
}

// deafReplica runs the races while one replica's watches are silent, and goes
// on using it until they were for 30 seconds.
func deafReplica(t *testing.T, f fleet, deaf *replica) {
	client := f.Register(t, nil)
	known := client.Redeem(t, client.Login(t))
	deaf.do(t, "pause")
	silent := time.Now()
	for _, race := range deafRaces {
		t.Run(race.name, func(t *testing.T) { race.run(t, f) })
	}
	for time.Since(silent) < 30*time.Second {
		fresh := client.On(0).Redeem(t, client.On(1).Login(t))
		for _, token := range []string{known.Access, fresh.Access} {
			if a := client.On(1).Call(t, token); a.Status != 200 {
				t.Fatalf("%v after its watch fell silent, a replica answers %d: %s", time.Since(silent), a.Status, a.Body)
			}
		}
		known = client.On(1).Refresh(t, known.Refresh)
		time.Sleep(250 * time.Millisecond) // bounded by the loop: a user who works on
	}
	deaf.do(t, "resume")
	// What happened meanwhile arrives: a token that was revoked at the other
	// replica is refused here too.
	client.On(0).Form(t, "/revoke", map[string][]string{"token": {known.Refresh}})
	dies(t, client.On(1), known.Access)
}

// seedGrants fills the store with grants of other users.
func seedGrants(t *testing.T, into store.Store, s *gatewaytest.Server) {
	t.Helper()
	ring, err := keys.NewRing(s.Keys)
	if err != nil {
		t.Fatal(err)
	}
	service := grants.New(grants.Options{
		Store: into, Ring: ring, ServerUID: s.Config.ServerUID, FreshFor: time.Minute,
		RefreshTokenTTL: s.Config.RefreshTokenTTL(), AccessTokenTTL: s.Config.AccessTokenTTL(),
		Policy: func(context.Context) grants.Policy { return lenient{} }, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Clients: nobody{}, Upstreams: anyUpstream{},
	})
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() {
		ran <- into.Run(ctx, func(kind store.Kind, id store.ID, value []byte) {
			if kind == store.Grant {
				service.Observe(id, value)
			}
		})
	}()
	<-into.Synced()
	started := time.Now()
	seed := func(i int) error {
		code, err := service.Create(t.Context(), grants.Approval{
			Holder:   grants.Holder{ClientID: "vst_cl_seed", Upstream: "corp", Issuer: s.IdP.URL, Subject: fmt.Sprintf("seed-%d", i)},
			Resource: s.URL + "/mcp", Challenge: tokens.Hash(seedVerifier),
			Claims: map[string]any{"email": fmt.Sprintf("seed-%d@example.com", i)},
		})
		if err == nil {
			_, err = service.Redeem(t.Context(), grants.Redemption{ClientID: "vst_cl_seed", Code: code, Verifier: seedVerifier})
		}
		return err
	}
	errs := make([]error, seededGrants)
	parallel(seeders, func(first int) {
		for i := first; i < seededGrants; i += seeders {
			errs[i] = seed(i)
		}
	})
	t.Logf("%d grants created and redeemed in %v", seededGrants, time.Since(started))
	stop()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// anyUpstream serves everybody.
type anyUpstream struct{ grants.Upstreams }

func (anyUpstream) Serves(string, string) bool { return true }

// nobody stands for the clients of seeded grants.
// lenient lets everybody in, for nothing.
type lenient struct{}

func (lenient) Grantable() oauth.Scopes                                 { return nil }
func (lenient) Allowed(policy.User) (string, error)                     { return "", nil }
func (lenient) MayHave(scopes oauth.Scopes, _ policy.User) oauth.Scopes { return scopes }

type nobody struct{}

func (nobody) Known(string) (*clients.Client, time.Time) { return nil, time.Time{} }

func (nobody) Exists(context.Context, string) error { return store.ErrNotFound }
