// Package v1alpha1 is the API that a developer writes: one MCPServer per MCP
// server that gets a front door.
//
// +kubebuilder:object:generate=true
// +groupName=mcp.vestibule.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// SchemeGroupVersion is the group and version of the types in this package.
// Generated apply configurations look for it under this name.
var SchemeGroupVersion = schema.GroupVersion{Group: "mcp.vestibule.dev", Version: "v1alpha1"}

var schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

// AddToScheme makes the types of this package known to a scheme.
var AddToScheme = schemeBuilder.AddToScheme

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion, &MCPServer{}, &MCPServerList{})
	metav1.AddToGroupVersion(scheme, SchemeGroupVersion)
	return nil
}
