package resources_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

var keysMade = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const day = 24 * time.Hour

// keySecret is a server's, with keys that were made at keysMade.
func keySecret(t *testing.T) (*v1alpha1.MCPServer, *corev1.Secret) {
	t.Helper()
	server := &v1alpha1.MCPServer{ObjectMeta: metav1.ObjectMeta{Name: "weather", Namespace: "tools", UID: "uid"}}
	s, err := resources.Keys(server, config.NewKeySet(keysMade))
	if err != nil {
		t.Fatal(err)
	}
	return server, s
}

func turn(t *testing.T, s *corev1.Secret, server *v1alpha1.MCPServer, c resources.KeyCommands, now time.Time) resources.KeyChanges {
	t.Helper()
	changes, err := resources.TurnKeys(s, server, c, now)
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

// names has the status name a key Secret.
func names(server *v1alpha1.MCPServer, s *corev1.Secret) {
	server.Status.KeyFingerprint = resources.FingerprintKeys(s).Current()
}

func fits(server *v1alpha1.MCPServer, s *corev1.Secret) bool {
	return resources.FingerprintKeys(s).Fit(server)
}

// Rotation does not change the fingerprint.
func TestTheFingerprintOutlivesEveryKey(t *testing.T) {
	server, s := keySecret(t)
	names(server, s)
	first := s.DeepCopy()
	for now := keysMade; now.Before(keysMade.Add(1000 * day)); now = now.Add(10 * day) {
		turn(t, s, server, resources.KeyCommands{}, now)
		if f := resources.FingerprintKeys(s); f.Current() != server.Status.KeyFingerprint || len(f) != 1 {
			t.Fatalf("at %v the fingerprints are %v", now, f)
		}
	}
	if set, err := config.ParseKeySet(s.Data["keyset.json"]); err != nil || set.Keys[0].ID == 1 {
		t.Fatalf("the first key is still there, %v", err)
	}
	if !fits(server, first) {
		t.Error("a backup from before the rotations does not fit")
	}
	_, other := keySecret(t)
	if fits(server, other) {
		t.Error("the keys of another fit")
	}
}

// A thief of the dropped keys has the identity that stood beside them.
func TestADropChangesTheFingerprint(t *testing.T) {
	server, s := keySecret(t)
	names(server, s)
	stolen := s.DeepCopy()
	drop := keysMade.Add(day)
	turn(t, s, server, resources.KeyCommands{Drop: drop}, drop)
	if !fits(server, s) {
		t.Error("the keys do not fit before the status names the new ones")
	}
	names(server, s)
	if !fits(server, s) {
		t.Error("the keys do not fit")
	}
	if fits(server, stolen) {
		t.Error("the stolen keys fit")
	}
	stolen.Data["identity-before-drop"] = stolen.Data["identity"]
	if fits(server, stolen) {
		t.Error("the stolen keys fit as those before a drop")
	}
	// The command stays in the annotation.
	before := resources.FingerprintKeys(s).Current()
	turn(t, s, server, resources.KeyCommands{Drop: drop}, drop.Add(day))
	if after := resources.FingerprintKeys(s).Current(); after != before {
		t.Error("the same drop changes the fingerprint again")
	}
}

// A key Secret that an older controller has made is given an identity once. Its backup,
// which has none, is still known.
func TestTheKeysOfAnOlderControllerAreIdentified(t *testing.T) {
	server, s := keySecret(t)
	delete(s.Data, "identity")
	backup := s.DeepCopy()
	names(server, s)
	if server.Status.KeyFingerprint == "" {
		t.Fatal("there is no fingerprint")
	}
	blank, err := resources.BlankKeys(s)
	if err != nil {
		t.Fatal(err)
	}
	if !turn(t, blank, server, resources.KeyCommands{}, keysMade).Changed || !turn(t, s, server, resources.KeyCommands{}, keysMade).Changed {
		t.Error("it is not to be written")
	}
	if len(s.Data["identity"]) == 0 || !fits(server, s) || !fits(server, backup) {
		t.Error("the Secret or its backup does not fit")
	}
	if blank, err = resources.BlankKeys(s); err != nil {
		t.Fatal(err)
	}
	if turn(t, blank, server, resources.KeyCommands{}, keysMade).Changed {
		t.Error("it is to be written again")
	}
}

// Neither the fingerprint nor what is remembered of the Secret has anything of the keys.
func TestAFingerprintRevealsNothing(t *testing.T) {
	server, s := keySecret(t)
	set, err := config.ParseKeySet(s.Data["keyset.json"])
	if err != nil {
		t.Fatal(err)
	}
	names(server, s)
	public, err := hex.DecodeString(server.Status.KeyFingerprint)
	if err != nil || len(public) != 16 {
		t.Errorf("the fingerprint is %q", server.Status.KeyFingerprint)
	}
	for _, secret := range [][]byte{set.Keys[0].Secret, s.Data["identity"]} {
		if bytes.Contains(secret, public) || bytes.Contains(public, secret[:8]) {
			t.Error("the fingerprint is a part of what it stands for")
		}
	}
	if bytes.Equal(s.Data["identity"], set.Keys[0].Secret) {
		t.Error("the identity is the key")
	}
	blank, err := resources.BlankKeys(s)
	if err != nil {
		t.Fatal(err)
	}
	remembered, err := json.Marshal(blank)
	if err != nil {
		t.Fatal(err)
	}
	identity, err := json.Marshal(s.Data["identity"])
	if err != nil || bytes.Contains(remembered, identity) {
		t.Errorf("the identity is remembered, %v", err)
	}
}

// What cannot be read has no fingerprint, and fits where none is expected.
func TestWhatHasNoFingerprint(t *testing.T) {
	server, s := keySecret(t)
	nothing := &corev1.Secret{Data: map[string][]byte{"keyset.json": []byte("none")}}
	if f := resources.FingerprintKeys(nothing); f.Current() != "" || !f.Fit(server) {
		t.Errorf("the fingerprints are %v", f)
	}
	names(server, s)
	if fits(server, nothing) {
		t.Error("it fits where another is expected")
	}
	// The fingerprint itself, which is public, is no identity.
	nothing.Data["identity"] = []byte(server.Status.KeyFingerprint)
	if fits(server, nothing) {
		t.Error("a fingerprint serves as an identity")
	}
}
