package conditions

import (
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

func gatewayAvailable(o *Observation, before []metav1.Condition) metav1.Condition {
	return gatewayFact(o, before).of(v1alpha1.ConditionGatewayAvailable)
}

func gatewayFact(o *Observation, before []metav1.Condition) fact {
	g := o.Gateway
	if g == nil || o.References == nil {
		return notObserved()
	}
	if f, ok := referred(o, ofTLS); !ok {
		f.message += " Until then, gateways keep the configuration that they have."
		return f
	}
	if f, ok := certified(o); !ok {
		return f
	}
	if f, ok := referred(o, ofOAuth); !ok {
		if o.Held {
			f.message += " Until then, gateways keep the configuration that they have."
		} else {
			f.message += " Until then, nobody gets in by it; all else works."
		}
		return f
	}
	if g.Deployment == nil {
		return notDeployed(before)
	}
	current, ready := g.Current(), 0
	for _, p := range current {
		if isReady(p) {
			ready++
		}
	}
	replicas, field := int(o.Server.Spec.Gateway.Replicas), "gateway.replicas"
	if o.Server.Spec.Gateway.Autoscaling != nil {
		field = "gateway.autoscaling.maxReplicas"
		if g.Deployment.Spec.Replicas != nil {
			replicas = int(*g.Deployment.Spec.Replicas)
		}
	}
	if f, bad := trouble(g.Deployment, current, field); bad {
		f.message = sprintReplicas(ready, replicas) + f.message
		return f
	}
	if o.Failure != nil && !o.Applied {
		return unknown(v1alpha1.ReasonRollingOut, "%d of %d replicas are ready, with a configuration that may not be the current one: the condition Reconciling says why.", ready, replicas)
	}
	// An unknown outcome of the check of the policy does not take a gateway away.
	f, _ := worst(o, func(r *config.Report) []check { return []check{{ruled(r), r.Policy}} })
	if f.status == metav1.ConditionFalse {
		return f
	}
	if ready > 0 && (ready >= replicas || RolledOut(g.Deployment)) {
		if o.Waits {
			return yes(v1alpha1.ReasonWaitingForUpgrade, "%d of %d replicas are available as an earlier controller has set them up. They are replaced when it is their turn: the controller replaces a few gateways at a time (-concurrent-upgrades), and begins with others as these become available.", ready, replicas)
		}
		//rule:idle-autoscaler-unsaid
		if why := cannotScale(o.Autoscaler); why != "" {
			return yes(v1alpha1.ReasonNotScaling, "%d of %d replicas are available, and their number stays as it is. The HorizontalPodAutoscaler says: %s", ready, replicas, why)
		}
		return yes(v1alpha1.ReasonAvailable, "%d of %d replicas are available with %s.", ready, replicas, configuration(o, before))
	}
	return unknown(v1alpha1.ReasonRollingOut, "%d of %d replicas are ready with %s.", ready, replicas, configuration(o, before))
}

// certified is what is wrong with the certificate that gateways serve with, which nobody
// who connects takes; or ok.
func certified(o *Observation) (f fact, ok bool) {
	for _, r := range o.References {
		switch {
		case !ofTLS(r.Field):
		//rule:expired-certificate-unsaid
		case !r.Expired.IsZero():
			return no(v1alpha1.ReasonCertificateExpired, "The certificate in Secret %s has expired at %s: renew it, or change %s. Gateways serve with it, and nobody takes it.",
				r.Name, r.Expired.UTC().Format(time.RFC3339), r.Field), false
		//rule:misnamed-certificate-unsaid
		case r.Misnamed:
			return no(v1alpha1.ReasonCertificateNameDiffers, "The certificate in Secret %s is neither for the host of publicURL nor for the gateway's Service: have one made for the name by which gateways are reached, or change %s.",
				r.Name, r.Field), false
		}
	}
	return fact{}, true
}

// cannotScale is why an autoscaler changes nothing, as it says itself, or "".
func cannotScale(a *autoscalingv2.HorizontalPodAutoscaler) string {
	if a == nil {
		return ""
	}
	for _, c := range a.Status.Conditions {
		//rule:limited-autoscaler-is-idle
		if (c.Type == autoscalingv2.AbleToScale || c.Type == autoscalingv2.ScalingActive) && c.Status == corev1.ConditionFalse {
			return c.Message
		}
	}
	return ""
}

// configuration says which one the pods of the current template have.
func configuration(o *Observation, before []metav1.Condition) string {
	if !o.Held && len(o.Refusals) == 0 && (o.Store == nil || !o.Store.KeysLost && len(o.Store.Lost) == 0) {
		return "the current configuration"
	}
	for _, c := range before {
		if c.Status == metav1.ConditionFalse {
			return "the configuration of before: it stays as long as " + c.Type + " is False"
		}
	}
	return "the configuration of before"
}

// ruled is what the check of the policy is about.
func ruled(r *config.Report) string {
	if r.Policy.Reason == config.ReasonCertificateInvalid {
		return "gateway.tls"
	}
	return "policy"
}

func notDeployed(before []metav1.Condition) fact {
	for _, c := range before {
		if c.Status == metav1.ConditionFalse {
			return no(v1alpha1.ReasonNotDeployed, "No gateway runs yet, because %s is False: %s", c.Type, c.Message)
		}
	}
	return no(v1alpha1.ReasonNotDeployed, "No gateway runs yet; the condition Reconciling says what is being tried.")
}

// trouble is what keeps pods from being ready, as far as the cluster says so.
// field says how many pods there may be.
func trouble(d *appsv1.Deployment, current []*corev1.Pod, field string) (fact, bool) {
	if c := PodsRefused(d); c != nil {
		if strings.Contains(c.Message, "exceeded quota") {
			return no(v1alpha1.ReasonQuotaExceeded, "a ResourceQuota of this namespace has no room for a pod: raise it, or lower %s. The API server says: %s", field, c.Message), true
		}
		return no(v1alpha1.ReasonPodsRefused, "the API server refuses the gateway's pods: %s", c.Message), true
	}
	for _, p := range current {
		if isReady(p) {
			continue
		}
		if f, bad := podTrouble(p); bad {
			return f, true
		}
	}
	if c := TimeIsOver(d); c != nil {
		return no(v1alpha1.ReasonProgressDeadlineExceeded, "pods are not ready in time: look at their events and logs. The Deployment says: %s", c.Message), true
	}
	return fact{}, false
}

// What the kubelet says of a container that waits.
var (
	pullTrouble  = []string{"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable"}
	startTrouble = []string{"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)

func podTrouble(p *corev1.Pod) (fact, bool) {
	if c := Unschedulable(p); c != nil {
		return no(v1alpha1.ReasonUnschedulable, "no node takes pod %s: %s", p.Name, c.Message), true
	}
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if f, bad := containerTrouble(p, &c); bad {
			return f, true
		}
	}
	return fact{}, false
}

// containerTrouble is what is wrong with one of a pod's containers, of which all but the
// gateway are somebody else's: an admission webhook adds them.
func containerTrouble(p *corev1.Pod, c *corev1.ContainerStatus) (f fact, bad bool) {
	ended, starts, source := "pod "+p.Name, "the container of pod "+p.Name, "it is the one in the controller's flag --gateway-image"
	if c.Name != resources.ContainerName {
		ended = "container " + c.Name + " of pod " + p.Name
		starts, source = ended, "it is not the gateway's: look for what adds the container "+c.Name+" to pods"
	}
	if w := c.State.Waiting; w != nil {
		switch {
		case slices.Contains(pullTrouble, w.Reason):
			return no(v1alpha1.ReasonImagePullFailed, "the image %s of pod %s cannot be had; %s. The node says: %s", c.Image, p.Name, source, w.Message), true
		case slices.Contains(startTrouble, w.Reason):
			return no(v1alpha1.ReasonContainerNotStarting, "%s does not start: %s", starts, w.Message), true
		}
	}
	end := c.LastTerminationState.Terminated
	if c.State.Terminated != nil {
		end = c.State.Terminated
	}
	if end != nil && end.ExitCode != 0 {
		return no(v1alpha1.ReasonCrashing, "%s ended %d times, at last with exit code %d (%s): %s",
			ended, max(c.RestartCount, 1), end.ExitCode, end.Reason, strings.TrimSpace(end.Message)), true
	}
	return fact{}, false
}

// Unschedulable is what says that no node takes a pod, or nil.
func Unschedulable(p *corev1.Pod) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		c := &p.Status.Conditions[i]
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return c
		}
	}
	return nil
}

