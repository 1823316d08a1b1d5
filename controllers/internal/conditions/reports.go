package conditions

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/gateway/config"
)

// check is one that a gateway made, of what a field of the spec says.
type check struct {
	field string
	config.Check
}

// fixes are what helps when a gateway's check fails. A reason that is not here
// is one that a newer gateway has.
var fixes = map[string]string{
	config.ReasonPolicyInvalid: "The gateway goes on with the policy that it had: let controller and gateway be of the same version.",

	config.ReasonCertificateInvalid: "The gateway goes on with the certificate that it had: check what is in the Secret.",

	config.ReasonStoreForbidden:    "Look for what removed the gateway's Role or RoleBinding, or an admission policy that refuses its writes.",
	config.ReasonStoreObjectAbsent: "An object of the store is missing: see whether somebody deleted it.",
	config.ReasonStoreUnreachable:  "Look for what stands between the gateway's pods and the API server, or the etcd, such as a NetworkPolicy.",
	config.ReasonStoreUnwritable:   "Look for an admission policy or a full etcd that refuses writes.",
	config.ReasonStoreIncomplete:   "Gateways serve nobody before that, since clients and logins would be lost.",
	config.ReasonKeysMismatch:      "The Secret with the gateway's keys is not the one that the records were made with: restore it from a backup.",
	config.ReasonKeysInvalid:       "The gateway goes on with the keys that it had: restore the Secret with the gateway's keys, or let controller and gateway be of the same version.",

	config.ReasonUpstreamUnreachable:   "Check what the spec says of the provider, such as oidc.issuerURL, and that the gateway's pods may connect to it.",
	config.ReasonUpstreamUntrusted:     "Set caBundleRef to the certificates of who signed the provider's.",
	config.ReasonUpstreamIssuerDiffers: "Set oidc.issuerURL, or what stands for it, to exactly the issuer that the provider's discovery document names.",
	config.ReasonUpstreamInsecure:      "Have the provider publish https URLs: behind a proxy it may have to be told its public URL.",
	config.ReasonUpstreamFiles:         "Check what is under clientSecretRef and caBundleRef: the latter must be PEM certificates.",
	config.ReasonUpstreamCredentials:   "Check clientID, and that clientSecretRef has a secret of that client that has not expired.",

	config.ReasonBackendUnreachable:       "Check the Service that the route's mcpObject, or bindings.mcpObject, names, the appProtocol of its port, and that the gateway's pods may connect to it.",
	config.ReasonBackendUntrusted:         "Set tls.caBundleRef of the route's mcpObject, or of bindings.mcpObject, to the certificates of who signed the backend's, and tls.serverName to a name in it.",
	config.ReasonBackendNotMCP:            "Check backendPath, and that the backend speaks the route's transport there.",
	config.ReasonPublicURLUnreachable:     "Gateways cannot reach publicURL from inside of the cluster, which says nothing about who calls from outside: ask it from there, or let pods reach it.",
	config.ReasonPublicURLUntrusted:       "Clients may trust it, if they know who signed it: ask publicURL as they do.",
	config.ReasonPublicURLNotServed:       "Let what serves publicURL send all requests at and below it, and those of its documents under /.well-known, to the gateway's Service with the path as it came; gateway.httpRoute and gateway.ingress do that.",
	config.ReasonPublicURLIssuerDiffers:   "Another server is at publicURL: look for another route of this host and path, or one that rewrites paths.",
	config.ReasonPublicURLMetadataDiffers: "Another installation with this publicURL may be there, in another cluster perhaps, or something that keeps old answers.",

	config.ReasonBackendUnauthorized: "The gateway authorizes users: let the backend take its requests without credentials, or have it told who calls by bindings.mcpObject.identity.",
}

// worst is what is wrong by the gateways' own checks, the first failure of the
// first replica that has one, or what is not known; or ok.
func worst(o *Observation, checks func(*config.Report) []check) (f fact, ok bool) {
	if o.Gateway == nil {
		return notObserved(), false
	}
	counted := o.Gateway.Counted()
	failing, known := 0, len(counted) > 0
	var first check
	for _, r := range counted {
		fails := false
		for _, c := range checks(r) {
			switch metav1.ConditionStatus(c.Status) {
			case metav1.ConditionTrue:
			case metav1.ConditionFalse:
				if failing == 0 && !fails {
					first = c
				}
				fails = true
			default:
				known = false
			}
		}
		if fails {
			failing++
		}
	}
	switch {
	case failing > 0:
		return failed(first, failing, len(counted)), false
	case !known:
		return unknown(v1alpha1.ReasonNotReported, "No gateway has reported on this yet."), false
	}
	return fact{}, true
}

func failed(c check, failing, replicas int) fact {
	message := fmt.Sprintf("%d of %d replicas: %s: %s", failing, replicas, c.field, c.Message)
	fix, known := fixes[c.Reason]
	if !known {
		return no(v1alpha1.ReasonCheckFailed, "%s (%s)", message, c.Reason)
	}
	if !strings.HasSuffix(message, "?") { // Some end in what may be the cause.
		message += "."
	}
	return no(c.Reason, "%s %s", message, fix)
}
