// Package natscmd is the command that sets up a secure NATS server.
package natscmd

import (
	"fmt"
	"io"
	"net"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/busdir"
	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/planner"
)

// New returns the command "nats".
func New() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "nats",
		Short:   "Set up a NATS server that asks everybody who they are",
		Example: "  fleetfold nats config --inventory fleet.yaml --out ./bus",
	}
	cmd.AddCommand(newConfig())
	return cmd
}

type configFlags struct {
	inventory, out, prefix string
	listen, serverDir      string
	hosts                  []string
	prune, importer        bool
}

func newConfig() *cobra.Command {
	var f configFlags
	cmd := &cobra.Command{
		Use:   "config --inventory FILE --out DIR",
		Short: "Write a secure server's configuration and everybody's identity",
		Long: `Write the configuration of a NATS server that lets in only who shows a client
certificate, and each only to what it needs, together with the certificates:

  DIR/server               the configuration and its certificate, for the server
  DIR/identities/ROLE      for planner, executor, operator and auditor, each
  DIR/identities/nodes/ID  for each node, which also shows by it who it is
                           (--attest-ca of the executor is the ca.crt in there)
  DIR/ca                   the authority that signed them; keep it as you keep a CA

Run it again whenever nodes were added, and have the server read its
configuration again. What is there is kept, keys above all. A certificate that
has little time left is renewed for the same key. A node that the inventory does
not name any more may not connect from then on: take it out of the fleet first.`,
		Example: `  fleetfold nats config --inventory fleet.yaml --out ./bus --host bus.example.org
  nats-server -c ./bus/server/nats-server.conf -sd ./jetstream`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.inventory, "inventory", "", "inventory `FILE` that names the nodes (required)")
	fs.StringVar(&f.out, "out", "", "`DIR` to write to, and to keep (required)")
	fs.StringArrayVar(&f.hosts, "host", nil, "`HOST` name or address by which others reach the server; may be given several times, localhost is always among them")
	fs.StringVar(&f.listen, "listen", busconf.DefaultListen, "`ADDRESS` on which clients connect")
	fs.StringVar(&f.serverDir, "server-dir", "", "`DIR` as which the server will find DIR/server, where it is copied or mounted elsewhere")
	fs.BoolVar(&f.prune, "prune", false, "delete the identities of nodes that the inventory does not name any more")
	fs.BoolVar(&f.importer, "importer", false, "also an identity that may fill the log of an empty system ('fleetfold import'); run again without it when that is done")
	fs.StringVar(&f.prefix, "prefix", events.DefaultPrefix, "first `TOKEN` of every subject")
	return cmd
}

func (f *configFlags) check() error {
	switch {
	case f.inventory == "":
		return cli.Usagef("--inventory is required")
	case f.out == "":
		return cli.Usagef("--out is required")
	}
	if _, _, err := net.SplitHostPort(f.listen); err != nil {
		return cli.Usagef("--listen %q is not HOST:PORT", f.listen)
	}
	_, err := events.NewSubjects(f.prefix)
	return cli.UsageError(err)
}

func (f *configFlags) run(cmd *cobra.Command) error {
	if err := f.check(); err != nil {
		return err
	}
	_, inv, rep := inventory.Read(func() ([]byte, error) { return planner.ReadFile(f.inventory) })
	if !rep.Valid() {
		return cli.WithHint(rep.Err(), fmt.Sprintf("run 'fleetfold validate %s', and mend the file", f.inventory))
	}
	config := busconf.Config{Prefix: f.prefix, TrustDomain: inv.TrustDomain, Listen: f.listen, Dir: f.serverDir, Importer: f.importer}
	for n := range inv.Nodes() {
		config.Nodes = append(config.Nodes, n.ID)
	}
	done, err := busdir.Write(busdir.Options{Dir: f.out, Config: config, Hosts: f.hosts, Prune: f.prune})
	if err != nil {
		return err
	}
	tell(cmd.OutOrStdout(), done)
	if done.Changed {
		fmt.Fprintf(cmd.ErrOrStderr(), "hint: a server that runs with %s has to read it again: nats-server --signal reload\n", busdir.ConfigFile(f.out))
	}
	return nil
}

func tell(w io.Writer, done busdir.Report) {
	for _, part := range []struct {
		word string
		list []string
	}{
		{"created", done.Created}, {"renewed", done.Renewed}, {"shut out", done.Left}, {"deleted", done.Pruned},
	} {
		for _, folder := range part.list {
			fmt.Fprintf(w, "%-8s  %s\n", part.word, folder)
		}
	}
	if len(done.Created)+len(done.Renewed)+len(done.Left)+len(done.Pruned) == 0 && !done.Changed {
		fmt.Fprintln(w, "nothing to change")
	}
}
