package standalone

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/fleetfold/fleetfold/internal/busdir"
	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/natsd"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// doors says who may connect to the server of a secure fleet.
type doors struct {
	dir, prefix string
	mode        busconf.Mode // empty: that of dir, or by the number of nodes
	mu          sync.Mutex
	inv         *fleet.Inventory
	server      *natsd.Server // nil before it has started
}

// open lets in the nodes of the inventory, or without one of that of the last
// call, and those that are observed: a node that is being removed has to hear of it.
func (d *doors) open(inv *fleet.Inventory, observed []fleet.NodeID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if inv != nil {
		d.inv = inv
	}
	done, err := busdir.Write(busdir.Options{Dir: d.dir, Mode: d.mode, Config: d.config(observed)})
	if err != nil {
		return fmt.Errorf("write configuration of the server: %w", err)
	}
	if d.server == nil || !done.Changed {
		return nil
	}
	return d.server.Reload()
}

func (d *doors) config(observed []fleet.NodeID) busconf.Config {
	config := busconf.Config{Prefix: d.prefix}
	known := make(map[fleet.NodeID]bool)
	admit := func(id fleet.NodeID) {
		if !known[id] {
			known[id] = true
			config.Nodes = append(config.Nodes, id)
		}
	}
	if d.inv == nil {
		return config
	}
	config.TrustDomain = d.inv.TrustDomain
	for n := range d.inv.Nodes() {
		admit(n.ID)
	}
	for _, id := range observed {
		admit(id)
	}
	return config
}

// startServer starts the embedded server; a secure one begins with the nodes of
// the inventory that is going to be applied.
func (f *Fleet) startServer(context.Context) (err error) {
	o := natsd.Options{Dir: filepath.Join(f.options.Dir, "jetstream"), Port: port(f.options.Port), MonitorPort: f.options.MonitorPort, Logger: f.options.Logger, Refused: f.refusedOn.Add}
	if f.options.Secure {
		f.doors = &doors{dir: filepath.Join(f.options.Dir, "bus"), prefix: f.options.Prefix, mode: f.options.Mode}
		if err := f.doors.open(f.options.Inventory, nil); err != nil {
			return err
		}
		o.Config = busdir.ConfigFile(f.doors.dir)
	}
	if f.server, err = natsd.Start(o); err != nil {
		return fmt.Errorf("start embedded server: %w", err)
	}
	if !f.server.SyncAlways() {
		o.Logger.Warn().Msg("embedded server does not sync what it acknowledges: a power cut can take it back")
	}
	if f.doors != nil {
		f.doors.server = f.server
	}
	return nil
}

// connect opens the connections of the planner and of the executor. Where the
// server asks nobody, one is enough for both.
func (f *Fleet) connect(ctx context.Context) (err error) {
	if f.bus, err = f.connectAs(ctx, busconf.Planner); err != nil {
		return fmt.Errorf("connect to embedded server: %w", err)
	}
	if f.hands = f.bus; f.doors == nil {
		return nil
	}
	if f.hands, err = f.connectAs(ctx, busconf.Executor); err != nil {
		return fmt.Errorf("connect to embedded server: %w", err)
	}
	return nil
}

func (f *Fleet) connectAs(ctx context.Context, r busconf.Role) (*eventlog.Bus, error) {
	o := eventlog.Options{Prefix: f.options.Prefix, Name: "fleetfold up", Replicas: 1, Logger: cli.BusLogger(f.options.Logger)}
	if f.doors == nil {
		o.InProcess = f.server
	} else {
		identity := busdir.Service(f.doors.dir, r)
		o.URL, o.TLS, o.Creds = f.server.URL(), cli.InFolder(identity), cli.Creds(identity)
		o.CustomInboxPrefix = r.Inbox(f.options.Prefix)
	}
	return eventlog.Connect(ctx, o)
}

// Identity is the folder by which an operator reaches a secure fleet; empty
// for one that asks nobody.
func (f *Fleet) Identity() string {
	if f.doors == nil {
		return ""
	}
	return busdir.Service(f.doors.dir, busconf.Operator)
}

// admit opens the doors to the nodes of an inventory before it is applied.
func (f *Fleet) admit(text []byte) error {
	if f.doors == nil {
		return nil
	}
	inv, rep := inventory.Parse(text)
	if !rep.Valid() {
		return rep.Err()
	}
	return f.doors.open(inv, f.observed())
}

// admitApplied opens the doors to the nodes of each inventory that somebody else
// puts into force, as 'fleetfold apply' does, until ctx ends. An agent that is
// started meanwhile is let in a moment later, and tries until then.
func (f *Fleet) admitApplied(ctx context.Context) error {
	if f.doors == nil {
		return nil
	}
	for known := ""; ; {
		changed := f.view.Changed()
		digest := ""
		f.view.Read(func(st *projection.State) { digest = st.Inventory().Digest })
		if digest != "" && digest != known {
			inv, err := f.inventories.Get(ctx, digest)
			if err == nil {
				err = f.doors.open(inv, f.observed())
			}
			if err != nil && ctx.Err() == nil {
				f.options.Logger.Error().Err(err).Str(field.Digest, digest).Msg("cannot let the nodes of an inventory in")
			}
			known = digest
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// admitObserved lets those in whom only the log knows, before their agents are
// started again.
func (f *Fleet) admitObserved(ctx context.Context) error {
	if f.doors == nil {
		return nil
	}
	if err := f.view.CatchUp(ctx); err != nil {
		return fmt.Errorf("fold before nodes are let in: %w", err)
	}
	return f.doors.open(nil, f.observed())
}

func (f *Fleet) observed() (ids []fleet.NodeID) {
	f.view.Read(func(s *projection.State) {
		for _, n := range s.Observed().Nodes {
			ids = append(ids, n.ID)
		}
	})
	return ids
}
