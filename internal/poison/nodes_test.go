package poison

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/internal/cli/clitest"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/planner"
)

var time0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func (w *world) heartbeat() events.Message {
	m := w.event(events.TypeNodeHeartbeat, "stray", &events.Heartbeat{Session: "s", LeaseSeconds: 2, KeyFingerprint: key})
	m.Header["Nats-TTL"] = []string{"2s"}
	return m
}

func (w *world) statement() events.Message {
	m := w.event(events.TypeCredentialProved, "n1", &events.CredentialProved{Epoch: 1, Serial: "ab", Nonce: "00112233445566778899aabbccddeeff"})
	m.Subject = w.bus.Subjects().Credential("n1")
	return m
}

var said = []struct {
	does, channel string
	reason        fleet.Reason
	bend          func(*events.Message)
}{
	{"a heartbeat of a type that nobody knows", "presence", events.ReasonUnknownType, header("ce-type", "node.exploded")},
	{"a heartbeat that never ends", "presence", events.ReasonBadHeader, func(m *events.Message) { delete(m.Header, "Nats-TTL") }},
	{"a heartbeat for a year", "presence", events.ReasonBadHeader, header("Nats-TTL", "8760h")},
	{"a heartbeat of somebody else", "presence", events.ReasonWrongIdentity, header("ce-source", "node/other")},
	{"a heartbeat on the subject of another node", "presence", events.ReasonWrongSubject, on("fleet.presence.another")},
	{"a heartbeat that does not fit its schema", "presence", events.ReasonSchema, body([]byte(`{"session":"","lease_seconds":2,"key_fingerprint":"k"}`))},
	{"an empty heartbeat", "presence", events.ReasonBadData, body(nil)},
	{"an empty heartbeat that says there are no messages", "presence", events.ReasonBadAttribute, func(m *events.Message) {
		m.Data, m.Header = nil, map[string][]string{"Status": {"404"}}
	}},
	{"a heartbeat of 8 MB", "presence", events.ReasonOversize, body(bytes.Repeat([]byte("x"), 8<<20))},
	{"a heartbeat of 100 kB of blanks", "presence", events.ReasonOversize, func(m *events.Message) {
		m.Data = append(bytes.Repeat([]byte(" "), 100<<10), m.Data...)
	}},
	{"a heartbeat nested a hundred thousand deep", "presence", events.ReasonOversize, body(bytes.Repeat([]byte("["), 100_000))},
	{"a heartbeat on a subject that is no node's", "presence", planner.RefusedUnreadable, on("fleet.presence.%zz")},

	{"a proof without a signature", "credential", planner.RefusedNoChallenge, func(*events.Message) {}},
	{"a proof whose signature is no base64", "credential", events.ReasonBadAttribute, header("ce-dssematerial", "!!")},
	{"a proof whose signature is no envelope", "credential", planner.RefusedNoChallenge, header("ce-dssematerial", "AAAA")},
	{"a proof that does not fit its schema", "credential", events.ReasonSchema, body([]byte(`{"epoch":1,"serial":"XYZ","nonce":"n"}`))},
	{"a proof on the subject of another node", "credential", events.ReasonWrongSubject, on("fleet.credential.n2")},
	{"a heartbeat where proofs belong", "credential", events.ReasonUnknownType, header("ce-type", "credential.stolen")},
	{"a proof of 8 MB", "credential", events.ReasonOversize, body(bytes.Repeat([]byte("x"), 8<<20))},
	{"an empty proof that says the consumer is gone", "credential", events.ReasonBadAttribute, func(m *events.Message) {
		m.Data, m.Header = nil, map[string][]string{"Status": {"409"}, "Description": {"Consumer Deleted"}}
	}},
}

// Each is refused at the border and counted, and leads to no fact.
func TestWhatNodesSayAndDoesNotFitHarmsNobody(t *testing.T) {
	w := newWorld(t)
	w.fleet()
	for _, c := range said {
		t.Run(c.does, func(t *testing.T) {
			w.t = t
			m := w.heartbeat()
			if c.channel == "credential" {
				m = w.statement()
			}
			c.bend(&m)
			series := fmt.Sprintf("fleetfold_messages_refused_total{channel=%q,reason=%q}", c.channel, c.reason)
			before := w.planner.metric(w.ctx, t, series)
			w.put(m)
			w.await(w.planner, series, before+1)
			w.errand()
		})
	}
	if last, err := w.bus.Log().LastOn(w.ctx, w.bus.Subjects().Node("stray")); err != nil || last != 0 {
		t.Errorf("a refused heartbeat led to a fact at %d, %v", last, err)
	}
}

