package upstream

import (
	"context"

	"vestibule.dev/vestibule/gateway/internal/keys"
)

// Check discovers the provider anew, whatever is known of it, and says what is
// wrong. What it finds is used from then on.
func (u *Upstream) Check(ctx context.Context) error {
	p, err := u.discover(ctx)
	if err == nil && p.oidc == nil {
		err = u.checkGitHub(ctx, p)
	}
	if err != nil {
		return explain(err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.provider = p
	// A secret that was refused stays so until it is another.
	if u.refused != nil && keys.Equal([]byte(*u.refused), []byte(p.secret)) {
		return ErrCredentials
	}
	return nil
}
