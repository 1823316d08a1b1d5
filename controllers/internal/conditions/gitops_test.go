package conditions_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/conditions"
)

// What tools that deploy an MCPServer wait for and show, by what is wrong with it.
// Of reasons that are in none of these lists, Argo CD shows Degraded, and who waits with
// kstatus goes on waiting.
var (
	well = []string{
		v1alpha1.ReasonStoreNotGrown, v1alpha1.ReasonAnotherController,
		v1alpha1.ReasonAccepted, v1alpha1.ReasonVariableIgnored, v1alpha1.ReasonBound, v1alpha1.ReasonMigrated, v1alpha1.ReasonDiscovered, v1alpha1.ReasonAvailable, v1alpha1.ReasonWaitingForUpgrade, v1alpha1.ReasonNotScaling,
		v1alpha1.ReasonCompatible, v1alpha1.ReasonSettled, v1alpha1.ReasonNotStalled, v1alpha1.ReasonReady,
		// These do not gate Ready.
		v1alpha1.ReasonAdopted, v1alpha1.ReasonNotAdopted,
		v1alpha1.ReasonRegistrationDisabled, v1alpha1.ReasonNoStreamableHTTPRoute,
		v1alpha1.ReasonExposed, v1alpha1.ReasonLoopbackURL, v1alpha1.ReasonRouteRejected,
		v1alpha1.ReasonPublicURLUnreachable, v1alpha1.ReasonPublicURLUntrusted, v1alpha1.ReasonPublicURLNotServed,
		v1alpha1.ReasonPublicURLIssuerDiffers, v1alpha1.ReasonPublicURLMetadataDiffers,
	}
	underWay = []string{
		v1alpha1.ReasonRollingOut, v1alpha1.ReasonProgressing, v1alpha1.ReasonRetrying, v1alpha1.ReasonAPIMissing, v1alpha1.ReasonNotObserved, v1alpha1.ReasonNotReported,
		// Pods are made again and again, and what they say of themselves is not known.
		v1alpha1.ReasonUnschedulable, v1alpha1.ReasonImagePullFailed, v1alpha1.ReasonContainerNotStarting, v1alpha1.ReasonCrashing,
		v1alpha1.ReasonStoreIncomplete,
		// In these examples nobody has reported.
		v1alpha1.ReasonRoutePending, v1alpha1.ReasonIngressPending, v1alpha1.ReasonPredecessorRemains,
	}
	waiting = []string{v1alpha1.ReasonNotDeployed}
	stuck   = []string{
		v1alpha1.ReasonFieldUnknown, v1alpha1.ReasonNameConflict, v1alpha1.ReasonPublicURLTaken, v1alpha1.ReasonAccessRuleInvalid, v1alpha1.ReasonScopeRuleInvalid,
		v1alpha1.ReasonMigrationUnfinished, v1alpha1.ReasonObjectRefused, v1alpha1.ReasonURLInCluster, v1alpha1.ReasonRouteExposed,
		v1alpha1.ReasonKeysLost, v1alpha1.ReasonKeysReplaced, v1alpha1.ReasonStoreObjectLost, v1alpha1.ReasonRetainedDiffers,
	}
)

// object is the server with what was observed of it, as the API server has it.
func object(t *testing.T, o *conditions.Observation) map[string]any {
	t.Helper()
	s := o.Server.DeepCopy()
	s.APIVersion, s.Kind = v1alpha1.SchemeGroupVersion.String(), "MCPServer"
	s.Status = v1alpha1.MCPServerStatus{ObservedGeneration: s.Generation, Conditions: conditions.All(o)}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var u map[string]any
	if err := json.Unmarshal(data, &u); err != nil {
		t.Fatal(err)
	}
	return u
}

// argo runs the script as Argo CD does.
func argo(t *testing.T, o map[string]any) (health, message string) {
	t.Helper()
	script, err := os.ReadFile("../../../config/argocd/health.lua")
	if err != nil {
		t.Fatal(err)
	}
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable, lua.StringLibName: lua.OpenString} {
		l.Push(l.NewFunction(open))
		l.Push(lua.LString(name))
		l.Call(1, 0)
	}
	l.SetGlobal("obj", value(l, o))
	if err := l.DoString(string(script)); err != nil {
		t.Fatal(err)
	}
	result, ok := l.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("the script returns a %s", l.Get(-1).Type())
	}
	return l.GetField(result, "status").String(), l.GetField(result, "message").String()
}

// value is what a script sees of something that was JSON.
func value(l *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case string:
		return lua.LString(v)
	case float64:
		return lua.LNumber(v)
	case bool:
		return lua.LBool(v)
	case []any:
		t := l.NewTable()
		for _, item := range v {
			t.Append(value(l, item))
		}
		return t
	case map[string]any:
		t := l.NewTable()
		for k, item := range v {
			t.RawSetString(k, value(l, item))
		}
		return t
	}
	return lua.LNil
}

func kstatus(t *testing.T, o map[string]any) status.Status {
	t.Helper()
	// Numbers are whole, as a client decodes them.
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	result, err := status.Compute(u)
	if err != nil {
		t.Fatal(err)
	}
	return result.Status
}

func TestWhatToolsMakeOfIt(t *testing.T) {
	for _, e := range examples {
		t.Run(e.conditionType+" "+e.reason, func(t *testing.T) {
			o := good()
			e.seen(o)
			wantHealth, wantStatus := "Degraded", status.InProgressStatus
			switch {
			case slices.Contains(well, e.reason):
				wantHealth, wantStatus = "Healthy", status.CurrentStatus
			case slices.Contains(underWay, e.reason):
				wantHealth = "Progressing"
			case slices.Contains(waiting, e.reason):
				wantHealth = "Suspended"
			case slices.Contains(stuck, e.reason):
				wantStatus = status.FailedStatus
			}
			u := object(t, o)
			health, message := argo(t, u)
			if health != wantHealth || message == "" || message == "nil" {
				t.Errorf("Argo CD shows %s, want %s: %s", health, wantHealth, message)
			}
			if got := kstatus(t, u); got != wantStatus {
				t.Errorf("kstatus says %s, want %s", got, wantStatus)
			}
		})
	}
}

// Who is refused from the start waits for nobody.
func TestWhatNeverRanMayBeStuck(t *testing.T) {
	o := good()
	refused(v1alpha1.ReasonURLInCluster, "x")(o)
	o.Gateway.Deployment = nil
	u := object(t, o)
	if health, message := argo(t, u); health != "Degraded" || message != "Accepted: x" {
		t.Errorf("Argo CD shows %s: %s", health, message)
	}
	if got := kstatus(t, u); got != status.FailedStatus {
		t.Errorf("kstatus says %s", got)
	}
}

// Until the controller has seen a change, what it said before does not count.
func TestToolsWaitForTheController(t *testing.T) {
	changed := object(t, good())
	changed["metadata"].(map[string]any)["generation"] = float64(8)
	created := object(t, good())
	delete(created, "status")
	for name, u := range map[string]map[string]any{"changed": changed, "created": created} {
		if health, _ := argo(t, u); health != "Progressing" {
			t.Errorf("%s: Argo CD shows %s", name, health)
		}
		if got := kstatus(t, u); name == "changed" && got != status.InProgressStatus {
			t.Errorf("%s: kstatus says %s", name, got)
		}
	}
}
