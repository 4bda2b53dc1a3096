package eventlog

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/fleetfold/fleetfold/pkg/natsd"
)

func TestStreamsAreCheckedAndNotMade(t *testing.T) {
	s := testServer(t, t.TempDir(), 0)
	b, err := Connect(t.Context(), Options{InProcess: s})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for range 2 { // the second time tells whether the first made any
		for _, h := range b.CheckStreams(patience(t)) {
			if !h.Missing || h.Err != nil {
				t.Errorf("%s on an empty server: %+v", h.Role, h)
			}
		}
	}
	if err := b.EnsureStreams(patience(t)); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, b.Log(), appeared(1), appeared(2))
	var roles []Role
	for _, h := range b.CheckStreams(patience(t)) {
		roles = append(roles, h.Role)
		if h.Missing || h.Err != nil || len(h.Wrong) > 0 || h.Cluster != "" || h.Replicas != 1 || h.Leader != "embedded" || h.Created.IsZero() {
			t.Errorf("%s: %+v", h.Role, h)
		}
		if h.Role == RoleLog && (h.First != 1 || h.Last != 2 || h.Messages != 2 || h.Deleted != 0) {
			t.Errorf("log of two messages: %+v", h)
		}
	}
	if want := []Role{RoleLog, RoleIngest, RolePresence, RoleInventories}; !slices.Equal(roles, want) {
		t.Errorf("roles %v, want %v", roles, want)
	}
}

func TestAWeakenedStreamIsFoundAndLeftAlone(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	c := b.ingestConfig()
	c.MaxAge = time.Hour
	if _, err := b.js.UpdateStream(patience(t), c); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, h := range b.CheckStreams(patience(t)) {
			if (h.Role == RoleIngest) != (len(h.Wrong) > 0) {
				t.Errorf("%s: %+v", h.Role, h.Wrong)
			}
			if len(h.Wrong) > 0 && h.Wrong[0] != (Mismatch{"FLEET_INGEST", "max_age", "1h0m0s", "2m0s"}) {
				t.Errorf("found %+v", h.Wrong)
			}
		}
	}
}

