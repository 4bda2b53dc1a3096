package busdir

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// holder of an identity.
type holder struct {
	folder, uri string
	role        busconf.Role
	node        fleet.NodeID // "" for a service
}

func (w *writer) everybody() ([]holder, error) {
	var all []holder
	for _, r := range busconf.Services {
		all = append(all, holder{Service(w.Dir, r), r.URI(), r, ""})
	}
	for _, id := range w.Config.Nodes {
		uri, err := identity.SPIFFEID(w.Config.TrustDomain, id)
		if err != nil {
			return nil, err
		}
		all = append(all, holder{Node(w.Dir, id), uri, busconf.Node, id})
	}
	return all, nil
}

// writers at once: what takes time is the disk, which waits for each file.
const writers = 16

func (w *writer) identities(all []holder) error {
	group, failed := errgroup.WithContext(context.Background())
	group.SetLimit(writers)
	did := make([]change, len(all))
	var done atomic.Int64
	for i, h := range all {
		if failed.Err() != nil {
			break
		}
		group.Go(func() (err error) {
			if did[i], err = w.identity(h); err != nil {
				return fmt.Errorf("make identity %s: %w", h.uri, err)
			}
			if n := int(done.Add(1)); w.Progress != nil {
				w.Progress(n, len(all))
			}
			return nil
		})
	}
	err := group.Wait()
	for i, h := range all {
		w.note(h.folder, did[i])
	}
	return err
}

func (w *writer) identity(h holder) (change, error) {
	done, err := w.ca.issue(filepath.Join(h.folder, CertFile), filepath.Join(h.folder, KeyFile), client(h.uri))
	if err != nil {
		return done, err
	}
	if w.tokens != nil {
		also, err := w.tokens.issue(h)
		if err != nil {
			return done, err
		}
		if done == kept {
			done = also
		}
	}
	_, err = replace(filepath.Join(h.folder, CAFile), w.ca.pem)
	return done, err
}
