package natsd_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/busdir"
	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/buslog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// refusingBus is a server of which the test hears whom it refuses: by the process
// that it is in, or by the file that it writes as its configuration says.
type refusingBus struct {
	*secureBus
	heard chan buslog.Refusal
}

func newRefusingBus(t *testing.T, mode busconf.Mode, inFile bool) *refusingBus {
	t.Helper()
	b := &refusingBus{&secureBus{t: t, dir: t.TempDir(), mode: mode, config: busconf.Config{TrustDomain: "fleet.example", Nodes: []fleet.NodeID{"a", "b"}}}, make(chan buslog.Refusal, 10_000)}
	tell := func(r buslog.Refusal) { b.heard <- r }
	if !inFile {
		b.write()
		b.server = start(t, natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort, Config: busdir.ConfigFile(b.dir), Logger: zerolog.Nop(), Refused: tell})
		return b
	}
	b.config.LogDir = t.TempDir()
	b.write()
	settings, err := server.ProcessConfigFile(busdir.ConfigFile(b.dir))
	if err != nil {
		t.Fatal(err)
	}
	settings.Host, settings.Port, settings.HTTPPort, settings.StoreDir, settings.NoSigs = "127.0.0.1", server.RANDOM_PORT, 0, t.TempDir(), true
	ns, err := server.NewServer(settings)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- buslog.File{Path: b.config.LogFile(), Every: time.Millisecond, Tell: tell, Trouble: func(err error) { t.Error(err) }}.Run(ctx)
	}()
	ns.ConfigureLogger()
	ns.Start()
	t.Cleanup(func() {
		ns.Shutdown()
		ns.WaitForShutdown()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if !ns.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server is not ready")
	}
	b.elsewhere = "tls://" + ns.Addr().String()
	return b
}

// tells waits for exactly this refusal, and passes over no other.
func (b *refusingBus) tells(why string, reason fleet.Reason, node fleet.NodeID, detail string) {
	b.t.Helper()
	select {
	case r := <-b.heard:
		if b.mode == busconf.Tokens && node != "" { // the server knows it by its key
			if !strings.HasPrefix(r.User, "U") || r.Node() != "" {
				b.t.Errorf("%s: by user %q", why, r.User)
			}
		} else if r.Node() != node {
			b.t.Errorf("%s: by node %q, want %q", why, r.Node(), node)
		}
		if r.Reason != reason || !strings.Contains(r.Detail, detail) {
			b.t.Errorf("%s: %+v, want %s with %q", why, r, reason, detail)
		}
	case <-time.After(30 * time.Second):
		b.t.Fatalf("%s: the server's log says nothing of it", why)
	}
}

func (b *refusingBus) silent() {
	b.t.Helper()
	select {
	case r := <-b.heard:
		b.t.Errorf("and it says %+v", r)
	default:
	}
}

// Whatever the server of go.mod refuses, its log says so in a way that is read, and
// whom, in a process of ours and in its own file.
func TestWhomTheServerRefusesIsHeard(t *testing.T) {
	for where, inFile := range map[string]bool{"in the process": false, "in a file": true} {
		t.Run(where, func(t *testing.T) {
			inEachMode(t, func(t *testing.T, mode busconf.Mode) {
				b := newRefusingBus(t, mode, inFile)
				b.clientsThatMayNot()
				b.clientsThatSendTooMuch()
				b.strangers()
				b.silent()
			})
		})
	}
}

// evil is a name that means to be read as something else, by the server, too.
const evil = "x\" - \"NODES/user:spiffe://fleet.example/b\" - Publish Violation - Subject \"y\"\n\x1b[2J"

func (b *refusingBus) clientsThatMayNot() {
	for _, name := range []string{"", "agent", evil} {
		c, err := b.tryDial(busdir.Node(b.dir, "a"), nats.Name(name), nats.CustomInboxPrefix(busconf.NodeInbox("fleet", "a")))
		if err != nil {
			b.t.Fatal(err)
		}
		for what, subject := range map[string]string{
			"presence of another": "fleet.presence.b", "actions": "fleet.actions.enroll-node.a", "the end of a stream": "$JS.API.STREAM.DELETE.FLEET",
		} {
			c.send(subject, "")
			b.tells("publishing "+what, buslog.PermissionPublish, "a", fmt.Sprintf("%q", subject))
		}
		c.send("fleet.presence.a", "$JS.ACK.FLEET.executor.1.1.1.1.1")
		b.tells("an answer to where it may not write", buslog.PermissionReply, "a", "$JS.ACK")
		if _, err := c.SubscribeSync("fleet.actions.>"); err != nil {
			b.t.Fatal(err)
		}
		b.tells("reading actions", buslog.PermissionSubscribe, "a", `"fleet.actions.>"`)
		if _, err := c.QueueSubscribeSync("fleet.command.b", "q"); err != nil {
			b.t.Fatal(err)
		}
		b.tells("commands of another", buslog.PermissionSubscribe, "a", `"fleet.command.b"`)
		c.Close()
	}
	c := b.as(busconf.Auditor)
	c.send("fleet.events.plan", "")
	r := <-b.heard
	known := r.User == busconf.Auditor.URI() || b.mode == busconf.Tokens && strings.HasPrefix(r.User, "U")
	if r.Reason != buslog.PermissionPublish || r.Node() != "" || !known {
		b.t.Errorf("a service: %+v", r)
	}
	c.Close()
}