// openToDelete makes the log anew as nobody may: a message can be taken out.
func openToDelete(t *testing.T, b *Bus) jetstream.Stream {
	t.Helper()
	if err := b.js.DeleteStream(patience(t), b.logStream()); err != nil {
		t.Fatal(err)
	}
	c := b.logConfig()
	c.DenyDelete = false
	s, err := b.js.CreateStream(patience(t), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAMessageThatWasTakenOutIsCounted(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	s := openToDelete(t, b)
	mustAppend(t, b.Log(), appeared(1), appeared(2), appeared(3))
	if err := s.DeleteMsg(patience(t), 2); err != nil {
		t.Fatal(err)
	}
	h := b.CheckStreams(patience(t))[0]
	if h.First != 1 || h.Last != 3 || h.Messages != 2 || h.Deleted != 1 {
		t.Errorf("log with a gap: %+v", h)
	}
	if len(h.Wrong) != 1 || h.Wrong[0].Setting != "deny_delete" {
		t.Errorf("settings: %+v", h.Wrong)
	}
}

// healthOf waits until the consumer is as wanted.
func healthOf(t *testing.T, b *Bus, want func(ActionsHealth) bool) ActionsHealth {
	t.Helper()
	ctx := patience(t)
	for {
		h, err := b.CheckActions(ctx)
		if err != nil {
			t.Fatalf("%v; last %+v", err, h)
		}
		if want(h) {
			return h
		}
	}
}

func TestWhoWaitsForActionsAndWhatIsOut(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	if h, err := b.CheckActions(patience(t)); err != nil || !h.Missing {
		t.Errorf("before the first executor: %+v, %v", h, err)
	}
	a, err := b.Actions(t.Context(), 1, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	waiting, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	taken := make(chan Delivery, 2)
	go func() {
		defer close(ended)
		for {
			d, err := a.Next(waiting)
			if err != nil {
				return
			}
			taken <- d
		}
	}()
	defer func() { stop(); <-ended }()
	h := healthOf(t, b, func(h ActionsHealth) bool { return h.Waiting == 1 })
	if h.Missing || len(h.Wrong) > 0 || h.Pending != 0 || h.Unacknowledged != 0 || h.Limit != 1 || h.Oldest != 0 {
		t.Errorf("an executor without work: %+v", h)
	}
	mustAppend(t, b.Log(), appeared(1))
	publishActions(t, b, 2)
	<-taken
	h = healthOf(t, b, func(h ActionsHealth) bool { return h.Unacknowledged == 1 && h.Pending == 1 })
	if h.Oldest != 2 || time.Since(h.OldestTime) > time.Minute || h.Redelivered != 0 {
		t.Errorf("one action is out, one waits: %+v", h)
	}
}

func TestAConsumerThatWouldSkipIsFound(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	_, err := b.js.CreateConsumer(patience(t), b.logStream(), jetstream.ConsumerConfig{
		Durable: actionConsumer, FilterSubject: b.subjects.AllActions(), AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	h, err := b.CheckActions(patience(t))
	if err != nil || len(h.Wrong) != 1 || h.Wrong[0] != (Mismatch{"executor", "max_deliver", "3", "-1"}) {
		t.Errorf("found %+v, %v", h, err)
	}
}

func monitored(t *testing.T, interval time.Duration) *natsd.Server {
	t.Helper()
	s, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort, MonitorPort: natsd.RandomPort, SyncInterval: interval})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func TestAServerTellsHowItSyncs(t *testing.T) {
	for does, c := range map[string]struct {
		interval time.Duration
		always   bool
	}{
		"every message": {0, true},
		"now and then":  {time.Minute, false},
	} {
		s := monitored(t, c.interval)
		h, err := AskMonitor(patience(t), s.MonitorURL()+"/")
		if err != nil {
			t.Fatal(err)
		}
		if h.Name != "embedded" || h.ID == "" || h.Version == "" || h.Cluster != "" || !h.JetStream || h.SyncAlways != c.always || h.SyncInterval != c.interval {
			t.Errorf("%s: %+v", does, h)
		}
		if len(h.Limits) != 2 || h.Limits[0].Max == 0 || h.Limits[1].What != "storage of server embedded" {
			t.Errorf("%s: limits %+v", does, h.Limits)
		}
	}
}

func TestWhatIsNoMonitoringPage(t *testing.T) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/json/varz":
			_, _ = w.Write([]byte(`{"hello":"world"}`))
		case "/html/varz":
			_, _ = w.Write([]byte(`<html>`))
		default:
			http.NotFound(w, r)
		}
	}))
	defer page.Close()
	for url, want := range map[string]string{
		page.URL:                         "404",
		page.URL + "/json":               "no NATS server",
		page.URL + "/html":               "invalid character",
		"nats://127.0.0.1:4222":          "no http URL",
		"127.0.0.1:8222":                 "no http URL",
		"http://ada:secret@127.0.0.1:1/": "refused",
	} {
		_, err := AskMonitor(patience(t), url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}

func TestAnOrdinaryAccountMayNotAskTheServers(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	if got, err := b.AskServers(patience(t)); !errors.Is(err, ErrNoSystem) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestTheServersClockBesideOurs(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	for does, ours := range map[string]time.Duration{
		"our clock is right":         0,
		"our clock is an hour ahead": time.Hour,
		"our clock is behind":        -3 * time.Second,
	} {
		skew, within, err := b.ClockSkew(patience(t), func() time.Time { return time.Now().Add(ours) })
		if err != nil {
			t.Fatal(err)
		}
		if off := (skew + ours).Abs(); off > within+time.Millisecond || within <= 0 {
			t.Errorf("%s: the server is %s ahead, give or take %s", does, skew, within)
		}
	}
}

func TestTheAccountsLimits(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	got, err := b.AccountLimits(patience(t))
	if err != nil || len(got) != 0 {
		t.Errorf("an account without limits has %+v, %v", got, err)
	}
	all := tierLimits(nil, "the account", jetstream.Tier{
		Memory: 1, Store: 2, Streams: 3, Consumers: 4,
		Limits: jetstream.AccountLimits{MaxMemory: -1, MaxStore: 10, MaxStreams: 5, MaxConsumers: 0},
	})
	want := []Limit{{"storage of the account", 2, 10, "bytes"}, {"streams of the account", 3, 5, ""}}
	if !slices.Equal(all, want) {
		t.Errorf("limits %+v, want %+v", all, want)
	}
}

func TestHowFarTheServerIs(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	rtt, err := b.RTT()
	if err != nil || rtt <= 0 || b.ServerName() != "embedded" || !strings.HasPrefix(b.ServerVersion(), "2.") {
		t.Errorf("%s, %v, server %s %s", rtt, err, b.ServerName(), b.ServerVersion())
	}
}
