package resources

import (
	"net/url"

	networkingv1 "k8s.io/api/networking/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gatewayv1ac "sigs.k8s.io/gateway-api/applyconfiguration/apis/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// Asks is the field by which server asks for a child of a kind that a cluster may not
// have, or "" if it does not.
func Asks(server *v1alpha1.MCPServer, kind string) string {
	g := &server.Spec.Gateway
	for _, k := range []struct {
		kind, field string
		asked       bool
	}{
		{"HTTPRoute", "gateway.httpRoute", g.HTTPRoute != nil},
		{"Ingress", "gateway.ingress", g.Ingress != nil},
		{"PodMonitor", "gateway.podMonitor", g.PodMonitor != nil},
	} {
		if k.kind == kind && k.asked {
			return k.field
		}
	}
	return ""
}

// publicHost is the host of publicURL, without a port: whoever listens there is
// chosen by others.
func publicHost(server *v1alpha1.MCPServer) string { return publicURL(server).Hostname() }

func publicURL(server *v1alpha1.MCPServer) *url.URL {
	u, err := url.Parse(server.Spec.PublicURL)
	if err != nil {
		return &url.URL{} // The schema has refused it.
	}
	return u
}

// publicPaths are those whose requests, and of all below, are for the gateway. So one
// host serves many MCPServers: the longer path wins, wherever it is routed. With a path
// in publicURL, its documents are not below it: the well-known path comes first. The
// gateway has none of OpenID Connect, but says so in a way that pages in browsers can read.
func publicPaths(server *v1alpha1.MCPServer) []string {
	path := publicURL(server).EscapedPath()
	if path == "" {
		return []string{"/"}
	}
	paths := []string{path}
	for _, document := range []string{"oauth-authorization-server", "oauth-protected-resource", "openid-configuration"} {
		paths = append(paths, "/.well-known/"+document+path)
	}
	return paths
}

// HTTPRoute leads from publicURL to the gateway, or is nil if that is not asked for.
// Streams last for hours, so requests have no timeout.
func HTTPRoute(server *v1alpha1.MCPServer) *gatewayv1ac.HTTPRouteApplyConfiguration {
	wanted := server.Spec.Gateway.HTTPRoute
	if wanted == nil {
		return nil
	}
	rule := gatewayv1ac.HTTPRouteRule().
		WithBackendRefs(gatewayv1ac.HTTPBackendRef().WithName(gatewayv1.ObjectName(Name(server))).WithPort(*ServicePort(server).Port)).
		WithTimeouts(gatewayv1ac.HTTPRouteTimeouts().WithRequest("0s"))
	for _, path := range publicPaths(server) {
		rule.WithMatches(gatewayv1ac.HTTPRouteMatch().
			WithPath(gatewayv1ac.HTTPPathMatch().WithType(gatewayv1.PathMatchPathPrefix).WithValue(path)))
	}
	spec := gatewayv1ac.HTTPRouteSpec().WithHostnames(gatewayv1.Hostname(publicHost(server))).WithRules(rule)
	for _, p := range wanted.ParentRefs {
		parent := gatewayv1ac.ParentReference().WithName(gatewayv1.ObjectName(p.Name))
		if p.Namespace != "" {
			parent.WithNamespace(gatewayv1.Namespace(p.Namespace))
		}
		if p.SectionName != "" {
			parent.WithSectionName(gatewayv1.SectionName(p.SectionName))
		}
		if p.Port != 0 {
			parent.WithPort(p.Port)
		}
		spec.WithParentRefs(parent)
	}
	return gatewayv1ac.HTTPRoute(Name(server), server.Namespace).
		WithLabels(labelsWith(server, wanted.Labels)).
		WithAnnotations(annotations(wanted.Annotations)).
		WithOwnerReferences(owner(server)).
		WithSpec(spec)
}

// Ingress leads from publicURL to the gateway, or is nil if that is not asked for.
func Ingress(server *v1alpha1.MCPServer) *networkingv1ac.IngressApplyConfiguration {
	wanted := server.Spec.Gateway.Ingress
	if wanted == nil {
		return nil
	}
	host, http := publicHost(server), networkingv1ac.HTTPIngressRuleValue()
	for _, path := range publicPaths(server) {
		http.WithPaths(networkingv1ac.HTTPIngressPath().WithPath(path).WithPathType(networkingv1.PathTypePrefix).
			WithBackend(networkingv1ac.IngressBackend().WithService(networkingv1ac.IngressServiceBackend().
				WithName(Name(server)).WithPort(networkingv1ac.ServiceBackendPort().WithNumber(*ServicePort(server).Port)))))
	}
	spec := networkingv1ac.IngressSpec().WithRules(networkingv1ac.IngressRule().WithHost(host).WithHTTP(http))
	if wanted.ClassName != "" {
		spec.WithIngressClassName(wanted.ClassName)
	}
	if wanted.TLS != nil {
		spec.WithTLS(networkingv1ac.IngressTLS().WithHosts(host).WithSecretName(wanted.TLS.SecretName))
	}
	return networkingv1ac.Ingress(Name(server), server.Namespace).
		WithLabels(labelsWith(server, wanted.Labels)).
		WithAnnotations(annotations(wanted.Annotations)).
		WithOwnerReferences(owner(server)).
		WithSpec(spec)
}

// labelsWith are those of a child that the user adds labels to.
func labelsWith(server *v1alpha1.MCPServer, added map[string]v1alpha1.LabelValue) map[string]string {
	labels := Labels(server, ComponentGateway)
	for k, v := range added {
		labels[k] = string(v)
	}
	return labels
}

func annotations(of map[string]v1alpha1.AnnotationValue) map[string]string {
	as := map[string]string{}
	for k, v := range of {
		as[k] = string(v)
	}
	return as
}
