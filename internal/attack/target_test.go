package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/agentcmd"
	"github.com/fleetfold/fleetfold/internal/cli/clitest"
	"github.com/fleetfold/fleetfold/internal/port"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/natsd"
	"github.com/fleetfold/fleetfold/pkg/receiver"
)

// target is an agent that takes posts, in a fleet whose issuers the test has.
type target struct {
	t            *testing.T
	ctx          context.Context
	bus          *eventlog.Bus
	nats         string
	dir, url     string
	metrics      string
	root, nyc    *house
	stop         func()
	posture      eventlog.Posture
	transport    *http.Transport
	sent, strict uint64
	// refused counts what was answered with a reason.
	refused map[fleet.Reason]uint64
}

func newTarget(t *testing.T) *target {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	g := &target{t: t, ctx: ctx, nats: server.URL(), dir: t.TempDir(), url: "http://" + port.At(port.Hold(t)), root: newHouse(t, domain, nil), transport: new(http.Transport), refused: make(map[fleet.Reason]uint64)}
	t.Cleanup(g.transport.CloseIdleConnections)
	g.nyc = newHouse(t, domain, g.root)
	if g.bus, err = eventlog.Connect(ctx, eventlog.Options{URL: g.nats}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.bus.Close)
	if err := g.bus.EnsureStreams(ctx); err != nil {
		t.Fatal(err)
	}
	g.listen()
	g.publish()
	g.start()
	t.Cleanup(func() { g.stop() })
	return g
}

// tell puts a text onto the trust stream.
func (g *target) tell(text eventlog.TrustText) {
	g.t.Helper()
	if _, err := g.bus.PublishTrust(g.ctx, text); err != nil {
		g.t.Fatal(err)
	}
}

// publish says what executors say of a fleet with the node "good" in nyc.
func (g *target) publish() {
	g.t.Helper()
	bundle, err := identity.SPIFFEBundle(domain, [][]byte{g.root.ca.CertificatePEM()}, 1, time.Minute)
	if err != nil {
		g.t.Fatal(err)
	}
	g.tell(eventlog.TrustText{Kind: eventlog.TrustBundle, Version: 1, Text: bundle})
	for n := range identity.RegionShards {
		var digests []identity.RegionDigest
		if d := identity.DigestRegion("nyc", "good"); d.Shard() == n {
			digests = append(digests, d)
		}
		g.tell(eventlog.TrustText{Kind: eventlog.TrustRegions, KeyID: fmt.Sprintf("%02x", n), Version: 1, Text: identity.EncodeRegions(digests)})
	}
}

// start runs the agent; it waits until posts are taken.
func (g *target) start() {
	g.t.Helper()
	log, ended := new(clitest.Log), make(chan int, 1)
	ctx, cancel := context.WithCancel(g.ctx)
	cmd := agentcmd.New()
	cmd.SetErr(log)
	cmd.SetArgs([]string{"--id", "target", "--dir", g.dir, "--nats", g.nats, "--listen", "127.0.0.1:0", "--log-format", "json", "--receive", strings.TrimPrefix(g.url, "http://")})
	go func() { ended <- cli.Run(ctx, cmd) }()
	g.stop = func() {
		cancel()
		if code := <-ended; code != 0 {
			g.t.Errorf("exit code %d\n%s", code, log)
		}
		g.stop = func() {}
	}
	g.metrics = fmt.Sprintf("http://%v/metrics", log.Wait(g.ctx, g.t, "serving health and metrics")["address"])
}

// be turns the fleet strict or permissive, and waits until the receiver knows.
func (g *target) be(strict bool) {
	g.t.Helper()
	g.strict++
	g.posture = eventlog.Posture{Strict: strict, Sequence: g.strict, Generation: 1, Since: time.Now().Add(-time.Hour).UTC()}
	text, err := json.Marshal(g.posture)
	if err != nil {
		g.t.Fatal(err)
	}
	g.tell(eventlog.TrustText{Kind: eventlog.TrustPosture, Version: g.strict, Text: text})
	g.until(fmt.Sprintf("fleetfold_receiver_posture_sequence %d", g.strict))
}

// until waits until the metrics have the line.
func (g *target) until(line string) {
	g.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, body := clitest.Get(g.ctx, g.t, g.metrics); strings.Contains(body, line+"\n") {
			return
		}
		select {
		case <-tick.C:
		case <-g.ctx.Done():
			g.t.Fatalf("never %s", line)
		}
	}
}

func counts(reason fleet.Reason, n int) string {
	return fmt.Sprintf("fleetfold_posts_received_total{reason=%q,result=\"refused\"} %d", reason, n)
}

// holder has a key, and the chain that make gives it.
func (g *target) holder(id fleet.NodeID, make func(n *node) string) *receiver.Credential {
	g.t.Helper()
	key, _, err := identity.LoadOrCreateKey(filepath.Join(g.t.TempDir(), "key.pem"))
	if err != nil {
		g.t.Fatal(err)
	}
	return &receiver.Credential{Key: key, ChainPEM: []byte(make(&node{id: id, key: key})), ID: "spiffe://" + domain + "/" + string(id)}
}

func (g *target) good() *receiver.Credential {
	g.t.Helper()
	return g.holder("good", func(n *node) string { return g.nyc.issue(n.id, n.key, time.Now()) })
}

// post is a post in structured mode, signed by c unless that is nil.
func (g *target) post(c *receiver.Credential) *http.Request {
	g.t.Helper()
	g.sent++
	body := fmt.Sprintf(`{"specversion":"1.0","id":"%d","type":"attack","source":"stranger","data":{"x":1}}`, g.sent)
	var signed []byte
	record := &receiver.Transport{
		Base: carrier(func(r *http.Request) (*http.Response, error) {
			var err error
			signed, err = io.ReadAll(r.Body)
			return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, err
		}),
		Credential: func() (*receiver.Credential, func(), error) { return c, nil, nil },
	}
	req := g.request(strings.NewReader(body))
	if _, err := record.RoundTrip(req); err != nil {
		g.t.Fatal(err)
	}
	return g.request(bytes.NewReader(signed))
}

type carrier func(*http.Request) (*http.Response, error)

func (f carrier) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (g *target) request(body io.Reader) *http.Request {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.ctx, http.MethodPost, g.url, body)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/cloudevents+json")
	return req
}

// answers sends the request and checks the answer.
func (g *target) answers(req *http.Request, status int, reason fleet.Reason) {
	g.t.Helper()
	client := http.Client{Transport: g.transport}
	got, err := client.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil || got.StatusCode != status || got.Header.Get(receiver.ReasonHeader) != string(reason) {
		g.t.Errorf("answered %d %s %s, %v; want %d %s", got.StatusCode, got.Header.Get(receiver.ReasonHeader), text, err, status, reason)
	}
	g.note(got)
}

// note counts a refusal.
func (g *target) note(answer *http.Response) {
	if reason := answer.Header.Get(receiver.ReasonHeader); reason != "" && answer.StatusCode != http.StatusServiceUnavailable {
		g.refused[fleet.Reason(reason)]++
	}
}

// revoke publishes the list of nyc's issuer.
func (g *target) revoke(number uint64, entries ...identity.Revoked) {
	g.t.Helper()
	der, err := g.nyc.ca.CRL(entries, number, time.Now(), time.Now().Add(time.Hour))
	if err != nil {
		g.t.Fatal(err)
	}
	g.tell(eventlog.TrustText{Kind: eventlog.TrustCRL, KeyID: identity.KeyIDOf(g.nyc.ca.Fingerprint()), Version: number, Text: der})
}
