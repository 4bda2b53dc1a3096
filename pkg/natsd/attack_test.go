package natsd_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func TestANodeSpeaksForItselfOnly(t *testing.T) { inEachMode(t, aNodeSpeaksForItselfOnly) }

func aNodeSpeaksForItselfOnly(t *testing.T, mode busconf.Mode) {
	b := secureBusIn(t, mode, "a", "b", "a/b", "ab")
	a := b.node("a")
	a.mustNotPublish(
		"fleet.presence.b", "fleet.credential.b", "fleet.request.b", "fleet.command.b", "fleet.command.a",
		// Ids are one token each: none is a part of another, or above it.
		"fleet.presence.a.b", "fleet.presence.a%2Fb", "fleet.presence.ab", "fleet.presence", "fleet.presence.A",
		"fleet.events.node.a", "fleet.events.node.b", "fleet.events.plan", "fleet.events.plan.a", "fleet.events.partition", "fleet.events.control", "fleet.events.inventory",
		"fleet.actions.enroll-node.a", "fleet.trust.bundle", "fleet.trust.crl", "fleet.trust.posture", "fleet.service.planner",
		"_INBOX.fleet.b.x", "_INBOX.fleet.~executor.x", "_INBOX.fleet.~planner.x", "_INBOX.x", "_R_.x", "x",
		"$O.FLEET_INVENTORIES.M.x", "$KV.x.y", "$SRV.PING", "$SYS.REQ.SERVER.PING", "$SYS.REQ.USER.INFO",
		"$JS.ACK.FLEET.executor.1.1.1.1.1", "$JS.FC.FLEET.x",
		"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO.FLEET", "$JS.API.STREAM.INFO.FLEET_TRUST",
		"$JS.API.STREAM.CREATE.X", "$JS.API.STREAM.DELETE.FLEET", "$JS.API.STREAM.PURGE.FLEET_INGEST", "$JS.API.STREAM.MSG.GET.FLEET_INGEST",
		"$JS.API.CONSUMER.CREATE.FLEET.x", "$JS.API.CONSUMER.CREATE.FLEET_TRUST.x", "$JS.API.CONSUMER.MSG.NEXT.FLEET.executor",
		"$JS.API.DIRECT.GET.FLEET", "$JS.API.DIRECT.GET.FLEET.fleet.events.plan", "$JS.API.DIRECT.GET.OBJ_FLEET_INVENTORIES",
	)
	a.mustNotSubscribe(
		">", "*", "fleet.>", "fleet.*.a", "fleet.command.*", "fleet.command.b", "fleet.presence.b", "fleet.presence.*", "fleet.presence.a",
		"fleet.events.>", "fleet.actions.>", "fleet.actions.enroll-node.a", "fleet.request.*",
		"_INBOX.>", "_INBOX.fleet.>", "_INBOX.fleet.b.>", "_INBOX.fleet.~executor.>", "_R_.>",
		"$SYS.>", "$SRV.>", "$JS.>", "$JS.API.>", "$JS.EVENT.>", "$O.>",
	)
	a.mustDenyQueue("fleet.command.b")
}

func (c *client) mustDenyQueue(subject string) {
	c.t.Helper()
	if _, err := c.QueueSubscribe(subject, "q", func(*nats.Msg) {}); err != nil {
		c.t.Fatal(err)
	}
	c.mustDeny("subscription", subject)
}

// The server sends its acknowledgement to whatever subject the publisher names.
func TestANodeCannotHaveTheServerWriteForIt(t *testing.T) {
	inEachMode(t, aNodeCannotHaveTheServerWriteForIt)
}

