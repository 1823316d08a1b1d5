package gateway_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// asReplica runs this process as a replica if it was started as one, and reports whether
// it was. It is set where tests have processes of their own.
var asReplica = func() (was bool, err error) { return false, nil }

// No gateway leaves a goroutine behind.
func TestMain(m *testing.M) {
	was, err := asReplica()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if !was {
		goleak.VerifyTestMain(m)
	}
}
