package busdir

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// Files of an identity's folder.
const (
	CertFile = "identity.crt"
	KeyFile  = "identity.key"
	CAFile   = "ca.crt"
	// CredsFile is there only where the server asks for tokens.
	CredsFile = "identity.creds"
)

// ConfigFile is the server's configuration in a bus's folder.
func ConfigFile(dir string) string { return filepath.Join(dir, "server", "nats-server.conf") }

// ServerConfigFile is the same for one server of a cluster.
func ServerConfigFile(dir, name string) string {
	return filepath.Join(dir, "servers", name, "nats-server.conf")
}

// Service is the folder of a service's identity.
func Service(dir string, r busconf.Role) string { return filepath.Join(dir, "identities", string(r)) }

// Node is the folder of a node's identity.
func Node(dir string, id fleet.NodeID) string {
	return filepath.Join(dir, "identities", "nodes", events.FileName(id))
}

// loopback is always among the names of the server.
var loopback = []string{"localhost", "127.0.0.1", "::1"}

// Options of Write.
type Options struct {
	// Dir is the bus's folder; it is made where it is missing.
	Dir string
	// Mode of the servers. Empty means that of the folder, and for a new one what
	// the number of nodes asks for. The mode of a folder never changes: the log is
	// kept under the name of an account, and that depends on the mode.
	Mode busconf.Mode
	// Config of the server. An empty Dir in it means the folder it is written
	// to, by its absolute path.
	Config busconf.Config
	// Servers of a cluster; none means one server that stands alone.
	Servers []Server
	// Hosts are names and addresses by which others reach the servers, besides
	// localhost. Those of an earlier call are forgotten.
	Hosts []string
	// Prune deletes the identities of nodes that the configuration does not name.
	Prune bool
	// Revoke are folders of identities, below Dir, whose tokens count for nothing
	// from now on; they get new ones. Only in the mode Tokens.
	Revoke []string
	// Progress is told after each identity how many are done, by several
	// goroutines at once. It may be nil.
	Progress func(done, total int)
	// Now; zero means time.Now.
	Now time.Time
}

// Report says what Write did, by the paths of folders below Dir.
type Report struct {
	Mode             busconf.Mode
	Created, Renewed []string
	// Left are the identities of nodes that may no longer connect; Pruned those
	// of them that were deleted.
	Left, Pruned []string
	// Unused are the folders of servers that the options do not name.
	Unused []string
	// Changed says that the servers have to read their folders again.
	Changed bool
}

type change int

const (
	kept change = iota
	created
	renewed
)

// Write brings the folder to what the options say. A second call with the same
// options changes nothing. When it fails, the configuration is still the old one.
func Write(o Options) (Report, error) {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if _, err := o.mode(); err != nil { // before there is a folder
		return Report{}, err
	}
	if err := os.MkdirAll(filepath.Join(o.Dir, "identities", "nodes"), 0o700); err != nil {
		return Report{}, fmt.Errorf("make folder of the bus: %w", err)
	}
	lock := flock.New(filepath.Join(o.Dir, ".lock"))
	if err := lock.Lock(); err != nil {
		return Report{}, fmt.Errorf("lock folder of the bus: %w", err)
	}
	defer func() { _ = lock.Unlock() }() // it ends with the process anyway
	return o.write()
}

// write is Write for the only one who does.
func (o Options) write() (Report, error) {
	mode, err := o.mode()
	if err != nil {
		return Report{}, err
	}
	ca, err := openAuthority(filepath.Join(o.Dir, "ca"), o.Now)
	if err != nil {
		return Report{}, err
	}
	w := writer{Options: o, ca: ca, report: Report{Mode: mode}}
	if mode == busconf.Tokens {
		if w.tokens, err = openTokens(o); err != nil {
			return Report{}, err
		}
		defer w.tokens.abandon()
	}
	err = w.all()
	return w.report, err
}

// mode decides, and refuses another one than that of the folder.
func (o Options) mode() (busconf.Mode, error) {
	var have busconf.Mode
	switch {
	case exists(operatorSeed(o.Dir)):
		have = busconf.Tokens
	case exists(ConfigFile(o.Dir)) || exists(filepath.Join(o.Dir, "servers")):
		have = busconf.Certificates
	}
	mode := o.Mode
	switch {
	case mode == "" && have != "":
		mode = have
	case mode == "" && len(o.Config.Nodes) >= busconf.TokensFrom:
		mode = busconf.Tokens
	case mode == "":
		mode = busconf.Certificates
	}
	switch {
	case have != "" && mode != have:
		return "", fmt.Errorf("folder %s is one of mode %s and stays so: a server keeps the log under the name of an account, which differs; write mode %s to a new folder", o.Dir, have, mode)
	case mode != busconf.Tokens && len(o.Revoke) > 0:
		return "", fmt.Errorf("folder %s is one of mode %s, which has no tokens to revoke: take the node out of the inventory", o.Dir, mode)
	}
	return mode, nil
}

type writer struct {
	Options
	ca     *authority
	tokens *tokens // nil where the server goes by certificates
	report Report
}

func (w *writer) all() error {
	people, err := w.everybody()
	if err != nil {
		return err
	}
	if err := w.identities(people); err != nil {
		return err
	}
	if w.tokens != nil {
		if err := w.tokens.close(people); err != nil {
			return err
		}
	}
	if err := w.servers(); err != nil {
		return err
	}
	return w.leftovers()
}

func (w *writer) note(folder string, done change) {
	below := w.below(folder)
	switch done {
	case created:
		w.report.Created = append(w.report.Created, below)
	case renewed:
		w.report.Renewed = append(w.report.Renewed, below)
	}
}

// below names a folder as people see it.
func (o Options) below(folder string) string {
	below, err := filepath.Rel(o.Dir, folder)
	if err != nil {
		return folder
	}
	return below
}

// leftovers finds the nodes that the configuration does not name any more.
func (w *writer) leftovers() error {
	wanted := make(map[string]bool, len(w.Config.Nodes))
	for _, id := range w.Config.Nodes {
		wanted[events.FileName(id)] = true
	}
	folder := filepath.Join(w.Dir, "identities", "nodes")
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("read folder of nodes: %w", err)
	}
	for _, e := range entries {
		if wanted[e.Name()] {
			continue
		}
		below := filepath.Join("identities", "nodes", e.Name())
		if !w.Prune {
			w.report.Left = append(w.report.Left, below)
			continue
		}
		if err := os.RemoveAll(filepath.Join(w.Dir, below)); err != nil {
			return fmt.Errorf("delete identity: %w", err)
		}
		w.report.Pruned = append(w.report.Pruned, below)
	}
	return nil
}

// replace writes a file unless it says this already.
func replace(path string, text []byte) (changed bool, err error) {
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, text) {
		return false, nil
	}
	return true, identity.WriteFileAtomic(path, text, 0o644)
}
