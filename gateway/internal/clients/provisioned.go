package clients

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/tokens"
)

// provision makes a client of what an administrator has written down.
func provision(c *config.Client) *Client {
	p := &Client{
		config: c, Name: cmp.Or(c.Name, c.ID), RedirectURIs: c.RedirectURIs, JWKSURI: c.JWKSURL, Used: true,
		Method: MethodNone,
	}
	switch {
	case c.SecretFile != "":
		p.Method = MethodBasic
	case c.JWKSFile != "" || c.JWKSURL != "":
		p.Method = MethodPrivateKeyJWT
	}
	return p
}

// minSecret is how short a secret may be that somebody made up, in bytes: nothing
// but its length bounds who guesses.
const minSecret = 16

// withFiles is a provisioned client with what its files hold now. They are read
// each time, so that a change needs no restart.
func (c *Client) withFiles() (*Client, error) {
	with := *c
	switch f := c.config; {
	case f.SecretFile != "":
		secret, err := os.ReadFile(f.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("reading a client's secret: %w", err)
		}
		secret = bytes.TrimRight(secret, "\r\n")
		if len(secret) < minSecret {
			return nil, errors.New("the client's secret is too short to be one")
		}
		with.SecretHash = tokens.Hash(string(secret))
	case f.JWKSFile != "":
		set, err := os.ReadFile(f.JWKSFile)
		if err != nil {
			return nil, fmt.Errorf("reading a client's keys: %w", err)
		}
		with.JWKS = set
	}
	return &with, nil
}
