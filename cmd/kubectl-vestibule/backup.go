package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"vestibule.dev/vestibule/controllers"
)

const backupUsage = `Usage: kubectl vestibule backup NAME [-n NAMESPACE] > FILE

Prints the keys of the MCPServer NAME and the objects of its store, or those that it
has left with deletionPolicy Retain. Whoever has the file can make tokens: keep it as
you keep the Secret. What is in an etcd is not in it.

To restore it, in another namespace or cluster, before the MCPServer is there:

  kubectl -n NAMESPACE create -f FILE
  kubectl -n NAMESPACE apply -f MCPSERVER

The MCPServer must have the same name and publicURL. It goes on with the keys and the
records: clients stay registered, and users logged in.

Flags of backup:
`

func backupCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var t target
	flags := flag.NewFlagSet("backup", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = io.WriteString(stderr, backupUsage)
		flags.PrintDefaults()
	}
	if err := t.parse(flags, args); err != nil {
		return err
	}
	c, err := t.connect()
	if err != nil {
		return err
	}
	objects, err := controllers.Backup(ctx, c, t.namespace, t.name)
	if err != nil {
		return err
	}
	list := corev1.List{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "List"}}
	for _, o := range objects {
		list.Items = append(list.Items, runtime.RawExtension{Object: o})
	}
	encoder := json.NewEncoder(stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(list)
}
