package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// One story, since a cluster takes seconds to come up: no stream is made before
// there are servers enough; then each has three replicas, and whoever reads goes
// on when the server that fed it is lost and stays away.
func TestAClusterIsWaitedForAndOutlivesEachOfItsServers(t *testing.T) {
	c := newCluster(t)
	c.start("s1")
	waiting := make(chan error, 16)
	b := c.connect(Options{Logger: func(event string, err error) {
		if event == "waiting for the cluster" {
			waiting <- err
		}
	}})
	ensured := make(chan error, 1)
	go func() { ensured <- b.EnsureStreams(t.Context()) }()
	if err := <-waiting; err == nil {
		t.Error("a wait for the cluster was told without its reason")
	}
	c.start("s2", "s3")
	if err := <-ensured; err != nil {
		t.Fatal(err)
	}
	threeReplicas(t, b)

	seen, err := b.Sightings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer seen.Close()
	for caughtUp := false; !caughtUp; {
		if _, caughtUp, err = seen.Next(patience(t)); err != nil {
			t.Fatal(err)
		}
	}
	cursor, err := b.Log().Follow(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer cursor.Close()
	actions := takeActions(t, b, 1, ackWait)
	defer actions.Close()
	beating, stop := context.WithCancel(t.Context())
	var agent sync.WaitGroup
	agent.Go(func() { keepBeating(beating, b) })
	defer agent.Wait()
	defer stop()
	lost := c.feeds(b, seen.(*sightings).tail.consumer)
	outlive(t, c, b, lost, seen, cursor, actions)
	beginWithoutLeader(t, c, b, lost, waiting)
}

func threeReplicas(t *testing.T, b *Bus) {
	t.Helper()
	for _, name := range []string{"FLEET", "FLEET_INGEST", "FLEET_PRESENCE", "OBJ_FLEET_INVENTORIES"} {
		s, err := b.js.Stream(patience(t), name)
		if err != nil || s.CachedInfo().Config.Replicas != 3 {
			t.Errorf("stream %s of a cluster: %v, %+v", name, err, s)
		}
	}
}

// feeds is the server that runs a consumer of the leases.
func (c *cluster) feeds(b *Bus, consumer string) (server string) {
	c.t.Helper()
	until(c.t, "find the server of a consumer", func(ctx context.Context) error {
		info, err := b.js.Consumer(ctx, b.presenceStream(), consumer)
		if err != nil {
			return err
		}
		if server = info.CachedInfo().Cluster.Leader; server == "" {
			return errors.New("no leader")
		}
		return nil
	})
	return server
}

// outlive kills a server for good and wants each reader to read on.
func outlive(t *testing.T, c *cluster, b *Bus, server string, seen Sightings, cursor Cursor, actions Actions) {
	t.Helper()
	c.kill(server)
	if _, err := b.Log().Last(patience(t)); err != nil {
		t.Errorf("ask for the end of the log without %s: %v", server, err)
	}
	until(t, "append without "+server, func(ctx context.Context) error {
		_, err := b.Log().Append(ctx, appeared(1))
		return err
	})
	if leader, err := b.Leader(patience(t)); err != nil || leader == server || !slices.Contains(c.names, leader) {
		t.Errorf("without %s %q leads, %v", server, leader, err)
	}
	until(t, "publish an action without "+server, func(ctx context.Context) error {
		return publishAction(ctx, b, "n1")
	})
	patient := patience(t)
	var reading sync.WaitGroup
	reading.Go(func() {
		if _, err := cursor.Next(patient); err != nil {
			t.Errorf("follow the log without %s: %v", server, err)
		}
	})
	reading.Go(func() {
		if _, err := actions.Next(patient); err != nil {
			t.Errorf("take an action without %s: %v", server, err)
		}
	})
	reading.Go(func() {
		if err := seeAgain(patient, seen); err != nil {
			t.Errorf("watch leases without %s: %v", server, err)
		}
	})
	reading.Wait()
}

// beginWithoutLeader starts each reader while one server of three is there. It
// waits for the others instead of giving up.
func beginWithoutLeader(t *testing.T, c *cluster, b *Bus, lost string, waiting <-chan error) {
	t.Helper()
	next := c.names[(slices.Index(c.names, lost)+1)%len(c.names)]
	c.kill(next)
	for len(waiting) > 0 {
		<-waiting
	}
	var begun sync.WaitGroup
	begin := func(what string, try func() error) {
		begun.Go(func() {
			if err := try(); err != nil {
				t.Errorf("%s while there is no leader: %v", what, err)
			}
		})
	}
	begin("follow the log", func() error {
		cursor, err := b.Log().Follow(t.Context(), 0)
		if err == nil {
			cursor.Close()
		}
		return err
	})
	begin("watch leases", func() error {
		seen, err := b.Sightings(t.Context())
		if err == nil {
			seen.Close()
		}
		return err
	})
	begin("take actions", func() error {
		actions, err := b.Actions(t.Context(), 1, ackWait)
		if err == nil {
			actions.Close()
		}
		return err
	})
	for range 3 {
		<-waiting
	}
	c.start(lost, next)
	begun.Wait()
}

// shortLease is one that an election outlasts.
const shortLease = 3 * time.Second

// keepBeating is an agent that never goes away.
func keepBeating(ctx context.Context, b *Bus) {
	ticker := time.NewTicker(shortLease / 3)
	defer ticker.Stop()
	for {
		once, cancel := context.WithTimeout(ctx, shortLease/3)
		_ = b.Beat(once, "n1", heartbeat("n1", "a", false), shortLease) // as long as there is no leader it fails
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// seeAgain reads until the leases were lost from sight and a node that beats is
// seen again. While it is in sight, it must not seem to have ended.
func seeAgain(ctx context.Context, seen Sightings) error {
	inSight, blind := false, false
	for {
		got, caughtUp, err := seen.Next(ctx)
		if err != nil {
			return err
		}
		if !caughtUp {
			inSight, blind = false, true
		}
		for _, s := range got {
			switch {
			case s.Heartbeat == nil && inSight:
				return fmt.Errorf("the lease of %s ended in sight, at %s", s.Node, s.Time)
			case s.Heartbeat != nil && caughtUp:
				inSight = true
			}
		}
		if inSight && blind {
			return nil
		}
	}
}

func publishAction(ctx context.Context, b *Bus, node string) error {
	_, err := b.js.PublishMsg(ctx, &nats.Msg{Subject: "fleet.actions.enroll-node." + node, Data: []byte("{}")})
	return err
}

// What cannot work says what to do: without a leader, without enough servers, or
// with more replicas than a server that stands alone has.
func TestWhatKeepsAClusterFromMakingStreams(t *testing.T) {
	c := newCluster(t)
	c.start("s1")
	for name, tt := range map[string]struct {
		bus  *Bus
		want string
	}{
		"one server of three": {c.connect(Options{}), "more than half"},
		"stands alone":        {connectAlone(t, Options{Replicas: 3}), "the server stands alone"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		var e *ClusterError
		if err := tt.bus.EnsureStreams(ctx); !errors.As(err, &e) || !strings.Contains(e.Hint(), tt.want) {
			t.Errorf("%s: %v, want a hint of %q", name, err, tt.want)
		}
	}
}

func connectAlone(t *testing.T, o Options) *Bus {
	t.Helper()
	o.InProcess = testServer(t, t.TempDir(), 0)
	b, err := Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestWhatErrorsOfAClusterAdvise(t *testing.T) {
	for code, want := range map[jetstream.ErrorCode]string{
		errCodeNoPeers: "as many servers", errCodeNoResources: "as many servers", errCodeNotAvailable: "no leader",
		errCodeNoReplicas: "stands alone",
	} {
		var e *ClusterError
		err := advise(fmt.Errorf("create: %w", &jetstream.APIError{ErrorCode: code}))
		if !errors.As(err, &e) || !strings.Contains(e.Hint(), want) {
			t.Errorf("code %d: %v, want a hint of %q", code, err, want)
		}
	}
	if other := errors.New("other"); advise(other) != other {
		t.Error("what nobody can help with got advice")
	}
}
