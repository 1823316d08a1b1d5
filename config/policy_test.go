//go:build integration

package config

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// What is in a store: the control key, and one record.
var (
	control = []byte{1}
	record  = []byte("a record")
)

// gateway is the service account of a gateway, and a user of whom the policy says
// nothing; both may patch every object in their namespace.
type gateway struct {
	namespace       string
	itself, someone client.Client
}

// newGateway makes a namespace with objects as the controller makes them, and some
// that it would not.
func newGateway(t *testing.T, namespace string) gateway {
	t.Helper()
	create(t,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "patch"},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets", "configmaps"}, Verbs: []string{"get", "patch"}}},
		})
	g := gateway{namespace: namespace}
	for name, connected := range map[string]*client.Client{"weather-gateway": &g.itself, "someone": &g.someone} {
		create(t,
			&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}},
			&rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
				Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "patch"},
			})
		*connected = account(t, namespace, name)
	}
	create(t, g.secret("store", "weather"), g.configMap("store", "weather"), g.report(), g.retained("retained", "weather"), g.ofBefore("retained-before", "weather"))
	g.awaitPolicy(t)
	return g
}

// meta is that of an object of the MCPServer called owner, or of nobody's.
func (g gateway) meta(name, owner string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{
		Namespace: g.namespace, Name: name,
		Labels:      map[string]string{"a": "label"},
		Annotations: map[string]string{"an": "annotation"},
		Finalizers:  []string{"example.com/a-finalizer"},
	}
	if owner != "" {
		m.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "MCPServer", Name: owner, UID: "00000000-0000-0000-0000-000000000001",
			Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
		}}
	}
	return m
}

func (g gateway) secret(name, owner string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: g.meta(name, owner), Data: map[string][]byte{"_shard": control, "record": record}}
}

func (g gateway) configMap(name, owner string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: g.meta(name, owner), BinaryData: map[string][]byte{"_shard": control, "record": record}}
}

func (g gateway) report() *corev1.ConfigMap {
	m := &corev1.ConfigMap{ObjectMeta: g.meta("report", "weather"), Data: map[string]string{otherPod: "{}"}}
	m.Labels["app.kubernetes.io/component"] = "report"
	return m
}

// The UIDs of two gateway pods.
const (
	ownPod   = "00000000-0000-0000-0000-00000000000a"
	otherPod = "00000000-0000-0000-0000-00000000000b"
)

// pod is the gateway as the API server knows it from the token of a pod.
func (g gateway) pod(t *testing.T, uid string) client.Client {
	t.Helper()
	cfg := rest.CopyConfig(env.Config)
	cfg.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + g.namespace + ":weather-gateway",
		Extra:    map[string][]string{"authentication.kubernetes.io/pod-uid": {uid}},
	}
	return connect(t, cfg)
}

// ofBefore is one that an older controller has retained.
func (g gateway) ofBefore(object, name string) *corev1.Secret {
	s := g.retained(object, name)
	delete(s.Labels, "mcp.vestibule.dev/server")
	s.Labels["app.kubernetes.io/instance"] = name
	return s
}

// retained is an object that is to outlive the MCPServer called name.
func (g gateway) retained(object, name string) *corev1.Secret {
	s := g.secret(object, "")
	s.Labels["mcp.vestibule.dev/server"] = name
	s.Labels["mcp.vestibule.dev/retained-for"] = "00000000-0000-0000-0000-000000000001"
	return s
}

func patch(ctx context.Context, c client.Client, o client.Object, operations string) error {
	return c.Patch(ctx, o, client.RawPatch(types.JSONPatchType, []byte(operations)), client.DryRunAll)
}

// awaitPolicy waits until the API server has taken notice of the policy.
func (g gateway) awaitPolicy(t *testing.T) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
		return patch(ctx, g.itself, g.secret("store", "weather"), `[{"op":"add","path":"/metadata/labels/b","value":"x"}]`) != nil, nil
	})
	if err != nil {
		t.Fatal("the policy does not come into force")
	}
}

const (
	// In base64, as data and binaryData are written.
	oldRecord = "YSByZWNvcmQ="
	newRecord = "bmV3"
)

