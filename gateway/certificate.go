package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"vestibule.dev/vestibule/gateway/config"
)

// certificate follows the files with what the gateway serves with.
type certificate struct {
	files config.TLS
	log   *slog.Logger
	every time.Duration

	cert, key []byte // what the one in use was made of

	mu  sync.Mutex
	use *tls.Certificate
	// bad is why what is in the files is not used, or nil.
	bad error
}

// newCertificate reads the files a first time, when they must be good.
func newCertificate(files config.TLS, every time.Duration, log *slog.Logger) (*certificate, error) {
	c := &certificate{files: files, log: log, every: every}
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// load puts the pair in the files in use, if it is another one. The kubelet may put
// new files in their place between two reads, which then do not fit.
func (c *certificate) load() error {
	if c.read() == nil {
		return nil
	}
	return c.read()
}

func (c *certificate) read() error {
	cert, err := os.ReadFile(c.files.CertFile)
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	key, err := os.ReadFile(c.files.KeyFile)
	if err != nil {
		return fmt.Errorf("reading the certificate's key: %w", err)
	}
	if bytes.Equal(cert, c.cert) && bytes.Equal(key, c.key) {
		return nil
	}
	//rule:bad-certificate
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w", c.files.CertFile, c.files.KeyFile, err)
	}
	c.cert, c.key = cert, key
	c.log.Info("a certificate is in use", "names", pair.Leaf.DNSNames, "not_after", pair.Leaf.NotAfter)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.use = &pair
	return nil
}

// run works until ctx is done.
func (c *certificate) run(ctx context.Context) {
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := c.load()
		c.mu.Lock()
		if err != nil && (c.bad == nil || c.bad.Error() != err.Error()) {
			c.log.ErrorContext(ctx, "the newest certificate is not used", "error", err)
		}
		c.bad = err
		c.mu.Unlock()
	}
}

// problem is why what is in the files is not used, or nil.
func (c *certificate) problem() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bad
}

// notAfter is when the certificate in use expires.
func (c *certificate) notAfter() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.use.Leaf.NotAfter
}

// settings are for a listener. Connections keep the certificate that they began with.
func (c *certificate) settings() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.use, nil
		},
	}
}
