package v1alpha1

// HTTPRoute is what leads to the gateway in a cluster with the Gateway API.
type HTTPRoute struct {
	// parentRefs are the Gateways that serve the host of publicURL. One to 8.
	//
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule=`self.all(p, self.exists_one(q, q == p))`,message="gateway.httpRoute.parentRefs must be different from each other."
	ParentRefs []ParentRef `json:"parentRefs"`

	// labels are added to those of the HTTPRoute. At most 16; those of
	// app.kubernetes.io are Vestibule's.
	//
	// When unset, none are added.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule=`self.all(k, !format.qualifiedName().validate(k).hasValue() && !k.startsWith('app.kubernetes.io/') && !format.labelValue().validate(self[k]).hasValue())`,message="gateway.httpRoute.labels must be labels as Kubernetes has them, and not of app.kubernetes.io."
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations are those of the HTTPRoute, for whoever implements the Gateway. At
	// most 16, of at most 4096 characters.
	//
	// When unset, there are none.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule=`self.all(k, !format.qualifiedName().validate(k).hasValue())`,message="gateway.httpRoute.annotations must have keys as Kubernetes has them."
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`
}

// ParentRef is a Gateway, or a listener of one.
//
// +kubebuilder:validation:XValidation:rule=`self.name.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$') && (!has(self.__namespace__) || self.__namespace__.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')) && (!has(self.sectionName) || self.sectionName.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$'))`,message="gateway.httpRoute.parentRefs must have names as Kubernetes has them: lower case letters, digits, hyphens and dots."
type ParentRef struct {
	// name is that of the Gateway.
	//
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// namespace is that of the Gateway, whose listeners must let routes of the
	// MCPServer's namespace attach.
	//
	// When unset, the MCPServer's.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// sectionName is the name of one of its listeners.
	//
	// When unset, all that serve the host.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	SectionName string `json:"sectionName,omitempty"`

	// port is the port of its listeners. 1 to 65535.
	//
	// When unset, any.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
}

// Ingress is what leads to the gateway in a cluster with an Ingress controller.
type Ingress struct {
	// className is the IngressClass, which says whose controller serves it.
	//
	// When unset, the cluster's default class.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`!format.dns1123Subdomain().validate(self).hasValue()`,message="gateway.ingress.className must be a name as Kubernetes has them: lower case letters, digits, hyphens and dots."
	ClassName string `json:"className,omitempty"`

	// annotations are those of the Ingress, by which its controller and cert-manager are
	// told more. What answers streams must not buffer, and must wait for longer than
	// gateway.streamKeepAliveSeconds. At most 16, of at most 4096 characters.
	//
	// When unset, there are none.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule=`self.all(k, !format.qualifiedName().validate(k).hasValue())`,message="gateway.ingress.annotations must have keys as Kubernetes has them."
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`

	// labels are added to those of the Ingress. At most 16; those of
	// app.kubernetes.io are Vestibule's.
	//
	// When unset, none are added.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule=`self.all(k, !format.qualifiedName().validate(k).hasValue() && !k.startsWith('app.kubernetes.io/') && !format.labelValue().validate(self[k]).hasValue())`,message="gateway.ingress.labels must be labels as Kubernetes has them, and not of app.kubernetes.io."
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// tls names the certificate of the host.
	//
	// When unset, the controller's own default is served, if it has one.
	//
	// +optional
	TLS *IngressTLS `json:"tls,omitempty"`
}

// IngressTLS is where a certificate is.
type IngressTLS struct {
	// secretName is the Secret of type kubernetes.io/tls with the certificate of
	// publicURL's host, in the MCPServer's namespace. The Ingress controller reads it.
	//
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`!format.dns1123Subdomain().validate(self).hasValue()`,message="gateway.ingress.tls.secretName must be a name as Kubernetes has them: lower case letters, digits, hyphens and dots."
	SecretName string `json:"secretName"`
}

// AnnotationValue is the value of an annotation.
//
// +kubebuilder:validation:MaxLength=4096
type AnnotationValue string
