// Package inventoryfile follows an inventory file for the commands that put
// each valid version of it into force.
//
// Reading and applying go on side by side. While an application fails and is
// tried again the file is still watched, and what is tried next is its newest
// valid version: an edit is neither lost to an outage nor held up by an older one.
package inventoryfile

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/user"
	"strings"
	"sync"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/planner"
)

// Again is how long after a failure the newest version is applied again.
const Again = 2 * time.Second

// Follower says what to do with a file. All functions are required.
type Follower struct {
	Path string
	// Unreadable hears why the file cannot be read, once for each new reason.
	Unreadable func(error)
	// Checked hears of each version that was read. A version with errors comes
	// without warnings: they would be about a file that is going to change.
	Checked func(inventory.Report)
	// Apply puts a valid version into force, as long as current returns nil: an
	// error of current means that the file is no longer what is being applied,
	// and is to be returned.
	Apply func(ctx context.Context, text []byte, inv *fleet.Inventory, current func() error) error
	// Failed hears of each application that failed and is tried after Again.
	Failed func(error)
}

// Run follows the file until ctx ends, when it returns nil, or until the file
// cannot be watched.
func (f Follower) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	newest := make(chan version, 1)
	var applying sync.WaitGroup
	defer applying.Wait()
	defer cancel()
	applying.Go(func() { f.apply(ctx, newest) })
	return planner.WatchFile(ctx, f.Path, func(text []byte, err error) {
		if v, ok := f.check(text, err); ok {
			replace(newest, v)
		}
	})
}

type version struct {
	text []byte
	inv  *fleet.Inventory
}

func (f Follower) check(text []byte, err error) (version, bool) {
	if err != nil {
		f.Unreadable(err)
		return version{}, false
	}
	inv, rep := inventory.Parse(text)
	if !rep.Valid() {
		rep.Warnings = nil
	}
	f.Checked(rep)
	return version{text, inv}, rep.Valid()
}

// replace puts v in the place of what was not taken yet. Only one goroutine sends.
func replace(newest chan version, v version) {
	select {
	case <-newest:
	default:
	}
	newest <- v
}

func (f Follower) apply(ctx context.Context, newest <-chan version) {
	for {
		select {
		case <-ctx.Done():
			return
		case v := <-newest:
			f.insist(ctx, v, newest)
		}
	}
}

// insist applies v, or the version that comes meanwhile, until it succeeds: a
// file that was edited while the server was away must not wait for the next edit.
func (f Follower) insist(ctx context.Context, v version, newest <-chan version) {
	for {
		err := f.Apply(ctx, v.text, v.inv, func() error { return f.current(v.text) })
		if err == nil || ctx.Err() != nil {
			return
		}
		// An edit that is on its way is no failure. It is not the end either: an
		// edit that was taken back at once is never reported as a change.
		if !errors.Is(err, errEdited) {
			f.Failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case v = <-newest:
		case <-time.After(Again):
		}
	}
}

// errEdited: the file is no longer what is being applied.
var errEdited = errors.New("the file was edited meanwhile")

// current says whether text is still what the file holds. For a file that is
// gone it is: the last good one stays in force.
func (f Follower) current(text []byte) error {
	if now, err := os.ReadFile(f.Path); err == nil && !bytes.Equal(now, text) {
		return errEdited
	}
	return nil
}

// Actor names who applies inventories from this process: user and machine.
func Actor() string {
	name := "unknown"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	host, _ := os.Hostname()
	host, _, _ = strings.Cut(host, ".")
	if host == "" {
		return name
	}
	return name + "@" + host
}
