package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
)

const rotateUsage = `Usage: kubectl vestibule rotate-keys NAME [-n NAMESPACE] [--compromised]

Has the controller make a new key for the gateways of the MCPServer NAME. They use it
a quarter of an hour later, when each of them has it; nobody notices. What is under
the older keys stays good until it ends by itself.

With --compromised, because somebody else may have the keys, all that there are now
are dropped at once, with everything under them: clients register again, and users
log in again.

Flags of rotate-keys:
`

// rotation is what rotate-keys is asked for.
type rotation struct {
	target
	compromised bool
}

func rotateCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var r rotation
	flags := flag.NewFlagSet("rotate-keys", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = io.WriteString(stderr, rotateUsage)
		flags.PrintDefaults()
	}
	flags.BoolVar(&r.compromised, "compromised", false, "drop all keys that there are now")
	if err := r.parse(flags, args); err != nil {
		return err
	}
	c, err := r.connect()
	if err != nil {
		return err
	}
	return rotateKeys(ctx, c, r, time.Now(), stdout)
}

// rotateKeys writes the command into an annotation. The controller carries it out.
func rotateKeys(ctx context.Context, c client.Client, r rotation, now time.Time, stdout io.Writer) error {
	at := now.UTC().Format(time.RFC3339)
	annotation := v1alpha1.AnnotationRotateKeys
	if r.compromised {
		annotation = v1alpha1.AnnotationDropKeys
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{annotation: at}}})
	if err != nil {
		return err
	}
	server := &v1alpha1.MCPServer{}
	server.Namespace, server.Name = r.namespace, r.name
	if err := c.Patch(ctx, server, client.RawPatch(types.MergePatchType, patch)); err != nil {
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("there is no MCPServer %s in namespace %s", r.name, r.namespace)
		}
		return fmt.Errorf("annotating MCPServer %s in namespace %s: %w", r.name, r.namespace, err)
	}
	if r.compromised {
		fmt.Fprintf(stdout, `Every key made before %s is dropped, and everything under it ends:
all clients register again, and all users log in again. Gateways learn of it within
two minutes; until then some answer as before, or 503 to what is new, and the
condition OAuthKVBound names them. The event KeysDropped says that all have followed.
`, at)
	} else {
		fmt.Fprintf(stdout, `A new key is made. Gateways use it a quarter of an hour later, when each of them has
it; nobody notices.
`)
	}
	fmt.Fprintf(stdout, "\nTo see that it is done:\n\n  kubectl -n %s events --for mcpserver/%s\n", r.namespace, r.name)
	return nil
}
