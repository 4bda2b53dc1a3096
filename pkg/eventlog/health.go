package eventlog

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Role is what a stream is to the fleet.
type Role string

// The roles.
const (
	RoleLog         Role = "log"
	RoleIngest      Role = "ingest"
	RolePresence    Role = "presence"
	RoleTrust       Role = "trust"
	RoleInventories Role = "inventories" // an object store, and the stream below it
)

// StreamHealth is what the server says of one stream of the fleet.
type StreamHealth struct {
	Role Role
	// Name of the stream; of an object store, the bucket's.
	Name string
	// Err says why nothing is known: the fields below are then zero. Missing
	// means that there is no such stream, which is no error.
	Err     error
	Missing bool
	// Wrong are the settings under which the fleet's promises do not hold.
	Wrong []Mismatch
	// Cluster is the name of the servers' cluster; empty for a lone server.
	Cluster string
	// Replicas as the stream is set: the leader and its followers together.
	Replicas int
	// Leader is the name of the server that answers for the stream.
	Leader    string
	Followers []Follower
	Created   time.Time
	// First and Last sequence, how many messages there are, and how many were
	// taken out between the two. All are 0 for a stream that was never written.
	First, Last, Messages uint64
	Deleted               int
}

// Follower is a replica that does not lead.
type Follower struct {
	// Name of its server.
	Name string
	// Offline: the leader does not hear it. Current: it has all that the leader has.
	Offline, Current bool
	// Lag is how many operations it is behind, Silent how long the leader has
	// not heard it.
	Lag    uint64
	Silent time.Duration
}

// CheckStreams asks for each stream of the fleet and its bucket, in the order of
// the roles, and compares their settings as EnsureStreams does. It makes and
// changes nothing. What cannot be asked has an Err of its own.
func (b *Bus) CheckStreams(ctx context.Context) []StreamHealth {
	roles := []struct {
		role Role
		want jetstream.StreamConfig
	}{
		{role: RoleLog, want: b.logConfig()},
		{role: RoleIngest, want: b.ingestConfig()},
		{role: RolePresence, want: b.presenceConfig()},
		{role: RoleTrust, want: b.trustConfig()},
		{role: RoleInventories, want: b.inventoriesConfig()},
	}
	all := make([]StreamHealth, len(roles))
	var asking sync.WaitGroup // side by side, so that one without a leader costs the others no time
	for i, r := range roles {
		asking.Go(func() {
			all[i] = b.askStream(ctx, r.role, r.want)
		})
	}
	asking.Wait()
	return all
}

// bucketStream begins the name of the stream below an object store.
const bucketStream = "OBJ_"

func (b *Bus) askStream(ctx context.Context, role Role, want jetstream.StreamConfig) StreamHealth {
	ctx, cancel := question(ctx)
	defer cancel()
	h := StreamHealth{Role: role, Name: strings.TrimPrefix(want.Name, bucketStream)}
	var s jetstream.Stream
	err := b.whileAllowed(ctx, "STREAM.INFO."+want.Name, func(ctx context.Context) (err error) {
		s, err = b.js.Stream(ctx, want.Name)
		return err
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		h.Missing = true
		return h
	}
	if err != nil {
		h.Err = plain(err)
		return h
	}
	info := s.CachedInfo()
	h.Wrong = compare(want, info.Config, b.options.Replicas)
	h.Replicas, h.Created = info.Config.Replicas, info.Created
	h.First, h.Last, h.Messages, h.Deleted = info.State.FirstSeq, info.State.LastSeq, info.State.Msgs, info.State.NumDeleted
	h.seat(info.Cluster)
	return h
}

func (h *StreamHealth) seat(c *jetstream.ClusterInfo) {
	if c == nil {
		return
	}
	h.Cluster, h.Leader = c.Name, c.Leader
	for _, p := range c.Replicas {
		h.Followers = append(h.Followers, Follower{Name: p.Name, Offline: p.Offline, Current: p.Current, Lag: p.Lag, Silent: p.Active})
	}
}