// An agent answers what it cannot take as a command with an error, and goes on.
func TestACommandThatDoesNotFitHarmsNoAgent(t *testing.T) {
	w := newWorld(t)
	w.fleet()
	stop := w.event(events.TypeNodeStopRequested, "n1", &events.NodeStopRequested{Reason: "x"})
	for does, bend := range map[string]func(*events.Message){
		"of a type that nobody knows":    header("ce-type", "node.exploded"),
		"that is a fact":                 header("ce-type", "node.lost"),
		"for another node":               header("ce-subject", "n2"),
		"that is empty":                  body(nil),
		"of 8 MB":                        body(bytes.Repeat([]byte("x"), 8<<20)),
		"nested a hundred thousand deep": body(bytes.Repeat([]byte("["), 100_000)),
		"without any header":             func(m *events.Message) { m.Header = nil },
		"that says nobody listens":       func(m *events.Message) { m.Header, m.Data = map[string][]string{"Status": {"503"}}, nil },
	} {
		t.Run("a command "+does, func(t *testing.T) {
			m := events.Message{Subject: stop.Subject, Header: map[string][]string{}, Data: stop.Data}
			for k, v := range stop.Header {
				m.Header[k] = v
			}
			bend(&m)
			reply, err := w.nc.RequestMsgWithContext(w.ctx, &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
			if err != nil || !strings.Contains(string(reply.Data), `"error":"`) {
				t.Errorf("the agent answers %+v, %v", reply, err)
			}
		})
	}
	w.errand()
}

// join brings a node in, which needs an enrolment, a certificate and a proof.
func (w *world) join(id fleet.NodeID) {
	w.t.Helper()
	w.nodes = append(w.nodes, id)
	w.write()
	w.next("node "+string(id)+" is asked for", func(e *events.Event) bool { return e.Type == events.TypeEnrollNode && e.Node == id })
	w.startAgent(id)
	w.next("node "+string(id)+" is enrolled", func(e *events.Event) bool {
		d, ok := e.Data.(*events.ActionSucceeded)
		return ok && d.ID == id
	})
}

func TestARootThatIsRubbishKeepsNobodyFromProving(t *testing.T) {
	w := newWorld(t)
	w.fleet()
	for _, pem := range []string{"rubbish", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n" + strings.Repeat("A", 60_000)} {
		w.put(w.event(events.TypeTrustPublished, "", &events.TrustPublished{TrustDomain: "fleet.example", Fingerprint: key, CertificatePEM: pem}))
	}
	w.join("n3")
	w.errand()
}

// Nobody can decide on an inventory that nobody can read: the planner says so,
// the executor ends neither now nor when it is started again, and the next
// inventory ends it.
func TestAnInventoryThatCannotBeReadStopsDecidingAndNothingElse(t *testing.T) {
	for does, digest := range map[string]func(*world) string{
		"whose text is nowhere":  func(*world) string { return key },
		"whose digest is none":   func(*world) string { return "x" },
		"whose text is not one":  func(w *world) string { return w.store("rubbish: [") },
		"whose text is long":     func(w *world) string { return w.store(strings.Repeat("# x\n", 50_000)) },
		"whose text nests deep":  func(w *world) string { return w.store("regions: " + strings.Repeat("[", 50_000)) },
		"whose text grows large": func(w *world) string { return w.store(bomb()) },
	} {
		t.Run("an inventory "+does, func(t *testing.T) {
			w := newWorld(t)
			w.fleet()
			w.put(w.event(events.TypeInventoryApplied, "", &events.InventoryApplied{Digest: digest(w), Generation: w.generation + 1, Actor: "x"}))
			w.await(w.planner, "fleetfold_planner_blocked", 1)
			if code, text := clitest.Get(w.ctx, t, w.planner.url+"/readyz"); code != 503 || !strings.Contains(text, "inventory") {
				t.Errorf("readyz answers %d %s", code, text)
			}
			second := w.startExecutor("second")
			second.log.Wait(w.ctx, t, "cannot read the inventory in force, the root issuer waits for another")
			w.errand()
			if code, text := clitest.Get(w.ctx, t, w.planner.url+"/readyz"); code != 200 {
				t.Errorf("with another inventory, readyz answers %d %s", code, text)
			}
		})
	}
}

func (w *world) store(text string) string {
	w.t.Helper()
	digest, err := w.bus.PutInventory(w.ctx, []byte(text))
	if err != nil || digest != inventory.Digest([]byte(text)) {
		w.t.Fatal(digest, err)
	}
	return digest
}

// bomb is a text whose aliases stand for a billion values.
func bomb() string {
	text := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 9; i++ {
		text += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return text
}

// The newest message of a node takes the place of its lease. When that cannot
// be read the lease must end all the same.
func TestANodeThatSaysOnlyRubbishIsLost(t *testing.T) {
	w := newWorld(t)
	w.fleet()
	w.nodes = append(w.nodes, "stray")
	w.write()
	w.next("the node is asked for", func(e *events.Event) bool { return e.Type == events.TypeEnrollNode && e.Node == "stray" })
	w.put(w.heartbeat())
	w.next("the node is seen", func(e *events.Event) bool { return e.Type == events.TypeNodeAppeared && e.Node == "stray" })
	rubbish := w.heartbeat()
	rubbish.Data = []byte("rubbish")
	delete(rubbish.Header, "Nats-TTL")
	w.put(rubbish)
	w.next("the node is lost", func(e *events.Event) bool { return e.Type == events.TypeNodeLost && e.Node == "stray" })
}
