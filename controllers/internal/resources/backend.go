package resources

import (
	"fmt"
	"net"
	"path"
	"strconv"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/gateway/config"
)

// Port is what a Service says of one of its ports.
type Port struct {
	Number int32
	// Name is empty if it has none.
	Name string
	// AppProtocol is how the pods speak, if the Service says so.
	AppProtocol string
}

// Object is an mcpObject of the spec, and where it is.
type Object struct {
	*v1alpha1.MCPObject
	Field string
	// directory has its files.
	directory string
}

// Objects are those of all routes: the one that they share, then their own.
func Objects(server *v1alpha1.MCPServer) []Object {
	all := []Object{{&server.Spec.Bindings.MCPObject, "bindings.mcpObject", backendDirectory}}
	for i := range server.Spec.Routes {
		if r := &server.Spec.Routes[i]; r.MCPObject != nil {
			all = append(all, Object{r.MCPObject, "routes[" + r.Name + "].mcpObject", routeDirectory(r.Name)})
		}
	}
	return all
}

// Exposed are the names of a route that leads past what guards another, and of that
// one; or ok.
func Exposed(server *v1alpha1.MCPServer) (around, guarded string, ok bool) {
	service := func(r *v1alpha1.Route) string {
		object := &server.Spec.Bindings.MCPObject
		if r.MCPObject != nil {
			object = r.MCPObject
		}
		if object.Service == nil {
			return object.URL
		}
		return object.Service.Name
	}
	for i := range server.Spec.Routes {
		for j := range server.Spec.Routes {
			r, other := &server.Spec.Routes[i], &server.Spec.Routes[j]
			one, two := route(r), route(other)
			if one.Exposes(&two) && service(r) == service(other) {
				return r.Name, other.Name, false
			}
		}
	}
	return "", "", true
}

// backend is who an object stands for. Its files are in directory.
func backend(server *v1alpha1.MCPServer, object *v1alpha1.MCPObject, directory string, in Inputs) config.Backend {
	if object.Type == v1alpha1.MCPObjectURL {
		return config.Backend{URL: object.URL, Identity: identity(object.Identity)}
	}
	port := in.Ports[*object.Service]
	scheme := "http"
	if object.TLS != nil || port.AppProtocol == "https" || port.AppProtocol == "kubernetes.io/wss" {
		scheme = "https"
	}
	host := fmt.Sprintf("%s.%s.svc", object.Service.Name, server.Namespace)
	b := config.Backend{
		URL:      scheme + "://" + net.JoinHostPort(host, strconv.Itoa(int(port.Number))),
		H2C:      scheme == "http" && port.AppProtocol == "kubernetes.io/h2c",
		Identity: identity(object.Identity),
	}
	if object.TLS != nil {
		b.ServerName = object.TLS.ServerName
		if object.TLS.CABundleRef != nil {
			b.CABundleFile = path.Join(in.Directory, directory, caFile)
		}
	}
	if keepsSessions(object) && in.Cluster != nil {
		b.Pods = &config.BackendPods{Service: object.Service.Name, Port: port.Name}
	}
	return b
}

// keepsSessions says whether gateways tell an object's pods apart.
func keepsSessions(object *v1alpha1.MCPObject) bool {
	return object.Type == v1alpha1.MCPObjectService && object.SessionAffinity != v1alpha1.SessionAffinityNone
}
