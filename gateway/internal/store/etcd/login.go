package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// login puts the token of a user on every request. The client's own would read the
// password once, and call the cluster before there is one.
type login struct {
	userFile, passwordFile string

	renewing sync.Mutex // held during a login

	mu    sync.Mutex
	token string
}

func (l *login) current() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.token
}

// GetRequestMetadata implements grpc's credentials.PerRPCCredentials.
func (l *login) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token := l.current()
	if token == "" {
		return nil, nil
	}
	return map[string]string{rpctypes.TokenFieldNameGRPC: token}, nil
}

// RequireTransportSecurity says no: Options.check has seen to it.
func (l *login) RequireTransportSecurity() bool { return false }

// isTokenRefused says that another login may help.
func isTokenRefused(err error) bool {
	return errors.Is(err, rpctypes.ErrUserEmpty) || errors.Is(err, rpctypes.ErrInvalidAuthToken) ||
		errors.Is(err, rpctypes.ErrAuthOldRevision)
}

// renew logs in, unless somebody else has done so since refused was the token.
func (l *login) renew(ctx context.Context, client *clientv3.Client, refused string) error {
	l.renewing.Lock()
	defer l.renewing.Unlock()
	if l.current() != refused {
		return nil
	}
	user, err := os.ReadFile(l.userFile)
	if err != nil {
		return fmt.Errorf("reading the user: %w", err)
	}
	password, err := os.ReadFile(l.passwordFile)
	if err != nil {
		return fmt.Errorf("reading the password: %w", err)
	}
	// Files that people write end in a newline.
	answer, err := client.Authenticate(ctx, strings.TrimRight(string(user), "\r\n"), strings.TrimRight(string(password), "\r\n"))
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.token = answer.Token
	return nil
}
