package controllers

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

// observeGateway looks at the pods, and at what they report.
func (r *Reconciler) observeGateway(ctx context.Context, s *scope) error {
	if err := r.observeChildren(ctx, s); err != nil {
		return err
	}
	pods, err := r.pods(ctx, r.Client, s)
	if err != nil {
		return err
	}
	reports, err := r.reports(ctx, s)
	if err != nil {
		return err
	}
	g := &conditions.Gateway{Pods: pods, Reports: reports}
	if o := s.own(child{kindDeployment, resources.Name(s.server)}); o != nil {
		// It may have been found by its metadata alone, without our labels.
		d, whole := o.(*appsv1.Deployment)
		if !whole {
			d = &appsv1.Deployment{}
			if err := r.Live.Get(ctx, client.ObjectKeyFromObject(o), d); err != nil {
				return fmt.Errorf("reading Deployment %s: %w", o.GetName(), err)
			}
		}
		g.Deployment = d
	}
	s.seen.Gateway = g
	//rule:autoscaler-unseen
	s.seen.Autoscaler, _ = s.own(child{kindAutoscaler, resources.Name(s.server)}).(*autoscalingv2.HorizontalPodAutoscaler)
	return nil
}

func (r *Reconciler) pods(ctx context.Context, from client.Reader, s *scope) ([]corev1.Pod, error) {
	var pods corev1.PodList
	if err := from.List(ctx, &pods, client.InNamespace(s.server.Namespace),
		client.MatchingLabels(resources.Labels(s.server, resources.ComponentGateway))); err != nil {
		return nil, fmt.Errorf("listing the gateway's pods: %w", err)
	}
	return pods.Items, nil
}

// reports reads what pods have reported. An entry that cannot be read is there,
// and nil.
func (r *Reconciler) reports(ctx context.Context, s *scope) (map[types.UID]*config.Report, error) {
	c := child{kindConfigMap, resources.ReportName(s.server)}
	key, id := client.ObjectKey{Namespace: s.server.Namespace, Name: c.name}, memoID(client.ObjectKeyFromObject(s.server), c)
	m, from := &corev1.ConfigMap{}, r.Contents
	if meta := s.own(c); meta != nil && !resources.IsReport(meta) { // Somebody has removed its labels, by which it is watched.
		if reports, ok := r.reported.at(id, stateOf(meta)); ok {
			return reports, nil
		}
		from = r.Live
	}
	err := from.Get(ctx, key, m)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}
	if err != nil || !resources.IsOf(s.server, m) {
		return nil, nil
	}
	if reports, ok := r.reported.at(id, stateOf(m)); ok {
		return reports, nil
	}
	reports := map[types.UID]*config.Report{}
	for uid, data := range m.Data {
		report, err := config.ParseReport([]byte(data))
		if err != nil {
			report = nil
		}
		reports[types.UID(uid)] = report
	}
	r.reported.remember(id, stateOf(m), reports)
	return reports, nil
}
