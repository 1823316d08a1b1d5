package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/apiserver"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/grants"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/kubernetes"
	"vestibule.dev/vestibule/gateway/internal/tokens"
	"vestibule.dev/vestibule/gateway/policy"
	"vestibule.dev/vestibule/hack/testenv"
)

const (
	clientShards = 16
	grantShards  = 256
	seededGrants = 5000
	seedVerifier = "a-verifier-of-forty-three-characters-or-more"
)

// TestRacesOfTwoProcesses runs the races on two gateways that have nothing in
// common but a real API server, where thousands of grants are already: first
// with good watches, then with one of the two hearing nothing for 30 seconds.
func TestRacesOfTwoProcesses(t *testing.T) {
	env, err := testenv.Start(testenv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	l := gatewaytest.Listen(t)
	setup := raceSetup()
	trust := setup.Configure
	setup.Configure = func(c *config.Config) {
		trust(c)
		c.Store = config.Store{Type: config.StoreKubernetes, Kubernetes: &config.KubernetesStore{
			Kind: "Secret", Namespace: "default", Name: "weather-gateway",
			ClientShards: clientShards, GrantShards: grantShards, Replicas: 2,
		}}
	}
	s := gatewaytest.Describe(t, "http://"+l.Addr().String(), setup)
	kubeconfig := prepareCluster(t, env, s)
	seedGrants(t, kubeconfig, s)

	replicas := []*replica{startReplica(t, s, l, kubeconfig), startReplica(t, s, gatewaytest.Listen(t), kubeconfig)}
	f := fleet{s, func(d time.Duration) {
		for _, r := range replicas {
			r.do(t, "advance "+d.String())
		}
	}}
	for _, race := range races {
		t.Run(race.name, func(t *testing.T) { race.run(t, f) })
	}
	t.Run("one replica hears nothing", func(t *testing.T) { deafReplica(t, f, replicas[1]) })
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

// prepareCluster makes what the controller makes for a gateway. It returns a
// kubeconfig of its account, and has what the shards hold searched for secrets in
// the end.
func prepareCluster(t *testing.T, env *testenv.Env, s *gatewaytest.Server) string {
	t.Helper()
	c, err := client.New(env.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	k := s.Config.Store.Kubernetes
	kubeconfig, err := env.Shards(t.Context(), k.Name, k.ClientShards, k.GrantShards)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dumpShards(t, c, k.Namespace, s.Secrets) })
	return kubeconfig
}

func dumpShards(t *testing.T, c client.Client, namespace string, secrets *gatewaytest.Secrets) {
	var all corev1.SecretList
	if err := c.List(context.Background(), &all, client.InNamespace(namespace)); err != nil {
		t.Error(err)
		return
	}
	records := 0
	for _, shard := range all.Items {
		for key, value := range shard.Data {
			fmt.Fprintf(secrets, "%s/%s: %s\n", shard.Name, key, value)
			records++
		}
	}
	if records < seededGrants {
		t.Errorf("the store holds %d records, fewer than were put there", records)
	}
}

// seedGrants fills the store with grants of other users.
func seedGrants(t *testing.T, kubeconfig string, s *gatewaytest.Server) {
	t.Helper()
	cfg, err := apiserver.Connect(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	k := s.Config.Store.Kubernetes
	shards, err := kubernetes.New(kubernetes.Options{
		REST: cfg, Namespace: k.Namespace, Name: k.Name, Kind: k.Kind,
		ClientShards: k.ClientShards, GrantShards: k.GrantShards, Replicas: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keys.NewRing(s.Keys)
	if err != nil {
		t.Fatal(err)
	}
	service := grants.New(grants.Options{
		Store: shards, Ring: ring, ServerUID: s.Config.ServerUID, FreshFor: time.Minute,
		RefreshTokenTTL: s.Config.RefreshTokenTTL(), AccessTokenTTL: s.Config.AccessTokenTTL(),
		Scopes: func() oauth.Scopes { return nil }, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Allowed:   func(policy.User) bool { return true },
		MayHave:   func(scopes oauth.Scopes, _ policy.User) oauth.Scopes { return scopes },
		Upstreams: anyUpstream{},
	})
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() {
		ran <- shards.Run(ctx, func(kind store.Kind, id store.ID, value []byte) {
			if kind == store.Grant {
				service.Observe(id, value)
			}
		})
	}()
	<-shards.Synced()
	started := time.Now()
	errs := make([]error, seededGrants)
	parallel(seededGrants, func(i int) {
		code, err := service.Create(t.Context(), grants.Approval{
			Holder:   grants.Holder{ClientID: "vst_cl_seed", Upstream: "corp", Issuer: s.IdP.URL, Subject: fmt.Sprintf("seed-%d", i)},
			Resource: s.URL + "/mcp", Challenge: tokens.Hash(seedVerifier),
			Claims: map[string]any{"email": fmt.Sprintf("seed-%d@example.com", i)},
		})
		if err == nil {
			_, err = service.Redeem(t.Context(), grants.Redemption{ClientID: "vst_cl_seed", Code: code, Verifier: seedVerifier})
		}
		errs[i] = err
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
