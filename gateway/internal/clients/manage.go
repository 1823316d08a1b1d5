package clients

import (
	"context"
	"errors"

	"vestibule.dev/vestibule/gateway/internal/records"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/tokens"
)

var (
	// ErrForeign says that there is no client of this id with this registration
	// access token.
	ErrForeign = errors.New("not the registration access token of a client")
	// ErrSecret says that a client named a secret that is not its own.
	ErrSecret = errors.New("not the client's secret")
)

// Managed returns the client as the store has it, to who has its registration
// access token. It returns ErrForeign or store.ErrUnavailable.
func (s *Service) Managed(ctx context.Context, clientID, token string) (*Client, error) {
	id, err := parseID(clientID)
	if err != nil {
		return nil, ErrForeign
	}
	// Not from the copy: another replica may have changed it a moment ago.
	c, err := s.table.Get(ctx, id)
	if err != nil {
		return nil, foreign(err)
	}
	if !c.managedBy(token) {
		return nil, ErrForeign
	}
	return c.withID(id), nil
}

// Replace makes of a client what it is now to be (RFC 7592 section 2.2), and
// returns it with the secret that it did not have before and now needs, if so.
// Its age, its use and its tokens stay. secret, unless it is empty, must be the
// client's. It returns ErrForeign, ErrSecret or store.ErrUnavailable.
func (s *Service) Replace(ctx context.Context, clientID, token, secret string, with Client) (*Client, Issued, error) {
	id, err := parseID(clientID)
	if err != nil {
		return nil, Issued{}, ErrForeign
	}
	var replaced Client
	var issued Issued
	err = s.table.Update(ctx, id, func(c *Client) (records.Verdict, error) {
		if !c.managedBy(token) {
			return records.Keep, ErrForeign
		}
		//rule:replaced-with-foreign-secret
		if secret != "" && !c.provesSecret(secret) {
			return records.Keep, ErrSecret
		}
		replaced, issued = with, Issued{}
		replaced.CreatedAt, replaced.ExpiresAt, replaced.Used, replaced.ManagementHash = c.CreatedAt, c.ExpiresAt, c.Used, c.ManagementHash
		switch {
		case !replaced.hasSecret():
		case len(c.SecretHash) > 0:
			replaced.SecretHash = c.SecretHash
		default:
			issued.Secret = tokens.NewClientSecret()
			replaced.SecretHash = tokens.Hash(issued.Secret)
		}
		*c = replaced
		return records.Write, nil
	})
	if err != nil {
		return nil, Issued{}, foreign(err)
	}
	return replaced.withID(id), issued, nil
}

// Delete ends a registration, and with it, at their next check, its tokens. It
// returns ErrForeign or store.ErrUnavailable.
func (s *Service) Delete(ctx context.Context, clientID, token string) error {
	id, err := parseID(clientID)
	if err != nil {
		return ErrForeign
	}
	return foreign(s.table.Update(ctx, id, func(c *Client) (records.Verdict, error) {
		if !c.managedBy(token) {
			return records.Keep, ErrForeign
		}
		return records.Remove, nil
	}))
}

// foreign makes no difference between a client that is not there and a token
// that is not its own.
func foreign(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return ErrForeign
	}
	return err
}
