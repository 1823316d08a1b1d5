package etcd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// isRefused says that the cluster has decided not to do what it was asked: nothing
// was written, and nothing will be.
func isRefused(err error) bool {
	switch codeOf(err) {
	case codes.InvalidArgument, codes.NotFound, codes.PermissionDenied, codes.ResourceExhausted,
		codes.FailedPrecondition, codes.OutOfRange, codes.Unimplemented, codes.Unauthenticated:
		return true
	}
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) // there was no login
}

// isFinal says that another attempt would be refused too. A member may not know a token
// yet that another has just given.
func isFinal(err error) bool {
	return isRefused(err) && !errors.Is(err, rpctypes.ErrTooManyRequests) &&
		!errors.Is(err, rpctypes.ErrAuthOldRevision) && !errors.Is(err, rpctypes.ErrInvalidAuthToken)
}

// isForbidden says that it was refused for who asks.
func isForbidden(err error) bool {
	return codeOf(err) == codes.PermissionDenied || codeOf(err) == codes.Unauthenticated ||
		errors.Is(err, rpctypes.ErrAuthFailed) || isTokenRefused(err)
}

func codeOf(err error) codes.Code {
	var known rpctypes.EtcdError
	if errors.As(err, &known) {
		return known.Code()
	}
	return status.Code(err)
}

// isTimeout says that somebody did not want to wait any longer.
func isTimeout(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// telling returns the later of two failures, unless that says only that time is up.
func telling(before, err error) error {
	if before != nil && isTimeout(err) {
		return before
	}
	return err
}

// explain turns a failure into an error of the store. It quotes codes, and of texts
// only those that do not come from the cluster: the connection's and the files'.
func explain(doing string, err error) error {
	switch {
	case errors.Is(err, rpctypes.ErrNoSpace):
		return store.ErrFull
	case isForbidden(err):
		return fmt.Errorf("%w: %s: %w", store.ErrUnavailable, doing, store.ErrForbidden)
	case isTimeout(err), errors.Is(err, errWatchEnded), errors.Is(err, errRestored), errors.Is(err, errLate),
		strings.Contains(err.Error(), "connection error"), errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %s: %w", store.ErrUnavailable, doing, err)
	}
	return fmt.Errorf("%w: %s: etcd says %s", store.ErrUnavailable, doing, codeOf(err))
}
