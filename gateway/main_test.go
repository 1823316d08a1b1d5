package gateway_test

import (
	"fmt"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if arg := os.Getenv(replicaEnv); arg != "" {
		if err := runReplica(arg); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}
