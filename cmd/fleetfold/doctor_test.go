package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/doctor"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// patient is a server with the streams of a fleet, and a bus to it.
type patient struct {
	t      *testing.T
	server *natsd.Server
	bus    *eventlog.Bus
}

func newPatient(t *testing.T, o natsd.Options) *patient {
	t.Helper()
	o.Dir, o.Port, o.MonitorPort = t.TempDir(), natsd.RandomPort, natsd.RandomPort
	server, err := natsd.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	bus, err := eventlog.Connect(t.Context(), eventlog.Options{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	if err := bus.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &patient{t, server, bus}
}

// ask sends a request in the words of the protocol: what these tests do to the
// server, nothing of ours can.
func (p *patient) ask(subject, body string) map[string]any {
	p.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(p.server.URL(), "nats://"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(c, "CONNECT {\"verbose\":false}\r\nSUB answer 1\r\nPUB %s answer %d\r\n%s\r\n", subject, len(body), body)
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			p.t.Fatalf("%s: %v", subject, err)
		}
		words := strings.Fields(line)
		if words[0] == "-ERR" {
			p.t.Fatalf("%s: %s", subject, line)
		}
		if words[0] != "MSG" {
			continue
		}
		var size int
		if _, err := fmt.Sscan(words[len(words)-1], &size); err != nil {
			p.t.Fatal(err)
		}
		text := make([]byte, size)
		if _, err := io.ReadFull(r, text); err != nil {
			p.t.Fatal(err)
		}
		answer := make(map[string]any)
		if err := json.Unmarshal(text, &answer); err != nil || answer["error"] != nil {
			p.t.Fatalf("%s answers %s", subject, text)
		}
		return answer
	}
}

// remake replaces a stream by an empty one whose settings were changed.
func (p *patient) remake(stream string, change func(config map[string]any)) {
	p.t.Helper()
	config := p.ask("$JS.API.STREAM.INFO."+stream, "")["config"].(map[string]any)
	change(config)
	text, err := json.Marshal(config)
	if err != nil {
		p.t.Fatal(err)
	}
	p.ask("$JS.API.STREAM.DELETE."+stream, "")
	p.ask("$JS.API.STREAM.CREATE."+stream, string(text))
}

func (p *patient) append(e *events.Event) {
	p.t.Helper()
	if _, err := p.bus.Log().Append(p.t.Context(), eventlog.Entry{Event: e}); err != nil {
		p.t.Fatal(err)
	}
}

const fingerprint = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

func nodeAppeared(id fleet.NodeID) *events.Event {
	return &events.Event{
		ID: "appeared-" + string(id), Source: events.SourcePlanner, Type: events.TypeNodeAppeared, Node: id, Time: time.Now().UTC(),
		Data: &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: fingerprint},
	}
}

func (p *patient) beat(id fleet.NodeID) {
	p.t.Helper()
	e := &events.Event{
		ID: "beat-" + string(id), Source: events.NodeSource(id), Type: events.TypeNodeHeartbeat, Node: id, Time: time.Now().UTC(),
		Data: &events.Heartbeat{Session: "s", LeaseSeconds: 60, KeyFingerprint: fingerprint},
	}
	if err := p.bus.Beat(p.t.Context(), id, e, time.Minute); err != nil {
		p.t.Fatal(err)
	}
}

// listens is an executor that has nothing to do.
func (p *patient) listens() (stop func()) {
	p.t.Helper()
	actions, err := p.bus.Actions(p.t.Context(), 4, time.Minute)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(p.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = actions.Next(ctx) // it ends with the context: nobody appends an action
	}()
	stop = func() {
		cancel()
		<-ended
		actions.Close()
	}
	p.t.Cleanup(stop)
	return stop
}

