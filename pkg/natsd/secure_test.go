package natsd_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/busdir"
	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// secureBus is a real server started from the configuration that operators get.
type secureBus struct {
	t      *testing.T
	dir    string
	mode   busconf.Mode
	config busconf.Config
	server *natsd.Server
	// elsewhere is the URL of a server that is not in natsd; empty for server's.
	elsewhere string
	// planner has made the streams.
	planner *eventlog.Bus
	js      jetstream.JetStream
}

// inEachMode runs the same attack on both kinds of server.
func inEachMode(t *testing.T, attack func(*testing.T, busconf.Mode)) {
	for _, mode := range []busconf.Mode{busconf.Certificates, busconf.Tokens} {
		t.Run(string(mode), func(t *testing.T) { attack(t, mode) })
	}
}

// newSecureBus is for what is said of certificates.
func newSecureBus(t *testing.T, nodes ...fleet.NodeID) *secureBus {
	t.Helper()
	return secureBusIn(t, busconf.Certificates, nodes...)
}

func secureBusIn(t *testing.T, mode busconf.Mode, nodes ...fleet.NodeID) *secureBus {
	t.Helper()
	b := &secureBus{t: t, dir: t.TempDir(), mode: mode, config: busconf.Config{TrustDomain: "fleet.example", Nodes: nodes}}
	b.write()
	b.server = start(t, natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort, Config: busdir.ConfigFile(b.dir), Logger: zerolog.Nop()})
	b.planner = b.bus(busconf.Planner)
	if err := b.planner.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(b.as(busconf.Planner).Conn)
	if err != nil {
		t.Fatal(err)
	}
	b.js = js
	return b
}

func (b *secureBus) url() string {
	if b.elsewhere != "" {
		return b.elsewhere
	}
	return b.server.URL()
}

func (b *secureBus) write() busdir.Report {
	b.t.Helper()
	done, err := busdir.Write(busdir.Options{Dir: b.dir, Mode: b.mode, Config: b.config})
	if err != nil {
		b.t.Fatal(err)
	}
	return done
}

