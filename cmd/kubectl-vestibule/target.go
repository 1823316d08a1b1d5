package main

import (
	"errors"
	"flag"
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/controllers"
)

// target is the MCPServer in a cluster that a command is about.
type target struct{ name, namespace, kubeconfig, context string }

var errNoName = errors.New("which MCPServer? Give its name")

// parse reads flags before and after the name, as kubectl does.
func (t *target) parse(flags *flag.FlagSet, args []string) error {
	flags.StringVar(&t.namespace, "n", "", "`namespace` of the MCPServer (default: that of the context)")
	flags.StringVar(&t.namespace, "namespace", "", "as -n")
	flags.StringVar(&t.kubeconfig, "kubeconfig", "", "kubeconfig `file` (default: as kubectl)")
	flags.StringVar(&t.context, "context", "", "`context` of the kubeconfig (default: the current one)")
	for {
		if err := flags.Parse(args); err != nil {
			return flag.ErrHelp // flags has said why
		}
		if args = flags.Args(); len(args) == 0 {
			break
		}
		if t.name != "" {
			return fmt.Errorf("unexpected argument %q", args[0])
		}
		t.name, args = args[0], args[1:]
	}
	if t.name == "" {
		return errNoName
	}
	return nil
}

// connect returns a client of the cluster, and finds the namespace if none is given.
func (t *target) connect() (client.Client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = t.kubeconfig
	config := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: t.context})
	if t.namespace == "" {
		var err error
		if t.namespace, _, err = config.Namespace(); err != nil {
			return nil, err
		}
	}
	rest, err := config.ClientConfig()
	if err != nil {
		return nil, err
	}
	scheme, err := controllers.NewScheme()
	if err != nil {
		return nil, err
	}
	return client.New(rest, client.Options{Scheme: scheme})
}
