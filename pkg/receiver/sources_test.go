package receiver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/natsd"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

func patience(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func posture(t *testing.T, p eventlog.Posture) eventlog.TrustText {
	t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return eventlog.TrustText{Kind: eventlog.TrustPosture, Version: p.Sequence, Text: text}
}

func (s *Stream) mustTake(t *testing.T, text eventlog.TrustText) {
	t.Helper()
	if err := s.Take(text); err != nil {
		t.Error(err)
	}
}

func TestThePostureNeverGoesBack(t *testing.T) {
	s := FromStream(func() *Anchor { return nil }, zerolog.Nop())
	if s.Trust().Known {
		t.Error("a posture is known before one was published")
	}
	for _, step := range []struct {
		say, want eventlog.Posture
	}{
		{eventlog.Posture{}, eventlog.Posture{}},
		{eventlog.Posture{Strict: true, Sequence: 7, Since: t0}, eventlog.Posture{Strict: true, Sequence: 7, Since: t0}},
		{eventlog.Posture{Sequence: 6}, eventlog.Posture{Strict: true, Sequence: 7, Since: t0}},
		{eventlog.Posture{Sequence: 7}, eventlog.Posture{Strict: true, Sequence: 7, Since: t0}},
		{eventlog.Posture{Sequence: 9}, eventlog.Posture{Sequence: 9}},
	} {
		s.mustTake(t, posture(t, step.say))
		if got := s.Trust(); !got.Known || got.Posture != step.want {
			t.Errorf("after %+v it is %+v", step.say, got.Posture)
		}
	}
	for _, rubbish := range []eventlog.TrustText{{Kind: eventlog.TrustPosture, Text: []byte("{")}, {Kind: eventlog.TrustBundle, Text: []byte("{}")}} {
		if s.Take(rubbish) == nil {
			t.Errorf("%s is taken", rubbish.Text)
		}
	}
	if s.Trust().Posture.Sequence != 9 {
		t.Error("rubbish changed the posture")
	}
}

func TestWhatANodeWasGivenCountsUntilABundleIsPublished(t *testing.T) {
	own, published := newCA(t, domain, t0), newCA(t, domain, t0)
	var anchor *Anchor
	s := FromStream(func() *Anchor { return anchor }, zerolog.Nop())
	roots := func(want *identity.CA) {
		t.Helper()
		got := s.Trust()
		if got != s.Trust() {
			t.Error("nothing has changed, and it is another")
		}
		if want == nil != !got.anchored() || want != nil && string(got.Roots[0]) != string(want.CertificatePEM()) {
			t.Errorf("trust is %+v", got)
		}
	}
	roots(nil)
	anchor = &Anchor{TrustDomain: domain, Roots: [][]byte{own.CertificatePEM()}}
	roots(own)
	bundle, err := identity.SPIFFEBundle(domain, [][]byte{published.CertificatePEM()}, 3, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	s.mustTake(t, eventlog.TrustText{Kind: eventlog.TrustBundle, Version: 3, Text: bundle})
	roots(published)
	anchor = nil // the domain is the one that the roots name
	roots(published)
	before := s.Trust()
	s.mustTake(t, eventlog.TrustText{Kind: eventlog.TrustCRL, KeyID: "aa", Version: 1, Text: []byte("x")})
	if len(before.CRLs) != 0 || string(s.Trust().CRLs["aa"]) != "x" {
		t.Error("a list was put into what was handed out, or not kept")
	}
	if got := domainOf([][]byte{published.CertificatePEM(), newCA(t, "other.example", t0).CertificatePEM()}); got != "" {
		t.Errorf("roots of two domains are of %q", got)
	}
}

func connect(t *testing.T) *eventlog.Bus {
	t.Helper()
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	bus, err := eventlog.Connect(patience(t), eventlog.Options{InProcess: server})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	if err := bus.EnsureStreams(patience(t)); err != nil {
		t.Fatal(err)
	}
	return bus
}

// The whole way of a post on the bus, with what the trust stream says.
func TestPostsOnTheBus(t *testing.T) {
	bus, ctx := connect(t), patience(t)
	now := time.Now()
	ca := newCA(t, domain, now)
	source := FromStream(func() *Anchor { return nil }, zerolog.Nop())
	r, err := New(Config{Source: source, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	following, stop := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() { source.Run(following, bus) })
	defer done.Wait()
	defer stop()
	bundle, err := identity.SPIFFEBundle(domain, [][]byte{ca.CertificatePEM()}, 3, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []eventlog.TrustText{{Kind: eventlog.TrustBundle, Version: 3, Text: bundle}, posture(t, eventlog.Posture{Strict: true, Sequence: 4, Since: now})} {
		if _, err := bus.PublishTrust(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	await(ctx, t, func() bool { return source.Trust().Known && source.Trust().anchored() })

	var got *Post
	var from Sender
	unlisten, err := bus.ServePosts(ctx, "n2", func(_ context.Context, m events.Message) events.Message {
		post, sender, err := r.CheckMessage(m)
		if err == nil {
			got, from = post, sender
		}
		return AnswerMessage(err)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unlisten()
	c := holder(t, ca, domain, "n1", now, time.Hour)
	message := func(p *Post, c *Credential, to fleet.NodeID) events.Message {
		m, err := NewMessage(p, c, bus.PostSubject(to), now)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	answers := func(why string, m events.Message, status string, reason fleet.Reason) {
		t.Helper()
		m.Subject = bus.PostSubject("n2")
		a, err := bus.Post(ctx, m)
		if err != nil || a.Header[StatusHeader][0] != status || reason != "" && a.Header[ReasonHeader][0] != string(reason) {
			t.Errorf("%s: answered %v %s, %v", why, a.Header, a.Data, err)
		}
	}
	p := post("1")
	p.Subject, p.Extensions = "Euro €", map[string]string{"other": "x"}
	m := message(p, c, "n2")
	answers("signed", m, "204", "")
	if from.Node != "n1" || !from.Verified || got.Subject != "Euro €" || string(got.Data) != `{"v": 1}` || len(got.Extensions) != 2 {
		t.Errorf("got %+v from %+v", got, from)
	}
	answers("again", m, "401", Replayed)
	answers("meant for another node", message(post("2"), c, "n3"), "401", WrongAudience)
	answers("unsigned", message(post("3"), nil, "n2"), "401", Unsigned)
	answers("no event", events.Message{Data: []byte("x")}, "400", NoEvent)
	answers("too large", events.Message{Header: map[string][]string{"ce-specversion": {"1.0"}}, Data: []byte(strings.Repeat("x", MaxBodyBytes+1))}, "413", TooLarge)
	answers("structured and unsigned", events.Message{
		Header: map[string][]string{"content-type": {structuredType}}, Data: []byte(`{"specversion":"1.0","id":"1","type":"t","source":"s"}`),
	}, "401", Unsigned)
	if _, err := NewMessage(&Post{ID: "1"}, nil, "x", now); fleet.ReasonOf(err) != BadEvent {
		t.Errorf("a post without a type: %v", err)
	}
}

// await waits until the condition holds; it looks each time anything else had time
// to run.
func await(ctx context.Context, t *testing.T, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("it never came true")
		}
	}
}

// actionID is the form of one.
var actionID = fleet.ActionID(events.NewID("test"))

// fact is an event of the fleet or a node.
func fact(n string, node fleet.NodeID, data events.Payload, typ events.Type) eventlog.Entry {
	return eventlog.Entry{Event: &events.Event{ID: n, Source: events.SourceExecutor, Type: typ, Node: node, Time: t0, Data: data}}
}

func TestTheLogSaysWhoIsToBeTrusted(t *testing.T) {
	log, ctx := eventlog.NewMemory(events.DefaultSubjects(), time.Now), patience(t)
	v := view.New(log)
	source := FromView(LogConfig{View: v, Inventories: noInventories{}, TrustDomain: domain})
	if source.Trust().Known {
		t.Error("known before the view has run")
	}
	now := time.Now()
	ca := newCA(t, domain, now.Add(-time.Hour))
	c := holder(t, ca, domain, "n1", now.Add(-time.Minute), time.Hour)
	chain, err := identity.ParseChain(c.ChainPEM)
	if err != nil {
		t.Fatal(err)
	}
	rootKey, err := identity.Fingerprint(mustChain(t, ca.CertificatePEM()).PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- v.Run(running) }()
	say := func(entries ...eventlog.Entry) *Trust {
		t.Helper()
		if _, err := log.Append(ctx, entries...); err != nil {
			t.Fatal(err)
		}
		if err := v.CatchUp(ctx); err != nil {
			t.Fatal(err)
		}
		return source.Trust()
	}
	appeared := &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: rootKey}
	got := say(
		fact("1", "", &events.TrustPublished{TrustDomain: domain, Fingerprint: rootKey, CertificatePEM: string(ca.CertificatePEM())}, events.TypeTrustPublished),
		fact("2", "n1", appeared, events.TypeNodeAppeared),
	)
	if !got.Known || got.Posture.Strict || !got.anchored() || got.Revoked("n1", chain[0]) != "" || got.Revoked("n2", chain[0]) != identity.CertificateRevoked {
		t.Errorf("after a node has appeared: %+v", got)
	}
	got = say(fact("3", "", &events.EnforcementEnabled{Action: actionID, Generation: 2}, events.TypeEnforcementEnabled))
	if p := got.Posture; !p.Strict || p.Sequence != 3 || p.Generation != 2 || p.Since.IsZero() || source.Trust() != got {
		t.Errorf("after the flip: %+v", p)
	}
	got = say(fact("4", "n1", &events.NodeRemoved{Epoch: 1, Action: actionID}, events.TypeNodeRemoved))
	if got.Revoked("n1", chain[0]) == "" {
		t.Error("a node that was removed still counts")
	}
	appeared.Epoch = 2
	got = say(fact("5", "n1", appeared, events.TypeNodeAppeared))
	if got.Revoked("n1", chain[0]) == "" {
		t.Error("a credential of an earlier life counts")
	}
	next := holder(t, ca, domain, "n1", time.Now().Add(time.Second), time.Hour)
	if got.Revoked("n1", mustChain(t, next.ChainPEM)) != "" {
		t.Error("a credential of the present life counts for nothing")
	}
	got = say(fact("6", "", &events.EnforcementDisabled{Action: actionID, Generation: 3}, events.TypeEnforcementDisabled))
	if p := got.Posture; p.Strict || p.Sequence != 6 || p.Generation != 3 {
		t.Errorf("after it was relaxed: %+v", p)
	}
	stop()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	v.Read(func(s *projection.State) {
		if s.Unfit() != 0 {
			t.Error("an event of the test does not fit")
		}
	})
}

type noInventories struct{}

func (noInventories) Get(context.Context, string) (*fleet.Inventory, error) {
	return nil, errors.New("there is none")
}

// Regions are known when all their parts are; an unreadable part changes nothing.
func TestRegionsAreKnownWhenAllPartsAre(t *testing.T) {
	s := FromStream(func() *Anchor { return nil }, zerolog.Nop())
	d := identity.DigestRegion("oslo", "n1")
	part := func(n int, text []byte) error {
		return s.Take(eventlog.TrustText{Kind: eventlog.TrustRegions, KeyID: fmt.Sprintf("%02x", n), Version: 1, Text: text})
	}
	for n := range identity.RegionShards {
		if s.Trust().Region != nil {
			t.Fatal("regions are known before all parts came")
		}
		var text []byte
		if d.Shard() == n {
			text = d[:]
		}
		if err := part(n, text); err != nil {
			t.Fatal(err)
		}
	}
	before := s.Trust()
	if part(0, []byte("rubbish")) == nil || s.Take(eventlog.TrustText{Kind: eventlog.TrustRegions, KeyID: "x"}) == nil {
		t.Error("rubbish is taken")
	}
	if !before.Region("oslo", "n1") || before.Region("nyc", "n1") || before.Region("oslo", "n2") {
		t.Error("regions are not what was told")
	}
	if err := part(d.Shard(), nil); err != nil || s.Trust().Region("oslo", "n1") || !before.Region("oslo", "n1") {
		t.Errorf("after it was taken out: %v", err)
	}
}
