package authority

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// straysEvery is how often strays are looked at: there may be as many as nodes.
const straysEvery = time.Second

// regions is what was told last of which intermediate signs for whom.
type regions struct {
	digest   string // of the inventory
	sequence uint64
	issuers  string
	// strays sign with what another region's intermediate has given them: they were
	// moved, or are no longer in the inventory.
	strays []stray
	looked time.Time
	// told are the texts that stand on the stream, by their SHA-256; zero: unknown.
	told [identity.RegionShards][sha256.Size]byte
}

type stray struct {
	node  fleet.NodeID
	label string
}

// due says that there may be something else to tell.
func (r *regions) due(s *projection.State, now time.Time) bool {
	if r.digest != s.Inventory().Digest || r.sequence != s.Inventory().Sequence || r.issuers != list(s.Issuers()) {
		return true
	}
	if len(r.strays) == 0 || now.Before(r.looked.Add(straysEvery)) {
		return false
	}
	r.looked = now
	labels := labelsOf(s.Issuers())
	for _, stray := range r.strays {
		if !stray.stays(s, labels, now) {
			return true
		}
	}
	return false
}

// stays says that it may still sign with what it was given there.
func (a stray) stays(s *projection.State, labels map[string]string, now time.Time) bool {
	for _, issuer := range s.SignersOf(a.node, now.Add(-identity.SupersededAfter)) {
		if labels[issuer] == a.label {
			return true
		}
	}
	return false
}

// labelsOf are the labels of the intermediates' regions, by issuer.
func labelsOf(issuers []projection.Issuer) map[string]string {
	labels := make(map[string]string)
	for _, i := range issuers {
		if i.Region != "" {
			labels[i.Fingerprint] = identity.RegionLabel(i.Region)
		}
	}
	return labels
}

// publishRegions tells which region's intermediate may sign for which nodes: for
// those that the inventory has there, and for strays. Where there is no
// intermediate, nothing is told.
func (p *Publisher) publishRegions(ctx context.Context, digest string, inv *fleet.Inventory) error {
	home, delegated := homes(inv)
	next := regions{digest: digest, looked: p.Issuers.Now(), told: p.regions.told}
	fits := true
	p.Issuers.View.Read(func(s *projection.State) {
		fits = s.Inventory().Digest == digest
		issuers := s.Issuers()
		labels := labelsOf(issuers)
		for _, label := range labels {
			delegated[label] = true
		}
		next.sequence, next.issuers = s.Inventory().Sequence, list(issuers)
		next.strays = straysOf(s, labels, home, next.looked)
	})
	if !fits {
		return nil // the next round is for the inventory that came meanwhile
	}
	for node, label := range home {
		if !delegated[label] {
			delete(home, node)
		}
	}
	if slices.Contains(slices.Collect(maps.Values(delegated)), true) {
		if err := p.publishShards(ctx, &next, home); err != nil {
			return err
		}
	}
	p.regions = next
	return nil
}

// homes are the labels of the nodes' regions, and which of them have an
// intermediate or are to have one: that is told before the first is made, for what
// it signs is used at once.
func homes(inv *fleet.Inventory) (home map[fleet.NodeID]string, delegated map[string]bool) {
	home, delegated = make(map[fleet.NodeID]string, inv.Len()), make(map[string]bool)
	for _, region := range inv.Regions {
		label := identity.RegionLabel(region.Name)
		delegated[label] = delegated[label] || region.IntermediateCA != "" // two may share a name
		for _, node := range region.Nodes {
			home[node.ID] = label
		}
	}
	return home, delegated
}

func straysOf(s *projection.State, labels map[string]string, home map[fleet.NodeID]string, now time.Time) (strays []stray) {
	for node, issuer := range s.Signers(now.Add(-identity.SupersededAfter)) {
		if label, ok := labels[issuer]; ok && home[node] != label {
			strays = append(strays, stray{node, label})
		}
	}
	return strays
}

// publishShards publishes the parts that are others than were told last.
func (p *Publisher) publishShards(ctx context.Context, r *regions, home map[fleet.NodeID]string) error {
	var shards [identity.RegionShards][]identity.RegionDigest
	var strays [identity.RegionShards]uint64
	put := func(label string, node fleet.NodeID) int {
		d := identity.DigestRegion(label, node)
		shards[d.Shard()] = append(shards[d.Shard()], d)
		return d.Shard()
	}
	for node, label := range home {
		put(label, node)
	}
	for _, stray := range r.strays {
		strays[put(stray.label, stray.node)]++
	}
	work := make(chan int, len(shards))
	for n := range shards {
		work <- n
	}
	close(work)
	var all sync.WaitGroup
	errs := make([]error, shardsAtOnce)
	for worker := range errs {
		all.Go(func() {
			for n := range work {
				text := eventlog.TrustText{Kind: eventlog.TrustRegions, KeyID: fmt.Sprintf("%02x", n), Version: regionsVersion(r.sequence, strays[n]), Text: identity.EncodeRegions(shards[n])}
				if errs[worker] = p.publishShard(ctx, text, &r.told[n]); errs[worker] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// shardsAtOnce is how many parts are published side by side: a receiver waits for
// the last one.
const shardsAtOnce = 16

func (p *Publisher) publishShard(ctx context.Context, text eventlog.TrustText, told *[sha256.Size]byte) error {
	sum := sha256.Sum256(text.Text)
	if sum == *told {
		return nil
	}
	if _, err := p.Bus.PublishTrust(ctx, text); err != nil {
		return err
	}
	*told = sum
	return nil
}

// regionsVersion grows with the inventory and, below it, as strays settle: under one
// inventory they only get fewer, so two executors that see as many see the same.
func regionsVersion(inventory, strays uint64) uint64 {
	const bits = 20
	return inventory<<bits | (1<<bits - 1 - min(strays, 1<<bits-1))
}
