package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/gateway/config"
)

// standIn does what the Deployment controller, the kubelets and the gateways do, as far
// as the controller sees it: the status of a Deployment as it rolls out, pods that are
// made, run and are ready, and what each of them reports. A step takes it as long as step
// says; nothing fails.
type standIn struct {
	client client.Client
	step   time.Duration
	errs   chan error
	// done is how many rollouts have come to their end.
	done atomic.Int64

	mu      sync.Mutex
	rolling map[types.UID]int64 // the generation that a Deployment is brought to
}

// watch rolls out each Deployment in the cache, and each change of one, until ctx is done.
func (s *standIn) watch(ctx context.Context, c cache.Cache) error {
	informer, err := c.GetInformer(ctx, &appsv1.Deployment{})
	if err != nil {
		return err
	}
	see := func(o any) {
		d, ok := o.(*appsv1.Deployment)
		if !ok {
			return
		}
		s.mu.Lock()
		before := s.rolling[d.UID]
		s.rolling[d.UID] = max(before, d.Generation)
		s.mu.Unlock()
		if before >= d.Generation {
			return
		}
		go func() {
			if err := s.rollOut(ctx, d.DeepCopy()); err != nil && ctx.Err() == nil {
				select {
				case s.errs <- fmt.Errorf("rolling out %s/%s: %w", d.Namespace, d.Name, err):
				default: // there is one already
				}
			}
		}()
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{AddFunc: see, UpdateFunc: func(_, o any) { see(o) }})
	return err
}

func (s *standIn) rollOut(ctx context.Context, d *appsv1.Deployment) error {
	replicas := *d.Spec.Replicas
	var old corev1.PodList
	if err := s.client.List(ctx, &old, client.InNamespace(d.Namespace), client.MatchingLabels(d.Spec.Selector.MatchLabels)); err != nil {
		return err
	}
	status := appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: replicas, UpdatedReplicas: replicas}
	if err := s.says(ctx, d, status, "ReplicaSetUpdated"); err != nil {
		return err
	}
	pods := make([]*corev1.Pod, replicas)
	for i := range pods {
		p, err := s.pod(ctx, d)
		if err != nil {
			return err
		}
		pods[i] = p
	}
	time.Sleep(s.step)
	for _, p := range pods {
		if err := s.ready(ctx, p, corev1.ConditionFalse); err != nil {
			return err
		}
		// What a gateway says at first is that it knows nothing yet.
		for _, check := range []string{"Unknown", "True"} {
			if err := s.report(ctx, d, p, check); err != nil {
				return err
			}
		}
	}
	time.Sleep(s.step)
	for i, p := range pods {
		if err := s.ready(ctx, p, corev1.ConditionTrue); err != nil {
			return err
		}
		status.ReadyReplicas, status.AvailableReplicas = int32(i)+1, int32(i)+1
		reason := "ReplicaSetUpdated"
		if i == len(pods)-1 {
			reason = "NewReplicaSetAvailable"
		}
		if err := s.says(ctx, d, status, reason); err != nil {
			return err
		}
	}
	for i := range old.Items {
		err := s.client.Delete(ctx, &old.Items[i], client.GracePeriodSeconds(0))
		if client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	s.done.Add(1)
	return nil
}

// says is what the Deployment controller does.
func (s *standIn) says(ctx context.Context, d *appsv1.Deployment, status appsv1.DeploymentStatus, progress string) error {
	status.Conditions = []appsv1.DeploymentCondition{{
		Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: progress, LastUpdateTime: metav1.Now(),
	}}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": map[string]string{"deployment.kubernetes.io/revision": strconv.FormatInt(d.Generation, 10)}},
		"status":   status,
	})
	if err != nil {
		return err
	}
	return s.client.Status().Patch(ctx, d.DeepCopy(), client.RawPatch(types.MergePatchType, patch))
}

// pod makes one of the Deployment's template, as a ReplicaSet would, and has a node
// taken it.
func (s *standIn) pod(ctx context.Context, d *appsv1.Deployment) (*corev1.Pod, error) {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: d.Namespace, GenerateName: d.Name + "-",
			Labels: maps.Clone(d.Spec.Template.Labels), Annotations: maps.Clone(d.Spec.Template.Annotations),
		},
		Spec: *d.Spec.Template.Spec.DeepCopy(),
	}
	p.Spec.AutomountServiceAccountToken = ptr.To(false) // nobody mounts it here
	p.Spec.NodeName = "node"
	return p, s.client.Create(ctx, p)
}

func (s *standIn) ready(ctx context.Context, p *corev1.Pod, ready corev1.ConditionStatus) error {
	status := corev1.PodStatus{
		Phase:      corev1.PodRunning,
		Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: ready}},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: p.Spec.Containers[0].Name, Image: p.Spec.Containers[0].Image, Ready: ready == corev1.ConditionTrue,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}},
		}},
	}
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	return s.client.Status().Patch(ctx, p.DeepCopy(), client.RawPatch(types.MergePatchType, patch))
}

// report is what a gateway writes, in the key that has its pod's UID.
func (s *standIn) report(ctx context.Context, d *appsv1.Deployment, p *corev1.Pod, status string) error {
	check := config.Check{Status: status}
	report, err := json.Marshal(&config.Report{
		Version: config.Version, Config: p.Annotations["mcp.vestibule.dev/config"], Policy: check, Store: check,
		Upstreams: map[string]config.Check{"corp": check}, Routes: map[string]config.Check{"mcp": check},
	})
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{"data": map[string]string{string(p.UID): string(report)}})
	if err != nil {
		return err
	}
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: d.Name + "-report"}}
	return s.client.Patch(ctx, m, client.RawPatch(types.MergePatchType, patch))
}
