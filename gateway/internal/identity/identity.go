// Package identity says who a checked access token speaks for.
package identity

import (
	"time"

	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// Identity is what a good access token proves: one user, as one client, at one
// resource. A person is Issuer and Subject together; neither names one alone.
type Identity struct {
	ClientID string
	// Upstream is the name in the configuration of where the user logged in.
	Upstream        string
	Issuer, Subject string
	// Scopes are those of the token that still exist.
	Scopes oauth.Scopes
	// Said counts what the upstream has said of the user: it changes with their claims.
	Said uint32
	// ExpiresAt is when the token ends, whatever happens.
	ExpiresAt time.Time
}
