package conditions

import (
	"strings"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// ofStore says whether a field is one of bindings.oauthKV, and so on.
func ofStore(field string) bool { return strings.HasPrefix(field, "bindings.oauthKV.") }

func ofObject(field string) bool { return strings.Contains(field, "mcpObject.tls.") }

func ofUpstream(field string) bool { return strings.HasPrefix(field, "upstreams[") }

// ofGateway says whether it is the condition GatewayAvailable that speaks of a field.
func ofGateway(field string) bool { return ofOAuth(field) || ofTLS(field) }

func ofTLS(field string) bool { return strings.HasPrefix(field, "gateway.tls.") }

func ofOAuth(field string) bool { return strings.HasPrefix(field, "oauth.") }

// referred is the first reference that cannot be used, of those in the given fields;
// or ok.
func referred(o *Observation, in func(field string) bool) (f fact, ok bool) {
	for _, r := range o.References {
		if !in(r.Field) {
			continue
		}
		missing, keyMissing := v1alpha1.ReasonSecretMissing, v1alpha1.ReasonSecretKeyMissing
		switch {
		case ofGateway(r.Field):
			missing, keyMissing = v1alpha1.ReasonReferenceMissing, v1alpha1.ReasonReferenceKeyMissing
		case r.Kind == "ConfigMap":
			missing, keyMissing = v1alpha1.ReasonCABundleMissing, v1alpha1.ReasonCABundleKeyMissing
		}
		switch {
		case !r.Exists:
			return no(missing, "There is no %s %s in this namespace: create it with the key %s, or change %s.", r.Kind, r.Name, r.Key, r.Field), false
		case r.NotAllowed:
			return no(v1alpha1.ReasonSecretNotAllowed,
				"Secret %[1]s is not allowed for this MCPServer: have somebody who may change it run kubectl label secret %[1]s -n %[2]s %[3]s=%[4]s, or change %[5]s.",
				r.Name, o.Server.Namespace, v1alpha1.LabelAllowedFor, o.Server.Name, r.Field), false
		case !r.Found:
			return no(keyMissing, "%s %s has no key %s: add it, or change %s.", r.Kind, r.Name, r.Key, r.KeyField), false
		case r.Unusable != "":
			return no(v1alpha1.ReasonCertificateInvalid, "%s %s has no certificate with its key, PEM: %s. Mend it, or change %s.", r.Kind, r.Name, r.Unusable, r.Field), false
		}
	}
	return fact{}, true
}
