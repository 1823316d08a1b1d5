package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"time"

	"vestibule.dev/vestibule/gateway/internal/apiserver"
	"vestibule.dev/vestibule/gateway/internal/pods"
)

// Endpoints follows the pods of one port of a Service.
type Endpoints struct {
	// Client is one of EndpointSlices.
	Client  *apiserver.Client
	Service string
	// Port is the name of the Service's port, which has none if the Service has but one.
	Port string
	Log  *slog.Logger

	// numbers are those that the port had at the pods when it was last found by name.
	numbers map[int]bool
}

// Follow calls apply with all endpoints as they are, and again whenever they change,
// until ctx is done. What was last heard stays while the API server cannot be reached.
func (e *Endpoints) Follow(ctx context.Context, apply func([]pods.Endpoint)) {
	for failures := 0; ctx.Err() == nil; failures++ {
		started := time.Now()
		err := e.follow(ctx, apply)
		if time.Since(started) > time.Minute {
			failures = 0
		}
		if failures == 3 {
			e.Log.WarnContext(ctx, "the backend's pods cannot be followed", "service", e.Service, "error", err)
		}
		pause := min(200*time.Millisecond<<min(failures, 8), pauseMax)
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // not a secret
		}
	}
}

func (e *Endpoints) follow(ctx context.Context, apply func([]pods.Endpoint)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	alarm := time.AfterFunc(silence, cancel)
	defer alarm.Stop()
	body, err := e.Client.WatchLabelled(ctx, "kubernetes.io/service-name="+e.Service, watchLasts)
	if err != nil {
		return err
	}
	defer body.Close()
	heard, complete := map[string]slice{}, false
	for events := json.NewDecoder(body); ; {
		var event struct {
			Type   string `json:"type"`
			Object slice  `json:"object"`
		}
		if err := events.Decode(&event); err != nil || event.Type == "ERROR" {
			return errEnded
		}
		alarm.Reset(silence)
		name := event.Object.Metadata.Name
		switch event.Type {
		case "ADDED", "MODIFIED":
			heard[name] = event.Object
		case "DELETED":
			delete(heard, name)
		case "BOOKMARK":
			if event.Object.Metadata.Annotations["k8s.io/initial-events-end"] != "true" {
				continue
			}
			complete = true
		default:
			continue
		}
		if complete {
			apply(e.flatten(heard))
		}
	}
}

// slice is what is read of an EndpointSlice.
type slice struct {
	Metadata struct {
		Name        string            `json:"name"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	AddressType string `json:"addressType"`
	Endpoints   []struct {
		Addresses  []string `json:"addresses"`
		Conditions struct {
			Ready   *bool `json:"ready"`
			Serving *bool `json:"serving"`
		} `json:"conditions"`
		TargetRef *struct {
			UID string `json:"uid"`
		} `json:"targetRef"`
	} `json:"endpoints"`
	Ports []slicePort `json:"ports"`
}

type slicePort struct {
	Name     string `json:"name"`
	Port     int    `json:"port"`
	Protocol string `json:"protocol"`
}

// flatten lists the endpoints of all slices in an order that does not change: IPv4
// before IPv6, where a pod has both.
func (e *Endpoints) flatten(heard map[string]slice) []pods.Endpoint {
	all := make([]slice, 0, len(heard))
	for _, s := range heard {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b slice) int {
		return cmp.Or(cmp.Compare(a.AddressType, b.AddressType), cmp.Compare(a.Metadata.Name, b.Metadata.Name))
	})
	ports := e.ports(all)
	var endpoints []pods.Endpoint
	for i, s := range all {
		port := ports[i]
		if port == 0 {
			continue
		}
		for _, item := range s.Endpoints {
			if len(item.Addresses) == 0 {
				continue
			}
			addr := net.JoinHostPort(item.Addresses[0], strconv.Itoa(port))
			found := pods.Endpoint{UID: addr, Addr: addr, Ready: item.Conditions.Ready == nil || *item.Conditions.Ready}
			found.Serving = found.Ready || item.Conditions.Serving != nil && *item.Conditions.Serving
			if item.TargetRef != nil && item.TargetRef.UID != "" {
				found.UID = item.TargetRef.UID
			}
			endpoints = append(endpoints, found)
		}
	}
	return endpoints
}

// ports are the port's numbers in slices, 0 where one does not have it. Where no slice has
// the name, somebody has given the port another one: it is the one with the numbers of
// before, or, if it had no name, the only one. A gateway that knows the new name is on its
// way, and until then the pods are the same.
func (e *Endpoints) ports(all []slice) []int {
	pick := func(is func(name string, number, of int) bool) (numbers []int, found bool) {
		numbers = make([]int, len(all))
		for i, s := range all {
			tcp := slices.DeleteFunc(slices.Clone(s.Ports), func(p slicePort) bool { return p.Protocol != "TCP" && p.Protocol != "" })
			for _, p := range tcp {
				if is(p.Name, p.Port, len(tcp)) {
					numbers[i], found = p.Port, true
				}
			}
		}
		return numbers, found
	}
	numbers, found := pick(func(name string, _, _ int) bool { return name == e.Port })
	if found {
		e.numbers = map[int]bool{}
		for _, n := range numbers {
			e.numbers[n] = true
		}
		return numbers
	}
	numbers, _ = pick(func(_ string, number, of int) bool {
		//rule:port-by-name-alone
		return e.numbers[number] || e.Port == "" && of == 1
	})
	return numbers
}
