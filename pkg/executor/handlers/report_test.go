package handlers_test

import (
	"crypto/rand"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor/handlers"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/receiver"
)

// What a node says that it has refused becomes facts that name nobody but it, once
// an executor has said that it took the report; from who is no node nothing does.
func TestWhatANodeReportsIsAFact(t *testing.T) {
	d := newDesk(t, 50*time.Minute, 10*time.Minute)
	cursor, err := d.bus.Log().Follow(d.ctx, 0)
	must(t, err)
	defer cursor.Close()
	d.open()
	report := func(id fleet.NodeID, refused ...events.Refused) *events.CommandAnswered {
		return d.ask(&events.Event{
			ID: rand.Text(), Source: events.NodeSource(id), Type: events.TypeRefusalReported, Node: id, Time: time.Now().Add(-24 * time.Hour),
			Data: &events.RefusalReported{Refused: refused},
		}).(*events.CommandAnswered)
	}
	unsigned := events.Refused{Channel: events.RefusedPost, Reason: receiver.Unsigned, Detail: "from \"me\": \u202e", Count: 41}
	if a := report("stray", unsigned); a.Taken || a.Reason != handlers.RefusedNotDesired {
		t.Errorf("of a node that nobody knows: %+v", a)
	}
	if a := report("b", unsigned, events.Refused{Channel: events.RefusedFile, Reason: identity.FileDamaged, Detail: "x", Count: 1}); !a.Taken {
		t.Errorf("not taken: %+v", a)
	}
	if a := report("b", events.Refused{Channel: events.RefusedPost, Reason: "made_up", Detail: "x", Count: 1}); !a.Taken {
		t.Errorf("not taken: %+v", a)
	}
	got := map[string]uint64{}
	for len(got) < 3 {
		records, err := cursor.Next(d.ctx)
		must(t, err)
		for _, r := range records {
			if m, ok := r.Event.Data.(*events.MessageRefused); ok && m.Channel != "request" {
				if m.Node != "b" || r.Event.Node != "b" || r.Event.Source != events.SourceExecutor {
					t.Errorf("the log says %+v of %s", m, r.Event.Source)
				}
				got[m.Channel+" "+string(m.Reason)] += m.Count
			}
		}
	}
	if want := map[string]uint64{"post unsigned": 41, "file file_damaged": 1, "post others": 1}; !maps.Equal(got, want) {
		t.Errorf("the log says %v, want %v", got, want)
	}
	counted := `# HELP fleetfold_refusals_reported_total What nodes refused and reported to this executor, by channel (post, file) and reason.
# TYPE fleetfold_refusals_reported_total counter
fleetfold_refusals_reported_total{channel="file",reason="file_damaged"} 1
fleetfold_refusals_reported_total{channel="post",reason="others"} 1
fleetfold_refusals_reported_total{channel="post",reason="unsigned"} 41
`
	if err := testutil.CollectAndCompare(d.metrics, strings.NewReader(counted), "fleetfold_refusals_reported_total"); err != nil {
		t.Error(err)
	}
}
