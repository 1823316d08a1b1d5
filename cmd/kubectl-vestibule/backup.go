package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/controllers"
)

const backupUsage = `Usage: kubectl vestibule backup NAME [-n NAMESPACE] > FILE
       kubectl vestibule backup -A > FILE

Prints the keys of the MCPServer NAME and the objects of its store, or those that it
has left with deletionPolicy Retain. Whoever has the file can make tokens: keep it as
you keep the Secret. What is in an etcd is not in it. With -A, it has those of all
MCPServers in the cluster, each with its namespace.

To restore it, in another namespace or cluster, before the MCPServer is there:

  kubectl -n NAMESPACE create -f FILE
  kubectl -n NAMESPACE apply -f MCPSERVER

The MCPServer must have the same name and publicURL. It goes on with the keys and the
records: clients stay registered, and users logged in.

Flags of backup:
`

func backupCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var t target
	var all bool
	flags := flag.NewFlagSet("backup", flag.ContinueOnError)
	flags.BoolVar(&all, "A", false, "all MCPServers, in all namespaces")
	flags.BoolVar(&all, "all-namespaces", false, "as -A")
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = io.WriteString(stderr, backupUsage)
		flags.PrintDefaults()
	}
	err := t.parse(flags, args)
	switch {
	case all && err == nil:
		return errors.New("either the name of an MCPServer, or -A")
	case all && errors.Is(err, errNoName):
	case err != nil:
		return err
	}
	c, err := t.connect()
	if err != nil {
		return err
	}
	var objects []client.Object
	if all {
		objects, err = controllers.BackupAll(ctx, c)
	} else {
		objects, err = controllers.Backup(ctx, c, t.namespace, t.name)
	}
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