// examine runs the command and returns its exit code and findings by check.
func (p *patient) examine(now func() time.Time) (int, map[string]doctor.Finding) {
	p.t.Helper()
	var out, errs bytes.Buffer
	cmd := newDoctorAt(now)
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs([]string{"-o", "json", "--nats", p.server.URL(), "--monitor", p.server.MonitorURL()})
	code := cli.Run(p.t.Context(), cmd)
	var report doctorJSON
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		p.t.Fatalf("exit code %d, %s%s: %v", code, &out, &errs, err)
	}
	found := make(map[string]doctor.Finding)
	for _, f := range report.Findings {
		found[f.Check] = f
	}
	return code, found
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	for does, c := range map[string]struct {
		options natsd.Options
		harm    func(*patient)
		ours    time.Duration // how far our clock is ahead
		code    int
		// found says of each check that is not ok what it must contain.
		found map[string]string
	}{
		"nothing, when all is well": {harm: func(*patient) {}},
		"a stream that was set otherwise": {
			harm: func(p *patient) {
				p.remake("FLEET_INGEST", func(c map[string]any) { c["max_age"] = time.Hour })
				p.beat("a")
			},
			code: 1, found: map[string]string{"streams": "max_age of FLEET_INGEST is 1h0m0s, must be 2m0s"},
		},
		"a server that does not sync": {
			options: natsd.Options{SyncInterval: time.Minute}, harm: func(*patient) {},
			code: 2, found: map[string]string{"durability": "server embedded syncs every 1m0s"},
		},
		"a message that was taken out of the log": {
			harm: func(p *patient) {
				p.remake("FLEET", func(c map[string]any) { delete(c, "deny_delete") })
				p.append(nodeAppeared("a"))
				p.append(nodeAppeared("b"))
				p.append(nodeAppeared("a"))
				p.ask("$JS.API.STREAM.MSG.DELETE.FLEET", `{"seq":2}`)
				p.listens()
			},
			code: 1, found: map[string]string{
				"streams": "deny_delete of FLEET is false", "gap": "2 messages up to sequence 3, 1 missing",
				"fold": "The fold ends behind sequence 1: ", "unfit": "not read to its end", "presence": "not read to its end", "plan": "not read to its end",
			},
		},
		"messages that are no event": {
			harm: func(p *patient) {
				p.ask("fleet.events.plan", "{}")
				p.ask("fleet.events.nonsense", "")
			},
			code: 2, found: map[string]string{"unfit": "2 messages of the log are no event, the newest at sequence 3 on fleet.events.nonsense"},
		},
		"a clock that is an hour ahead": {
			harm: func(*patient) {}, ours: time.Hour,
			code: 1, found: map[string]string{"clock": "1h0m0s behind ours"},
		},
		"a clock that is two seconds behind": {
			harm: func(*patient) {}, ours: -2 * time.Second,
			code: 2, found: map[string]string{"clock": "2s ahead of ours"},
		},
		"a consumer that would skip actions": {
			harm: func(p *patient) {
				config := p.ask("$JS.API.CONSUMER.INFO.FLEET.executor", "")["config"].(map[string]any)
				config["max_deliver"] = 3
				text, err := json.Marshal(map[string]any{"stream_name": "FLEET", "config": config})
				if err != nil {
					p.t.Fatal(err)
				}
				p.ask("$JS.API.CONSUMER.DURABLE.CREATE.FLEET.executor", string(text))
			},
			code: 1, found: map[string]string{"consumer": "max_deliver of executor is 3, must be -1"},
		},
	} {
		t.Run(does, func(t *testing.T) {
			p := newPatient(t, c.options)
			p.append(nodeAppeared("a"))
			p.beat("a")
			p.listens()
			c.harm(p)
			code, found := p.examine(func() time.Time { return time.Now().Add(c.ours) })
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for check, f := range found {
				want, wrong := c.found[check]
				if wrong == (f.State == doctor.OK) || !strings.Contains(f.Text, want) {
					t.Errorf("%s is %s: %s; want %q", check, f.State, f.Text, want)
				}
			}
		})
	}
}

func TestDoctorFindsThatNobodyExecutes(t *testing.T) {
	p := newPatient(t, natsd.Options{})
	if code, found := p.examine(time.Now); code != 2 || !strings.Contains(found["executors"].Text, "No executor has ever") {
		t.Errorf("before the first: %d, %+v", code, found["executors"])
	}
	stop := p.listens()
	if code, found := p.examine(time.Now); code != 0 || found["executors"].State != doctor.OK {
		t.Errorf("with one: %d, %+v", code, found["executors"])
	}
	stop()
	// The server keeps its request for the time it was given.
	for end := time.Now().Add(30 * time.Second); ; {
		code, found := p.examine(time.Now)
		if code == 2 && strings.HasPrefix(found["executors"].Text, "No executor waits for actions") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("after it: %d, %+v", code, found["executors"])
		}
	}
}

func TestTheWorstFindingComesLast(t *testing.T) {
	var out bytes.Buffer
	err := doctorText(&out, []doctor.Finding{
		{Check: "a", State: doctor.Fail, Text: "A.", Next: "mend a"}, {Check: "object-store", State: doctor.OK, Text: "B."},
		{Check: "c", State: doctor.Warn, Text: "C."}, {Check: "d", State: doctor.Unknown, Text: "D."}, {Check: "e", State: doctor.OK, Text: "E."},
	}, false)
	want := []string{
		"ok       object-store  B.", "ok       e             E.", "unknown  d             D.", "warn     c             C.",
		"fail     a             A.", "                       next: mend a", "5 checks: 2 ok, 1 unknown, 1 warn, 1 fail", "",
	}
	if got := strings.Split(out.String(), "\n"); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, got\n%s", err, &out)
	}
}