func aNodeCannotHaveTheServerWriteForIt(t *testing.T, mode busconf.Mode) {
	b := secureBusIn(t, mode, "a", "b")
	if err := b.agent("b").Beat(patience(t), "b", heartbeat("b"), time.Minute); err != nil {
		t.Fatal(err)
	}
	appendFact(t, b.planner.Log())
	b.await("FLEET_PRESENCE", "fleet.presence.b", 1)
	b.trust()
	streams := []string{"FLEET", "FLEET_INGEST", "FLEET_PRESENCE", "FLEET_TRUST", "OBJ_FLEET_INVENTORIES"}
	before := make(map[string]uint64)
	for _, s := range streams {
		before[s] = b.count(s, ">")
	}
	// Somebody answers what nodes ask for.
	executor := b.as(busconf.Executor)
	var answered atomic.Int64
	_, err := executor.Subscribe("fleet.request.*", func(m *nats.Msg) {
		if err := m.Respond([]byte("{}")); err == nil {
			answered.Add(1)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := executor.Flush(); err != nil {
		t.Fatal(err)
	}
	a, targets := b.node("a"), []string{
		"fleet.events.node.b", "fleet.events.plan", "fleet.events.x", "fleet.actions.enroll-node.b",
		"fleet.presence.b", "fleet.credential.b", "fleet.request.b", "fleet.command.b", "fleet.trust.bundle",
		"$O.FLEET_INVENTORIES.M.x", "$SYS.REQ.SERVER.PING", "$JS.API.STREAM.DELETE.FLEET", "$JS.API.STREAM.PURGE.FLEET_INGEST",
		"$JS.API.STREAM.DELETE.FLEET_INGEST",
	}
	for _, target := range targets {
		a.send("fleet.presence.a", target)
		a.send("fleet.request.a", target)
		a.send("$JS.API.DIRECT.GET.FLEET_TRUST.fleet.trust.bundle", target)
		a.send("fleet.presence.a", "", "Nats-Trace-Dest", target)
		a.mustDeny("publish", target)
	}
	a.send("fleet.presence.a", "$JS.ACK.FLEET.executor.1.1.1.1.1")
	a.mustDeny("reply", "$JS.ACK.FLEET.executor.1.1.1.1.1")
	// What it sent itself is there, and nothing else has become of it.
	b.await("FLEET_INGEST", "fleet.presence.a", uint64(len(targets)))
	for ctx := patience(t); answered.Load() < int64(len(targets)); {
		if ctx.Err() != nil {
			t.Fatalf("%d requests were answered, want %d", answered.Load(), len(targets))
		}
		b.count("FLEET", ">")
	}
	if err := executor.Flush(); err != nil {
		t.Fatal(err)
	}
	b.await("FLEET_PRESENCE", "fleet.presence.a", 1)
	own := map[string]string{"FLEET_INGEST": "fleet.presence.a", "FLEET_PRESENCE": "fleet.presence.a"}
	for _, s := range streams {
		now := b.count(s, ">")
		if own[s] != "" {
			now -= b.count(s, own[s])
		}
		if now != before[s] {
			t.Errorf("stream %s has %d messages of others, had %d", s, now, before[s])
		}
	}
}

// trust makes the stream that nodes may read, with one message.
func (b *secureBus) trust() {
	b.t.Helper()
	if _, err := b.js.Publish(b.t.Context(), "fleet.trust.bundle", []byte("bundle")); err != nil {
		b.t.Fatal(err)
	}
}

func TestANodeReadsWhatIsTrusted(t *testing.T) { inEachMode(t, aNodeReadsWhatIsTrusted) }

func aNodeReadsWhatIsTrusted(t *testing.T, mode busconf.Mode) {
	b := secureBusIn(t, mode, "a")
	a := b.node("a")
	heard, err := a.SubscribeSync("fleet.trust.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
	b.trust()
	if m, err := heard.NextMsgWithContext(patience(t)); err != nil || string(m.Data) != "bundle" {
		t.Errorf("heard %v, %v", m, err)
	}
	for subject, question := range map[string]string{
		"$JS.API.DIRECT.GET.FLEET_TRUST.fleet.trust.bundle": "",
		"$JS.API.DIRECT.GET.FLEET_TRUST":                    `{"last_by_subj":"fleet.trust.bundle"}`,
	} {
		m, err := a.RequestWithContext(patience(t), subject, []byte(question))
		if err != nil || string(m.Data) != "bundle" {
			t.Errorf("%s: %v, %v", subject, m, err)
		}
	}
}

func appendFact(t *testing.T, log eventlog.Log) {
	t.Helper()
	if _, err := log.Append(patience(t), eventlog.Entry{Event: lost("b", 0)}); err != nil {
		t.Fatal(err)
	}
}

func lost(id fleet.NodeID, n int) *events.Event {
	return &events.Event{
		ID: events.NewID("test", fmt.Sprint(n)), Source: events.SourcePlanner, Type: events.TypeNodeLost, Node: id,
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Data: &events.NodeLost{Epoch: 1},
	}
}

// Headers can ask a stream for much: nothing of it may touch another node.
func TestHeadersOfANodeReachOnlyItsOwnMessages(t *testing.T) {
	inEachMode(t, headersOfANodeReachOnlyItsOwnMessages)
}

func headersOfANodeReachOnlyItsOwnMessages(t *testing.T, mode busconf.Mode) {
	b := secureBusIn(t, mode, "a", "b")
	if err := b.agent("b").Beat(patience(t), "b", heartbeat("b"), time.Hour); err != nil {
		t.Fatal(err)
	}
	b.await("FLEET_PRESENCE", "fleet.presence.b", 1)
	a := b.node("a")
	for _, c := range []struct {
		stored  bool
		headers []string
	}{
		{false, []string{"Nats-Rollup", "all"}},
		{false, []string{"Nats-Rollup", "sub"}},
		{false, []string{"Nats-Schedule", "@at 2026-01-02T03:04:05Z", "Nats-Schedule-Target", "fleet.presence.b"}},
		{false, []string{"Nats-Schedule", "@every 1s", "Nats-Schedule-Target", "fleet.events.plan"}},
		{false, []string{"Nats-Incr", "1"}},
		{false, []string{"Nats-Batch-Id", "x", "Nats-Batch-Sequence", "1", "Nats-Batch-Commit", "1"}},
		{false, []string{"Nats-Expected-Stream", "FLEET"}},
		{false, []string{"Nats-Expected-Last-Sequence", "99"}},
		{false, []string{"Nats-Expected-Last-Subject-Sequence", "99"}},
		{true, []string{"Nats-TTL", "1s"}},
		{true, []string{"Nats-TTL", "never"}},
		{true, []string{"Nats-Marker-Reason", "MaxAge"}},
		{true, []string{"Nats-Msg-Id", "x"}},
	} {
		m := nats.NewMsg("fleet.presence.a")
		m.Data = []byte("{}")
		for i := 0; i < len(c.headers); i += 2 {
			m.Header.Set(c.headers[i], c.headers[i+1])
		}
		answer, err := a.RequestMsgWithContext(patience(t), m)
		if err != nil {
			t.Errorf("%q: %v", c.headers, err)
			continue
		}
		if stored := !slices.Contains([]string{"error"}, firstKey(answer.Data)); stored != c.stored {
			t.Errorf("%q: the server said %s, want it stored: %v", c.headers, answer.Data, c.stored)
		}
		if b.count("FLEET_INGEST", "fleet.presence.b") != 1 || b.count("FLEET_PRESENCE", "fleet.presence.b") != 1 {
			t.Fatalf("%q took another node's heartbeat away", c.headers)
		}
	}
	// The ids of messages are kept apart by nothing: so nobody of ours has one.
	if err := b.agent("b").Beat(patience(t), "b", heartbeat("b"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if got := b.count("FLEET_INGEST", "fleet.presence.b"); got != 2 {
		t.Errorf("%d heartbeats of the other node, want 2", got)
	}
	if last, err := b.planner.Log().Last(patience(t)); err != nil || last != 0 {
		t.Errorf("the log ends at %d, %v", last, err)
	}
}

// firstKey is "error" for a refusal and "stream" for an acknowledgement.
func firstKey(answer []byte) string {
	var key string
	if _, err := fmt.Sscanf(string(answer), "{%q", &key); err != nil {
		return ""
	}
	return key
}

func TestANodeCannotAnswerForAnother(t *testing.T) { inEachMode(t, aNodeCannotAnswerForAnother) }

func aNodeCannotAnswerForAnother(t *testing.T, mode busconf.Mode) {
	b := secureBusIn(t, mode, "a", "b")
	executor := b.bus(busconf.Executor)
	a := b.node("a")
	a.mustNotSubscribe("fleet.command.b")
	if _, err := executor.Command(patience(t), stopRequest("b")); !errors.Is(err, eventlog.ErrNoAgent) {
		t.Errorf("a command to a node whose agent is away: %v, want ErrNoAgent", err)
	}
	// On a command of its own it may answer, but not as another node.
	stop, err := b.agent("a").ServeCommands(patience(t), "a", func(_ context.Context, command *events.Event) *events.Event {
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	forge := func(m *nats.Msg) {
		answer, err := events.EncodeTo(m.Reply, &events.Event{
			ID: "forged", Source: events.NodeSource("b"), Type: events.TypeCommandAnswered, Node: "b",
			Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Data: &events.CommandAnswered{},
		})
		if err != nil {
			t.Error(err)
			return
		}
		for range 2 { // one answer is allowed
			if err := a.PublishMsg(&nats.Msg{Subject: answer.Subject, Header: answer.Header, Data: answer.Data}); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := a.Subscribe("fleet.command.a", forge); err != nil {
		t.Fatal(err)
	}
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
	var refusal *events.Refusal
	if _, err := executor.Command(patience(t), stopRequest("a")); !errors.As(err, &refusal) {
		t.Errorf("the answer of another node: %v, want a refusal", err)
	}
}

// administration is what nobody who runs may ask of JetStream.
func administration(stream string) []string {
	var all []string
	for _, what := range []string{"DELETE", "UPDATE", "PURGE", "RESTORE", "SNAPSHOT", "MSG.DELETE", "PEER.REMOVE", "LEADER.STEPDOWN"} {
		all = append(all, "$JS.API.STREAM."+what+"."+stream)
	}
	return append(all, "$JS.API.ACCOUNT.PURGE.SERVICES", "$JS.API.SERVER.REMOVE", "$JS.API.META.LEADER.STEPDOWN", "$SYS.REQ.SERVER.PING")
}

// exception is what of it a planner may: leases must be heard again after the loss
// of a server.
const exception = "$JS.API.STREAM.LEADER.STEPDOWN.FLEET_PRESENCE"

func TestNoServiceAdministersStreams(t *testing.T) { inEachMode(t, noServiceAdministersStreams) }

func noServiceAdministersStreams(t *testing.T, mode busconf.Mode) {
	b := secureBusIn(t, mode, "a")
	streams := []string{"FLEET", "FLEET_INGEST", "FLEET_PRESENCE", "FLEET_TRUST", "OBJ_FLEET_INVENTORIES", "OBJ_FLEET_SNAPSHOTS", "KV_FLEET_TOKENS"}
	for _, r := range busconf.Services {
		c := b.as(r)
		for _, s := range streams {
			c.mustNotPublish(slices.DeleteFunc(administration(s), func(subject string) bool {
				return r == busconf.Planner && subject == exception
			})...)
			if r != busconf.Planner {
				c.mustNotPublish("$JS.API.STREAM.CREATE." + s)
			}
		}
		c.mustNotPublish("$JS.API.STREAM.CREATE.X", "$JS.API.CONSUMER.DELETE.FLEET.executor", "$JS.API.CONSUMER.PAUSE.FLEET.executor",
			"$JS.API.CONSUMER.DURABLE.CREATE.FLEET.executor", "$JS.API.CONSUMER.UNPIN.FLEET.executor", "fleet.presence.a", "fleet.credential.a", "fleet.request.a")
		c.mustNotSubscribe(">", "fleet.>", "_INBOX.>", "_INBOX.fleet.a.>", "$SYS.>", "$JS.>")
	}
	// A service may have the server answer to any subject of the account. That
	// is no request of its own: JetStream does not take it for one.
	planner := b.as(busconf.Planner)
	for _, s := range streams {
		for _, subject := range administration(s) {
			planner.send("fleet.events.plan", subject, "Nats-Expected-Stream", "none")
			planner.send("$JS.API.STREAM.INFO.FLEET", subject)
		}
		b.count(s, ">") // fails without the stream
	}
}

func TestEachServiceWritesOnlyWhatIsItsOwn(t *testing.T) {
	inEachMode(t, eachServiceWritesOnlyWhatIsItsOwn)
}

func eachServiceWritesOnlyWhatIsItsOwn(t *testing.T, mode busconf.Mode) {
	b := secureBusIn(t, mode, "a")
	b.as(busconf.Planner).mustNotPublish("fleet.events.outcome.x", "fleet.events.enforcement", "fleet.events.trust", "fleet.events.control", "fleet.events.partition", "fleet.events.plan.a.b", "fleet.command.a",
		"$JS.API.CONSUMER.CREATE.FLEET.executor", "$JS.API.CONSUMER.CREATE.FLEET.executor.fleet.actions.>", "$JS.API.CONSUMER.MSG.NEXT.FLEET.executor")
	b.as(busconf.Executor).mustNotPublish("fleet.events.plan", "fleet.events.plan.a", "fleet.events.partition", "fleet.events.inventory", "fleet.events.control", "fleet.actions.enroll-node.a",
		"$O.FLEET_INVENTORIES.M.x", "$O.FLEET_INVENTORIES.C.x")
	b.as(busconf.Operator).mustNotPublish("fleet.events.plan", "fleet.events.plan.a", "fleet.events.node.a", "fleet.events.enforcement", "fleet.events.trust", "fleet.actions.enroll-node.a",
		"fleet.command.a", "$O.FLEET_SNAPSHOTS.M.x", "$JS.API.CONSUMER.CREATE.FLEET.executor", "$JS.API.CONSUMER.MSG.NEXT.FLEET.executor")
	// The log takes no rollup from those who may write it.
	appendFact(t, b.planner.Log())
	b.as(busconf.Planner).send("fleet.events.plan", "", "Nats-Rollup", "all")
	if got := b.count("FLEET", ">"); got != 1 {
		t.Errorf("the log has %d messages, want 1", got)
	}
}

// An operator's word is on few subjects, whatever else is named.
func TestAnOperatorSpeaksOnFewSubjects(t *testing.T) { inEachMode(t, anOperatorSpeaksOnFewSubjects) }

func anOperatorSpeaksOnFewSubjects(t *testing.T, mode busconf.Mode) {
	b := secureBusIn(t, mode, "a")
	b.trust()
	c := b.as(busconf.Operator)
	c.mustNotPublish("$JS.API.STREAM.INFO.KV_FLEET_TOKENS", "$JS.API.STREAM.NAMES", "$JS.API.CONSUMER.CREATE.FLEET.x", "$JS.API.CONSUMER.CREATE.FLEET.executor.fleet.actions.>", "$JS.API.CONSUMER.CREATE.OBJ_FLEET_INVENTORIES.x", "fleet.trust.bundle", "$SRV.PING")
	targets := []string{
		"fleet.events.plan", "fleet.events.node.a", "fleet.actions.enroll-node.a", "fleet.presence.a", "fleet.command.a", "fleet.trust.bundle",
		"$JS.API.STREAM.DELETE.FLEET",
	}
	for _, target := range targets {
		c.send("fleet.events.control", target)
		c.send("$SRV.STATS.fleetfold-planner", target)
		c.ask(target)
	}
	b.await("FLEET", "fleet.events.control", uint64(len(targets)))
	for stream, want := range map[string]uint64{"FLEET": uint64(len(targets)), "FLEET_INGEST": 0, "FLEET_TRUST": 1, "OBJ_FLEET_INVENTORIES": 0} {
		if got := b.count(stream, ">"); got != want {
			t.Errorf("%s has %d messages, want %d", stream, got, want)
		}
	}
}

// ask asks what people may ask, and wants the answers somewhere else.
func (c *client) ask(target string) {
	c.t.Helper()
	for _, question := range []string{
		"$JS.API.DIRECT.GET.FLEET", "$JS.API.DIRECT.GET.FLEET_PRESENCE", "$JS.API.STREAM.INFO.FLEET", "$JS.API.STREAM.INFO.FLEET_INGEST",
		"$JS.API.CONSUMER.INFO.FLEET.executor", "$JS.API.INFO", "$SYS.REQ.SERVER.PING.VARZ",
	} {
		c.send(question, target)
	}
}

func TestTheAuditorReadsAndWritesNothing(t *testing.T) {
	inEachMode(t, theAuditorReadsAndWritesNothing)
}

func theAuditorReadsAndWritesNothing(t *testing.T, mode busconf.Mode) {
	b := secureBusIn(t, mode, "a")
	appendFact(t, b.planner.Log())
	digest, err := b.planner.PutInventory(patience(t), []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	auditor := b.bus(busconf.Auditor)
	if records, err := auditor.Log().Read(patience(t), 0, 10); err != nil || len(records) != 1 || records[0].Err != nil {
		t.Errorf("the auditor reads %d records, %v", len(records), err)
	}
	if text, err := auditor.GetInventory(patience(t), digest); err != nil || string(text) != "text" {
		t.Errorf("the auditor reads %q, %v", text, err)
	}
	cursor, err := auditor.Log().Follow(patience(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer cursor.Close()
	appendFact(t, b.planner.Log())
	if records, err := cursor.Next(patience(t)); err != nil || len(records) != 1 || records[0].Sequence != 2 {
		t.Errorf("the auditor follows to %v, %v", records, err)
	}

	c := b.as(busconf.Auditor)
	c.mustNotPublish("fleet.events.control", "fleet.events.plan", "fleet.events.node.a", "fleet.actions.enroll-node.a", "fleet.command.a",
		"fleet.presence.a", "fleet.trust.bundle", "$O.FLEET_INVENTORIES.M.x", "$O.FLEET_INVENTORIES.C.x", "$SRV.PING",
		"$JS.API.CONSUMER.CREATE.FLEET.x", "$JS.API.CONSUMER.CREATE.FLEET.x.fleet.events.>", "$JS.API.CONSUMER.CREATE.OBJ_FLEET_INVENTORIES.x",
		"$JS.API.CONSUMER.MSG.NEXT.FLEET.executor", "$JS.API.DIRECT.GET.FLEET_INGEST", "$JS.API.STREAM.INFO.KV_FLEET_TOKENS", "$SYS.REQ.SERVER.PING.CONNZ")
	for _, target := range []string{"fleet.events.plan", "fleet.events.control", "fleet.presence.a", "fleet.command.a", "$O.FLEET_INVENTORIES.M.x", "$JS.API.STREAM.DELETE.FLEET"} {
		c.send("$JS.API.DIRECT.GET.FLEET.fleet.events.node.b", target)
		c.send("$SRV.STATS.fleetfold-planner", target)
		c.ask(target)
	}
	if got := b.count("FLEET", ">"); got != 2 {
		t.Errorf("the log has %d messages, want 2", got)
	}
	if got := b.count("FLEET_INGEST", ">"); got != 0 {
		t.Errorf("the auditor made %d heartbeats", got)
	}
}

// A node that begins to follow hears all that is trusted, and not only what is
// published from then on.
func TestANodeThatComesLaterKnowsAllThatIsTrusted(t *testing.T) {
	b := newSecureBus(t, "a")
	executor := b.bus(busconf.Executor)
	const parts = 200
	for n := range parts {
		text := eventlog.TrustText{Kind: eventlog.TrustRegions, KeyID: fmt.Sprintf("%02x", n), Version: 1}
		if _, err := executor.PublishTrust(patience(t), text); err != nil {
			t.Fatal(err)
		}
	}
	for _, kind := range []eventlog.TrustKind{eventlog.TrustBundle, eventlog.TrustPosture} {
		if _, err := executor.PublishTrust(patience(t), eventlog.TrustText{Kind: kind, Version: 1, Text: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	ctx := patience(t)
	feed, err := b.agent("a").Trust(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	heard := map[string]bool{}
	for len(heard) < parts+2 {
		texts, err := feed.Next(ctx)
		if err != nil {
			t.Fatalf("only %d texts were heard: %v", len(heard), err)
		}
		for _, text := range texts {
			heard[string(text.Kind)+text.KeyID] = true
		}
	}
}