// PodsRefused returns the condition of a Deployment whose pods the API server refuses, for
// a quota perhaps. It returns nil if it refuses none.
func PodsRefused(d *appsv1.Deployment) *appsv1.DeploymentCondition {
	return withStatus(deploymentCondition(d, appsv1.DeploymentReplicaFailure), corev1.ConditionTrue)
}

// TimeIsOver returns the condition of a Deployment whose pods were not ready in time, or
// nil.
func TimeIsOver(d *appsv1.Deployment) *appsv1.DeploymentCondition {
	return withStatus(deploymentCondition(d, appsv1.DeploymentProgressing), corev1.ConditionFalse)
}

func withStatus(c *appsv1.DeploymentCondition, status corev1.ConditionStatus) *appsv1.DeploymentCondition {
	if c == nil || c.Status != status {
		return nil
	}
	return c
}

// RolledOut says that all pods of the current template were ready at some time: one
// that is not now has been moved, or restarted, and the others do.
func RolledOut(d *appsv1.Deployment) bool {
	c := deploymentCondition(d, appsv1.DeploymentProgressing)
	return d.Status.ObservedGeneration >= d.Generation && c != nil && c.Reason == "NewReplicaSetAvailable"
}

func deploymentCondition(d *appsv1.Deployment, t appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	if d.Status.ObservedGeneration < d.Generation {
		return nil // It speaks of another spec.
	}
	for i := range d.Status.Conditions {
		if d.Status.Conditions[i].Type == t {
			return &d.Status.Conditions[i]
		}
	}
	return nil
}