func TestAGatewayWritesData(t *testing.T) {
	g := newGateway(t, "policy-data")
	for o, field := range map[client.Object]string{g.secret("store", "weather"): "data", g.configMap("store", "weather"): "binaryData", g.retained("retained", "weather"): "data"} {
		for name, operations := range map[string]string{
			"a new record": `[{"op":"test","path":"/FIELD/new","value":null},{"op":"add","path":"/FIELD/new","value":"NEW"}]`,
			"the next one": `[{"op":"test","path":"/FIELD/record","value":"OLD"},{"op":"replace","path":"/FIELD/record","value":"NEW"}]`,
			"the last one": `[{"op":"test","path":"/FIELD/record","value":"OLD"},{"op":"remove","path":"/FIELD/record"}]`,
		} {
			operations = strings.NewReplacer("FIELD", field, "OLD", oldRecord, "NEW", newRecord).Replace(operations)
			if err := patch(t.Context(), g.itself, o, operations); err != nil {
				t.Errorf("%s in %s: %v", name, field, err)
			}
		}
	}
	itself := g.pod(t, ownPod)
	for _, content := range []string{"{}", `{\"version\":1}`} {
		merge := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"data":{%q:"%s"}}`, ownPod, content))
		if err := itself.Patch(t.Context(), g.report(), merge); err != nil {
			t.Errorf("a report: %v", err)
		}
	}
}

// What a pod says of itself no other can say: that keys are dropped there, for instance.
func TestAPodReportsForItselfAlone(t *testing.T) {
	g := newGateway(t, "policy-report")
	own := `"` + ownPod + `":"{}"`
	for name, attempt := range map[string]struct {
		pod  client.Client
		data string
	}{
		"another's report":                {g.pod(t, ownPod), "{" + own + `,"` + otherPod + `":"lies"}`},
		"one of a pod that has none yet":  {g.pod(t, ownPod), "{" + own + `,"` + otherPod + `":"{}","third":"lies"}`},
		"another's taken away":            {g.pod(t, ownPod), "{" + own + "}"},
		"all taken away":                  {g.pod(t, ownPod), "{}"},
		"one by a token that is no pod's": {g.itself, `{"` + otherPod + `":"lies"}`},
	} {
		err := patch(t.Context(), attempt.pod, g.report(), `[{"op":"add","path":"/data","value":`+attempt.data+`}]`)
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "A gateway writes its own report") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAGatewayWritesNothingElse(t *testing.T) {
	g := newGateway(t, "policy-else")
	owner := `{"apiVersion":"v1","kind":"ConfigMap","name":"report","uid":"00000000-0000-0000-0000-000000000002"}`
	attempts := map[string]struct{ operations, sentence string }{
		"a label":               {`{"op":"add","path":"/metadata/labels/b","value":"x"}`, "metadata.labels"},
		"another label":         {`{"op":"replace","path":"/metadata/labels/a","value":"x"}`, "metadata.labels"},
		"no labels":             {`{"op":"remove","path":"/metadata/labels"}`, "metadata.labels"},
		"an annotation":         {`{"op":"add","path":"/metadata/annotations/b","value":"x"}`, "metadata.annotations"},
		"no annotations":        {`{"op":"remove","path":"/metadata/annotations"}`, "metadata.annotations"},
		"an owner":              {`{"op":"add","path":"/metadata/ownerReferences/-","value":` + owner + `}`, "metadata.ownerReferences"},
		"another owner":         {`{"op":"replace","path":"/metadata/ownerReferences/0","value":` + owner + `}`, "metadata.ownerReferences"},
		"an owner that waits":   {`{"op":"replace","path":"/metadata/ownerReferences/0/blockOwnerDeletion","value":false}`, "metadata.ownerReferences"},
		"no owner":              {`{"op":"remove","path":"/metadata/ownerReferences"}`, "metadata.ownerReferences"},
		"a first owner":         {`{"op":"add","path":"/metadata/ownerReferences","value":[` + owner + `]}`, "metadata.ownerReferences"},
		"a finalizer":           {`{"op":"add","path":"/metadata/finalizers/-","value":"example.com/stay"}`, "metadata.finalizers"},
		"no finalizers":         {`{"op":"remove","path":"/metadata/finalizers"}`, "metadata.finalizers"},
		"immutability":          {`{"op":"add","path":"/immutable","value":true}`, "immutable"},
		"explicit mutability":   {`{"op":"add","path":"/immutable","value":false}`, "immutable"},
		"another control key":   {`{"op":"replace","path":"/FIELD/_shard","value":"Mg=="}`, "_shard"},
		"no control key":        {`{"op":"remove","path":"/FIELD/_shard"}`, "_shard"},
		"no data":               {`{"op":"remove","path":"/FIELD"}`, "_shard"},
		"a label with a record": {`{"op":"replace","path":"/FIELD/record","value":"bmV3"},{"op":"add","path":"/metadata/labels/b","value":"x"}`, "metadata.labels"},
	}
	objects := map[string]struct {
		object client.Object
		field  string
	}{
		"a Secret":    {g.secret("store", "weather"), "data"},
		"a ConfigMap": {g.configMap("store", "weather"), "binaryData"},
		"the report":  {g.report(), ""},

		"a retained Secret":       {g.retained("retained", "weather"), "data"},
		"a Secret of long before": {g.ofBefore("retained-before", "weather"), "data"},
	}
	for where, o := range objects {
		retained := o.object.GetOwnerReferences() == nil // before an answer is read into it
		for what, attempt := range attempts {
			if o.field == "" && strings.Contains(attempt.operations, "FIELD") {
				continue // A report has no such key.
			}
			if retained && strings.Contains(attempt.operations, "/ownerReferences") && what != "a first owner" {
				continue // What is retained has no owner to change.
			}
			t.Run(what+" in "+where, func(t *testing.T) {
				operations := "[" + strings.ReplaceAll(attempt.operations, "FIELD", o.field) + "]"
				err := patch(t.Context(), g.itself, o.object, operations)
				if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "A gateway writes") || !strings.Contains(err.Error(), attempt.sentence) {
					t.Errorf("the answer is %v, want that this is forbidden and why", err)
				}
				// So it is the policy alone that refuses.
				if err := patch(t.Context(), g.someone, o.object, operations); err != nil {
					t.Errorf("someone else's patch: %v", err)
				}
			})
		}
	}
	if err := patch(t.Context(), g.itself, g.secret("store", "weather"), `[{"op":"replace","path":"/type","value":"example.com/other"}]`); err == nil {
		t.Error("the type of a Secret can be changed")
	}
}

// A gateway takes a failed test for a reason to read again and decide, so a denial
// must not look like one.
func TestADenialIsNotAFailedTest(t *testing.T) {
	g := newGateway(t, "policy-denial")
	for name, c := range map[string]struct {
		operations string
		code       int32
		test       bool
	}{
		"a failed test": {`[{"op":"test","path":"/data/record","value":"bmV3"},{"op":"replace","path":"/data/record","value":"bmV3"}]`, http.StatusUnprocessableEntity, true},
		"a denial":      {`[{"op":"test","path":"/data/record","value":"` + oldRecord + `"},{"op":"add","path":"/immutable","value":true}]`, http.StatusForbidden, false},
	} {
		var status apierrors.APIStatus
		err := patch(t.Context(), g.itself, g.secret("store", "weather"), c.operations)
		if !errors.As(err, &status) {
			t.Fatalf("%s: %v", name, err)
		}
		got := status.Status()
		test := got.Reason == metav1.StatusReasonInvalid && (got.Details == nil || got.Details.Kind == "" && len(got.Details.Causes) == 0)
		if got.Code != c.code || test != c.test {
			t.Errorf("%s answers %d %s, details %v", name, got.Code, got.Reason, got.Details)
		}
	}
}

// What is not of the gateway's own MCPServer is RBAC's to protect.
func TestThePolicyIsAboutOneOwnersObjects(t *testing.T) {
	g := newGateway(t, "policy-others")
	nobodys, others := g.secret("nobodys", ""), g.secret("others", "forecast")
	namesake := g.configMap("namesake", "weather")
	namesake.OwnerReferences[0].APIVersion = "example.com/v1"
	retained := g.retained("others-too", "forecast")
	create(t, nobodys, others, namesake, retained)
	for name, o := range map[string]client.Object{"nobody's": nobodys, "another MCPServer's": others, "another kind's": namesake, "retained for another": retained} {
		fresh := o.DeepCopyObject().(client.Object) //nolint:forcetypeassert // a test may panic
		if err := patch(t.Context(), g.itself, fresh, `[{"op":"add","path":"/metadata/labels/b","value":"x"}]`); err != nil {
			t.Errorf("an object that is %s: %v", name, err)
		}
	}
}
