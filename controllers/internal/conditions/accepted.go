package conditions

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

// accepted names all refusals: who mends one should not have to wait for the next.
func accepted(o *Observation) metav1.Condition {
	if o.Refusals == nil {
		return notObserved().of(v1alpha1.ConditionAccepted)
	}
	if len(o.Refusals) == 0 {
		if names := resources.VariablesLeftOut(o.Server); len(names) > 0 {
			return yes(v1alpha1.ReasonVariableIgnored,
				"The spec is accepted, but gateways are not given the variables %s: remove them from gateway.podTemplate.env, where they are not allowed.",
				strings.Join(names, ", ")).of(v1alpha1.ConditionAccepted)
		}
		return yes(v1alpha1.ReasonAccepted, "The spec is accepted.").of(v1alpha1.ConditionAccepted)
	}
	var messages []string
	for _, r := range o.Refusals {
		messages = append(messages, r.Message)
	}
	// The reason is that of the first refusal that does not pass by itself.
	i := slices.IndexFunc(o.Refusals, func(r Refusal) bool { return !r.Passes })
	if i < 0 {
		return unknown(o.Refusals[0].Reason, "%s", strings.Join(messages, " ")).of(v1alpha1.ConditionAccepted)
	}
	return no(o.Refusals[i].Reason, "%s", strings.Join(messages, " ")).of(v1alpha1.ConditionAccepted)
}

// compatible is what MCP Manager asks for: a route in Streamable HTTP, registration of
// confidential clients, and both bindings.
func compatible(o *Observation, gating []metav1.Condition) metav1.Condition {
	if !slices.ContainsFunc(o.Server.Spec.Routes, func(r v1alpha1.Route) bool {
		return r.Transport == v1alpha1.TransportStreamableHTTP && r.Authentication != v1alpha1.AuthenticationNone
	}) {
		return no(v1alpha1.ReasonNoStreamableHTTPRoute,
			"MCP Manager speaks Streamable HTTP, and logs in: add to routes one with transport StreamableHTTP and authentication Required.").
			of(v1alpha1.ConditionMCPManagerCompatible)
	}
	registration := &o.Server.Spec.OAuth.ClientRegistration
	if registration.Policy == v1alpha1.PolicyDisabled {
		return no(v1alpha1.ReasonRegistrationDisabled,
			"MCP Manager registers itself as a client: set oauth.clientRegistration.policy to Enabled.").
			of(v1alpha1.ConditionMCPManagerCompatible)
	}
	if registration.InitialAccessTokenRef != nil {
		return no(v1alpha1.ReasonRegistrationDisabled,
			"MCP Manager registers itself, and has no initial access token: remove oauth.clientRegistration.initialAccessTokenRef.").
			of(v1alpha1.ConditionMCPManagerCompatible)
	}
	for _, status := range []metav1.ConditionStatus{metav1.ConditionFalse, metav1.ConditionUnknown} {
		for _, c := range gating {
			if c.Status != status || c.Type != v1alpha1.ConditionMCPObjectBound && c.Type != v1alpha1.ConditionOAuthKVBound {
				continue
			}
			return fact{status, v1alpha1.ReasonBindingNotReady, "MCP Manager needs both bindings, and " + c.Type + " is " + string(status) + "."}.
				of(v1alpha1.ConditionMCPManagerCompatible)
		}
	}
	return yes(v1alpha1.ReasonCompatible, "MCP Manager can connect to this server.").of(v1alpha1.ConditionMCPManagerCompatible)
}
