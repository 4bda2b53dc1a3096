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
	// Once, where it is given, lets an edit count only once: see there.
	Once *Once
}

// Once tells an edit of the file from a text that somebody has put into force
// already, and that another one has followed since: from the next planner with
// the same file, or by 'fleetfold apply'. The latter is not brought back. All
// functions are required.
type Once struct {
	// Generation in force now, as far as it is known here; 0: none.
	Generation func() uint64
	// AppliedSince says whether a text was put into force as a generation above
	// since.
	AppliedSince func(ctx context.Context, text []byte, since uint64) (bool, error)
	// Passed hears of each version that is left alone for that.
	Passed func()
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
	// since is the generation that was in force when the file was last seen to
	// hold what it held before; the goroutine of the watch alone uses it.
	since := uint64(0)
	return planner.WatchLooks(ctx, f.Path, func(text []byte, err error) {
		if v, ok := f.check(text, err); ok {
			v.since = since
			replace(newest, v)
		}
		since = f.generation()
	}, func() { since = f.generation() })
}

func (f Follower) generation() uint64 {
	if f.Once == nil {
		return 0
	}
	return f.Once.Generation()
}

type version struct {
	text  []byte
	inv   *fleet.Inventory
	since uint64
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
	return version{text: text, inv: inv}, rep.Valid()
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
		err := f.Apply(ctx, v.text, v.inv, func() error { return f.current(ctx, v) })
		if errors.Is(err, errPassed) {
			f.Once.Passed()
			return
		}
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

var (
	// errEdited: the file is no longer what is being applied.
	errEdited = errors.New("the file was edited meanwhile")
	// errPassed: it was in force already, and another one came after it.
	errPassed = errors.New("the edit was carried out, and another inventory was applied since")
)

// current says whether a version is still what the file holds, and was not put
// into force by somebody else. For a file that is gone it is what the file
// holds: the last good one stays in force.
func (f Follower) current(ctx context.Context, v version) error {
	if now, err := planner.ReadFile(f.Path); err == nil && !bytes.Equal(now, v.text) {
		return errEdited
	}
	if f.Once == nil {
		return nil
	}
	applied, err := f.Once.AppliedSince(ctx, v.text, v.since)
	if err == nil && applied {
		err = errPassed
	}
	return err
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
