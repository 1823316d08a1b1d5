package controllers

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// countWithin bounds the reading of the cache at a scrape, which waits only while the
// cache is not filled yet.
const countWithin = 2 * time.Second

var mcpServers = prometheus.NewDesc("vestibule_mcpservers",
	"How many MCPServers have a condition of this type with this status.", []string{"condition", "status"}, nil)

var gatewayVersions = prometheus.NewDesc("vestibule_mcpservers_by_gateway_version",
	"How many MCPServers have gateways of this version.", []string{"version"}, nil)

// counter counts MCPServers by their conditions, and by the versions of their gateways, at
// each scrape, out of the cache. It names none of them: how many series there are does not
// depend on how many there are.
type counter struct{ client.Reader }

var _ prometheus.Collector = counter{}

func (c counter) Describe(descs chan<- *prometheus.Desc) {
	descs <- mcpServers
	descs <- gatewayVersions
}

func (c counter) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), countWithin)
	defer cancel()
	var servers v1alpha1.MCPServerList
	if err := c.List(ctx, &servers); err != nil {
		metrics <- prometheus.NewInvalidMetric(mcpServers, fmt.Errorf("listing MCPServers: %w", err))
		return
	}
	type key struct {
		condition string
		status    metav1.ConditionStatus
	}
	counts, versions := map[key]int{}, map[string]int{}
	for i := range servers.Items {
		versions[servers.Items[i].Status.GatewayVersion]++
		for _, c := range servers.Items[i].Status.Conditions {
			counts[key{c.Type, c.Status}]++
		}
	}
	for version, n := range versions {
		metrics <- prometheus.MustNewConstMetric(gatewayVersions, prometheus.GaugeValue, float64(n), version)
	}
	for k, n := range counts {
		metrics <- prometheus.MustNewConstMetric(mcpServers, prometheus.GaugeValue, float64(n), k.condition, string(k.status))
	}
}
