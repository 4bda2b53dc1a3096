// Package natscmd is the command that sets up a secure NATS server.
package natscmd

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

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
	mode                   string
	listen, serverDir      string
	serverLogDir           string
	hosts, revoke          []string
	prune, importer        bool
	cluster                clusterFlags
}

const long = `Write the configuration of a NATS server that lets in only who shows a client
certificate, and each only to what it needs, together with the certificates:

  DIR/server               the configuration and its certificate, for the server
  DIR/servers/nats-N       the same for each server of a cluster (--servers)
  DIR/identities/ROLE      for planner, executor, operator and auditor, each
  DIR/identities/nodes/ID  for each node, which also shows by it who it is
                           (--attest-ca of the executor is the ca.crt in there)
  DIR/ca                   the authority that signed them; keep it as you keep a CA
  DIR/keys                 in mode jwt: the operator's key and those that sign
                           tokens; keep it in the same way, and off the servers

In mode certificate, who somebody is follows from the certificate, and the
configuration names each node: a server reads it again for every new node. In
mode jwt everybody also shows a token (identity.creds in the same folder); the
configuration has the same size for any number of nodes, and is read again only
when somebody is shut out. The mode auto takes jwt from %d nodes on. The mode of
a folder never changes, since a server keeps the log under a name that depends
on it: choose jwt at once for a fleet that will be large.

Run it again whenever nodes were added, and, where it says so, have the servers
read their configurations again. What is there is kept, keys above all. A
certificate or token that has little time left is renewed for the same key. A
node that the inventory does not name any more may not connect from then on:
take it out of the fleet first.`

func newConfig() *cobra.Command {
	var f configFlags
	cmd := &cobra.Command{
		Use:   "config --inventory FILE --out DIR",
		Short: "Write a secure server's configuration and everybody's identity",
		Long:  fmt.Sprintf(long, busconf.TokensFrom),
		Example: `  fleetfold nats config --inventory fleet.yaml --out ./bus --host bus.example.org
  nats-server -c ./bus/server/nats-server.conf -sd ./jetstream

  fleetfold nats config --inventory large.yaml --out ./bus --mode jwt --servers 3 \
    --cluster-host nats-1.example.org --cluster-host nats-2.example.org --cluster-host nats-3.example.org`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.inventory, "inventory", "", "inventory `FILE` that names the nodes (required)")
	fs.StringVar(&f.out, "out", "", "`DIR` to write to, and to keep (required)")
	fs.StringVar(&f.mode, "mode", autoMode, "how servers know who somebody is: `MODE` auto, certificate or jwt; auto keeps what DIR has, and for a new one takes jwt from "+strconv.Itoa(busconf.TokensFrom)+" nodes on")
	fs.StringArrayVar(&f.hosts, "host", nil, "`HOST` name or address by which others reach the server; may be given several times, localhost is always among them")
	fs.StringVar(&f.listen, "listen", busconf.DefaultListen, "`ADDRESS` on which clients connect")
	fs.StringVar(&f.serverDir, "server-dir", "", "`DIR` as which the server will find DIR/server, or its own folder in DIR/servers, where it is copied or mounted elsewhere")
	fs.StringVar(&f.serverLogDir, "server-log-dir", "", "`DIR`, as the server will find it, that each server writes its log into, NAME.log, and fleetfold.log where there is one server: for 'planner --bus-log', so that 'fleetfold log' shows whom the server refused; without it to standard error")
	fs.BoolVar(&f.prune, "prune", false, "delete the identities of nodes that the inventory does not name any more")
	fs.StringArrayVar(&f.revoke, "revoke", nil, "`FOLDER` in DIR of an identity whose token may be known to others, such as identities/planner or identities/nodes/ID: it counts for nothing from now on and a new one is made; may be given several times, only in mode jwt")
	fs.BoolVar(&f.importer, "importer", false, "also an identity that may fill the log of an empty system ('fleetfold import'); run again without it when that is done")
	fs.StringVar(&f.prefix, "prefix", events.DefaultPrefix, "first `TOKEN` of every subject")
	f.cluster.addTo(fs)
	return cmd
}

// autoMode leaves the mode to the folder and the number of nodes.
const autoMode = "auto"

func (f *configFlags) check() error {
	switch {
	case f.inventory == "":
		return cli.Usagef("--inventory is required")
	case f.out == "":
		return cli.Usagef("--out is required")
	case !slices.Contains([]string{autoMode, string(busconf.Certificates), string(busconf.Tokens)}, f.mode):
		return cli.Usagef("--mode %q is none: give auto, certificate or jwt", f.mode)
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
	servers, err := f.cluster.servers(f.listen)
	if err != nil {
		return err
	}
	_, inv, rep := inventory.Read(func() ([]byte, error) { return planner.ReadFile(f.inventory) })
	if !rep.Valid() {
		return cli.WithHint(rep.Err(), fmt.Sprintf("run 'fleetfold validate %s', and mend the file", f.inventory))
	}
	o := busdir.Options{
		Dir: f.out, Servers: servers, Hosts: f.hosts, Prune: f.prune, Revoke: f.revoke,
		Config:   busconf.Config{Prefix: f.prefix, TrustDomain: inv.TrustDomain, Listen: f.listen, Dir: f.serverDir, LogDir: f.serverLogDir, Importer: f.importer},
		Progress: (&progress{out: cmd.ErrOrStderr(), now: time.Now, last: time.Now()}).tell,
	}
	if f.mode != autoMode {
		o.Mode = busconf.Mode(f.mode)
	}
	for n := range inv.Nodes() {
		o.Config.Nodes = append(o.Config.Nodes, n.ID)
	}
	done, err := busdir.Write(o)
	if err != nil {
		return err
	}
	tell(cmd.OutOrStdout(), done)
	switch {
	case !done.Changed && len(done.Created) > 0:
		fmt.Fprintln(cmd.ErrOrStderr(), "hint: no server has to read anything again")
	case done.Changed:
		fmt.Fprintf(cmd.ErrOrStderr(), "hint: a server that runs with %s has to read it again: nats-server --signal reload\n", configOf(f.out, servers))
	}
	return nil
}

func configOf(out string, servers []busdir.Server) string {
	if len(servers) == 0 {
		return busdir.ConfigFile(out)
	}
	return busdir.ServerConfigFile(out, "NAME")
}

// progress says every few seconds how far it is, when it takes so long.
type progress struct {
	out  io.Writer
	now  func() time.Time
	mu   sync.Mutex
	last time.Time
}

const progressEvery = 2 * time.Second

func (p *progress) tell(done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := p.now(); now.Sub(p.last) >= progressEvery {
		p.last = now
		fmt.Fprintf(p.out, "%d of %d identities\n", done, total)
	}
}

func tell(w io.Writer, done busdir.Report) {
	for _, part := range []struct {
		word string
		list []string
	}{
		{"created", done.Created}, {"renewed", done.Renewed}, {"shut out", done.Left}, {"deleted", done.Pruned}, {"unused", done.Unused},
	} {
		for _, folder := range part.list {
			fmt.Fprintf(w, "%-8s  %s\n", part.word, folder)
		}
	}
	if len(done.Created)+len(done.Renewed)+len(done.Left)+len(done.Pruned)+len(done.Unused) == 0 && !done.Changed {
		fmt.Fprintln(w, "nothing to change")
		return
	}
	fmt.Fprintf(w, "%-8s  %s\n", "mode", done.Mode)
}