func (b *refusingBus) clientsThatSendTooMuch() {
	for line, want := range map[string]fleet.Reason{
		"PUB fleet.presence.a 8388608\r\n":                            buslog.PayloadTooLarge,
		"HPUB fleet.presence.a 8388608 8388608\r\n":                   buslog.PayloadTooLarge,
		"PUB fleet.presence." + strings.Repeat("a", 8<<10) + " 2\r\n": buslog.ControlLineTooLong,
		"RUBBISH\r\n":   buslog.ProtocolError,
		"PUB x y z\r\n": buslog.ProtocolError,
	} {
		b.raw("a", line)
		b.tells(fmt.Sprintf("%.40q", line), want, "a", "")
	}
}

func (b *refusingBus) strangers() {
	own := cli.InFolder(busdir.Node(b.dir, "a"))
	foreign := cli.InFolder(busdir.Node(another(b.t, busdir.Options{Config: b.config, Mode: b.mode}), "a"))
	for why, c := range map[string]struct {
		options []nats.Option
		want    fleet.Reason
		detail  string
	}{
		"no certificate":          {nil, buslog.TLSHandshake, "didn't provide a certificate"},
		"of another authority":    {[]nats.Option{nats.ClientCert(foreign.Cert, foreign.Key)}, buslog.TLSHandshake, "unknown authority"},
		"an expired certificate":  {[]nats.Option{nats.ClientCert(cli.InFolder(b.expired(own.CA)).Cert, own.Key)}, buslog.TLSHandshake, "expired"},
		"a certificate of nobody": {[]nats.Option{nats.ClientCert(filepath.Join(b.dir, "ca", "ca.crt"), filepath.Join(b.dir, "ca", "ca.key"))}, buslog.Authentication, ""},
	} {
		nc, err := nats.Connect(b.url(), append(c.options, nats.RootCAs(own.CA), nats.NoReconnect())...)
		if err == nil {
			nc.Close()
			b.t.Errorf("%s was let in", why)
		}
		b.tells(why, c.want, "", c.detail)
	}
}

// What a stream answers to a header only the node hears; the planner sees the
// header on its way, from the account of the nodes, and disturbs no answer.
func TestHeadersOfANodeAreSeen(t *testing.T) { inEachMode(t, headersOfANodeAreSeen) }

func headersOfANodeAreSeen(t *testing.T, mode busconf.Mode) {
	b := secureBusIn(t, mode, "a")
	told := make(chan string, 100)
	stop, err := b.planner.WatchHeaders(t.Context(), func(id fleet.NodeID, err error) { told <- fmt.Sprint(id, " ", err) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	a := b.node("a")
	for header, value := range map[string]string{
		"Nats-Rollup": "all", "Nats-Schedule": "@every 1s", "Nats-Incr": "1", "Nats-Batch-Id": "x", "Nats-Expected-Stream": "FLEET", "Nats-Expected-Last-Sequence": "99",
	} {
		for _, channel := range []string{"presence", "credential"} {
			m := nats.NewMsg("fleet." + channel + ".a")
			m.Header.Set(header, value)
			answer, err := a.RequestMsgWithContext(patience(t), m)
			if err != nil || firstKey(answer.Data) != "error" {
				t.Errorf("%s: %v, %v; want a refusal", header, answer, err)
			}
			select {
			case got := <-told:
				if want := fmt.Sprintf("a forbidden_header: header %q on %q", header, m.Subject); !strings.HasPrefix(got, want) {
					t.Errorf("told %q, want %q", got, want)
				}
			case <-patience(t).Done():
				t.Fatalf("nothing is told of %s", header)
			}
		}
	}
	if got := b.count("FLEET_INGEST", ">"); got != 0 || len(told) > 0 {
		t.Errorf("%d messages were stored, %d more told of", got, len(told))
	}
}
