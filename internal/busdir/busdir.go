package busdir

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
)

// ConfigFile is the server's configuration in a bus's folder.
func ConfigFile(dir string) string { return filepath.Join(dir, "server", "nats-server.conf") }

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
	// Config of the server. An empty Dir in it means the folder it is written
	// to, by its absolute path.
	Config busconf.Config
	// Hosts are names and addresses by which others reach the server, besides
	// localhost. Those of an earlier call are forgotten.
	Hosts []string
	// Prune deletes the identities of nodes that the configuration does not name.
	Prune bool
	// Now; zero means time.Now.
	Now time.Time
}

// Report says what Write did, by the paths of folders below Dir.
type Report struct {
	Created, Renewed []string
	// Left are the identities of nodes that may no longer connect; Pruned those
	// of them that were deleted.
	Left, Pruned []string
	// Changed says that the server has to read its folder again.
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
	if err := os.MkdirAll(filepath.Join(o.Dir, "server", "tls"), 0o700); err != nil {
		return Report{}, fmt.Errorf("make folder of the bus: %w", err)
	}
	lock := flock.New(filepath.Join(o.Dir, ".lock"))
	if err := lock.Lock(); err != nil {
		return Report{}, fmt.Errorf("lock folder of the bus: %w", err)
	}
	defer func() { _ = lock.Unlock() }() // it ends with the process anyway
	ca, err := openAuthority(filepath.Join(o.Dir, "ca"), o.Now)
	if err != nil {
		return Report{}, err
	}
	w := writer{Options: o, ca: ca}
	if err := w.all(); err != nil {
		return w.report, err
	}
	return w.report, nil
}

type writer struct {
	Options
	ca     *authority
	report Report
}

func (w *writer) all() error {
	for _, r := range w.Config.Services() {
		if err := w.identity(Service(w.Dir, r), r.URI()); err != nil {
			return err
		}
	}
	for _, id := range w.Config.Nodes {
		uri, err := identity.SPIFFEID(w.Config.TrustDomain, id)
		if err != nil {
			return err
		}
		if err := w.identity(Node(w.Dir, id), uri); err != nil {
			return err
		}
	}
	if err := w.server(); err != nil {
		return err
	}
	if err := w.forgetImporter(); err != nil {
		return err
	}
	return w.leftovers()
}

// forgetImporter deletes the identity that may write every record, once the
// configuration, which is written by then, lets it in no more.
func (w *writer) forgetImporter() error {
	folder := Service(w.Dir, busconf.Importer)
	if _, err := os.Lstat(folder); w.Config.Importer || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("delete identity of the importer: %w", err)
	}
	below, err := filepath.Rel(w.Dir, folder)
	if err != nil {
		below = folder
	}
	w.report.Pruned = append(w.report.Pruned, below)
	return nil
}

func (w *writer) identity(folder, uri string) error {
	done, err := w.ca.issue(filepath.Join(folder, CertFile), filepath.Join(folder, KeyFile), client(uri))
	if err != nil {
		return fmt.Errorf("make identity %s: %w", uri, err)
	}
	w.note(folder, done)
	_, err = replace(filepath.Join(folder, CAFile), w.ca.pem)
	return err
}

func (w *writer) note(folder string, done change) {
	below, err := filepath.Rel(w.Dir, folder)
	if err != nil {
		below = folder
	}
	switch done {
	case created:
		w.report.Created = append(w.report.Created, below)
	case renewed:
		w.report.Renewed = append(w.report.Renewed, below)
	}
}

// server writes the configuration last: it names only files that are there.
func (w *writer) server() error {
	folder := filepath.Join(w.Dir, "server")
	in := func(file string) string { return filepath.Join(folder, filepath.FromSlash(file)) }
	done, err := w.ca.issue(in(busconf.CertFile), in(busconf.KeyFile), server(hosts(w.Hosts)))
	if err != nil {
		return fmt.Errorf("make identity of the server: %w", err)
	}
	w.note(folder, done)
	if w.Config.Dir == "" {
		absolute, err := filepath.Abs(folder)
		if err != nil {
			return fmt.Errorf("find folder of the server: %w", err)
		}
		w.Config.Dir = filepath.ToSlash(absolute)
	}
	text, err := w.Config.Text()
	if err != nil {
		return err
	}
	ca, err := replace(in(busconf.CAFile), w.ca.pem)
	if err != nil {
		return err
	}
	conf, err := replace(ConfigFile(w.Dir), []byte(text))
	w.report.Changed = done != kept || ca || conf
	return err
}

func hosts(more []string) []string {
	all := slices.Clone(loopback)
	for _, h := range more {
		if !slices.Contains(all, h) {
			all = append(all, h)
		}
	}
	return all
}

// leftovers finds the nodes that the configuration does not name any more.
func (w *writer) leftovers() error {
	wanted := make(map[string]bool, len(w.Config.Nodes))
	for _, id := range w.Config.Nodes {
		wanted[events.FileName(id)] = true
	}
	folder := filepath.Join(w.Dir, "identities", "nodes")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make folder of nodes: %w", err)
	}
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