// bus connects as our own programs do.
func (b *secureBus) bus(r busconf.Role) *eventlog.Bus {
	b.t.Helper()
	n := cli.NATSFlags{URL: b.server.URL(), Prefix: "fleet", Identity: busdir.Service(b.dir, r)}
	o, err := n.Options(string(r))
	if err != nil {
		b.t.Fatal(err)
	}
	bus, err := eventlog.Connect(b.t.Context(), o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(bus.Close)
	return bus
}

// client is a connection that does whatever an attacker likes.
type client struct {
	*nats.Conn
	t      *testing.T
	denied chan string
}

func (b *secureBus) as(r busconf.Role) *client {
	return b.dial(busdir.Service(b.dir, r), r.Inbox("fleet"))
}

func (b *secureBus) node(id fleet.NodeID) *client {
	return b.dial(busdir.Node(b.dir, id), busconf.NodeInbox("fleet", id))
}

func (b *secureBus) dial(folder, inbox string) *client {
	b.t.Helper()
	c, err := b.tryDial(folder, nats.CustomInboxPrefix(inbox))
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

func (b *secureBus) tryDial(folder string, more ...nats.Option) (*client, error) {
	files := cli.InFolder(folder)
	if creds := cli.Creds(folder); creds != "" {
		more = append([]nats.Option{nats.UserCredentials(creds)}, more...)
	}
	c := &client{t: b.t, denied: make(chan string, 1024)}
	options := append([]nats.Option{
		nats.RootCAs(files.CA), nats.ClientCert(files.Cert, files.Key), nats.NoReconnect(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.denied <- err.Error() }),
	}, more...)
	var err error
	if c.Conn, err = nats.Connect(b.url(), options...); err != nil {
		return nil, err
	}
	b.t.Cleanup(c.Close)
	return c, nil
}

// mustDeny waits for the server's word that it refused exactly this.
func (c *client) mustDeny(what, subject string) {
	c.t.Helper()
	if err := c.Flush(); err != nil {
		c.t.Fatalf("%s %s: %v", what, subject, err)
	}
	deadline := time.After(30 * time.Second)
	for {
		select {
		case said := <-c.denied:
			if strings.Contains(strings.ToLower(said), what) && strings.Contains(said, `"`+subject+`"`) {
				return
			}
		case <-deadline:
			c.t.Fatalf("nobody refused to %s %s", what, subject)
		}
	}
}

func (c *client) mustNotPublish(subjects ...string) {
	c.t.Helper()
	for _, s := range subjects {
		if err := c.Publish(s, []byte("{}")); err != nil {
			c.t.Fatalf("publish to %s: %v", s, err)
		}
		c.mustDeny("publish", s)
	}
}

func (c *client) mustNotSubscribe(subjects ...string) {
	c.t.Helper()
	for _, s := range subjects {
		if _, err := c.Subscribe(s, func(*nats.Msg) {}); err != nil {
			c.t.Fatalf("subscribe to %s: %v", s, err)
		}
		c.mustDeny("subscription", s)
	}
}

// send publishes with headers and with an answer to any subject, and waits
// until the server has taken it.
func (c *client) send(subject, answerTo string, headers ...string) {
	c.t.Helper()
	m := nats.NewMsg(subject)
	m.Reply, m.Data = answerTo, []byte("{}")
	for i := 0; i < len(headers); i += 2 {
		m.Header.Set(headers[i], headers[i+1])
	}
	if err := c.PublishMsg(m); err != nil {
		c.t.Fatal(err)
	}
	if err := c.Flush(); err != nil {
		c.t.Fatal(err)
	}
}

// count is how many messages a stream has on subject. The planner may ask.
func (b *secureBus) count(stream, subject string) uint64 {
	b.t.Helper()
	s, err := b.js.Stream(b.t.Context(), stream)
	if err != nil {
		b.t.Fatal(err)
	}
	info, err := s.Info(b.t.Context(), jetstream.WithSubjectFilter(subject))
	if err != nil {
		b.t.Fatal(err)
	}
	var n uint64
	for _, count := range info.State.Subjects {
		n += count
	}
	return n
}

// await waits until a stream has n messages on subject.
func (b *secureBus) await(stream, subject string, n uint64) {
	b.t.Helper()
	var last uint64
	for ctx := patience(b.t); ; {
		if last = b.count(stream, subject); last == n {
			return
		}
		if ctx.Err() != nil {
			b.t.Fatalf("%s has not %d messages on %s but %d", stream, n, subject, last)
		}
	}
}

func heartbeat(id fleet.NodeID) *events.Event {
	return &events.Event{
		ID: events.NewID("test", string(id)), Source: events.NodeSource(id), Type: events.TypeNodeHeartbeat, Node: id,
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Data: &events.Heartbeat{Session: "s", LeaseSeconds: 60, KeyFingerprint: "sha256:" + strings.Repeat("0", 64)},
	}
}

// agent connects as the agent of a node does.
func (b *secureBus) agent(id fleet.NodeID) *eventlog.Bus {
	b.t.Helper()
	bus, err := eventlog.Connect(b.t.Context(), eventlog.Options{
		URL: b.server.URL(), TLS: cli.InFolder(busdir.Node(b.dir, id)), Creds: cli.Creds(busdir.Node(b.dir, id)), CustomInboxPrefix: busconf.NodeInbox("fleet", id),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(bus.Close)
	return bus
}

func patience(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// What is refused here proves something only because this is not.
func TestAFleetWorksOnTheSecureBus(t *testing.T) { inEachMode(t, aFleetWorksOnTheSecureBus) }

func aFleetWorksOnTheSecureBus(t *testing.T, mode busconf.Mode) {
	ids := []fleet.NodeID{"a", "rack/n.1", "host:8080@x.y", "x.y.z", "A", "under_score", fleet.NodeID(strings.Repeat("a/", 63) + "z")}
	b := secureBusIn(t, mode, ids...)
	executor := b.bus(busconf.Executor)
	for _, id := range ids {
		agent := b.agent(id)
		if err := agent.Beat(patience(t), id, heartbeat(id), time.Minute); err != nil {
			t.Fatal(err)
		}
		stop, err := agent.ServeCommands(patience(t), id, func(_ context.Context, command *events.Event) *events.Event {
			return &events.Event{
				ID: events.NewID("answer", command.ID), Source: events.NodeSource(id), Type: events.TypeCommandAnswered, Node: id,
				Time: command.Time, Data: &events.CommandAnswered{},
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
		if _, err := executor.Command(patience(t), stopRequest(id)); err != nil {
			t.Errorf("command to %s: %v", id, err)
		}
	}
	seen, err := b.planner.Sightings(patience(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(seen.Close)
	found := map[fleet.NodeID]bool{}
	for len(found) < len(ids) {
		got, _, err := seen.Next(patience(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range got {
			if s.Err != nil {
				t.Fatal(s.Err)
			}
			found[s.Node] = true
		}
	}
}

func stopRequest(id fleet.NodeID) *events.Event {
	return &events.Event{
		ID: events.NewID("stop", string(id)), Source: events.SourceExecutor, Type: events.TypeNodeStopRequested, Node: id,
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Data: &events.NodeStopRequested{Reason: "decommissioned"},
	}
}

// The planner's watchdog asks what in quiet times nobody asks.
func TestThePlannerMayKeepWatch(t *testing.T) { inEachMode(t, thePlannerMayKeepWatch) }

func thePlannerMayKeepWatch(t *testing.T, mode busconf.Mode) {
	b := secureBusIn(t, mode, "a")
	if err := b.agent("a").Beat(patience(t), "a", heartbeat("a"), time.Minute); err != nil {
		t.Fatal(err)
	}
	b.await("FLEET_PRESENCE", "fleet.presence.a", 1)
	c := b.as(busconf.Planner)
	js, err := jetstream.New(c.Conn)
	if err != nil {
		t.Fatal(err)
	}
	for stream, filter := range map[string]string{"FLEET_INGEST": "fleet.credential.*", "FLEET_PRESENCE": "fleet.presence.*"} {
		consumer, err := js.CreateConsumer(patience(t), stream, jetstream.ConsumerConfig{FilterSubject: filter})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.Consumer(patience(t), stream, consumer.CachedInfo().Name); err != nil {
			t.Errorf("look at the consumer of %s: %v", stream, err)
		}
		s, err := js.Stream(patience(t), stream)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.GetLastMsgForSubject(patience(t), "fleet.presence.*"); err != nil {
			t.Errorf("look at the end of %s: %v", stream, err)
		}
		if err := js.DeleteConsumer(patience(t), stream, consumer.CachedInfo().Name); err != nil {
			t.Errorf("give the consumer of %s up: %v", stream, err)
		}
	}
	if _, err := b.planner.Log().LastOn(patience(t), "fleet.events.plan"); err != nil {
		t.Error(err)
	}
	if len(c.denied) > 0 {
		t.Errorf("refused: %s", <-c.denied)
	}
}
