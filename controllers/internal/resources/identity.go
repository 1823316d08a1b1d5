package resources

import (
	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/gateway/config"
)

// identity says how a backend learns who calls, or returns nil.
func identity(i *v1alpha1.Identity) *config.Identity {
	if i == nil {
		return nil
	}
	c := &config.Identity{}
	if i.Assertion != nil {
		c.Assertion = &config.IdentityAssertion{Audience: i.Assertion.Audience, Claims: i.Assertion.Claims}
	}
	for _, h := range i.Headers {
		c.Headers = append(c.Headers, config.IdentityHeader{Name: h.Name, Claim: h.Claim})
	}
	if i.UpstreamToken != nil {
		c.UpstreamTokenHeader = i.UpstreamToken.Header
	}
	return c
}
