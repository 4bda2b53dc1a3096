package natsd_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
)

// The server answers on whatever subject a node names, with what it has stored and
// with its headers: also on those on which nodes hear what is trusted. What one text
// says must not be taken for another.
func TestANodeCannotHaveTheServerSayWhatIsTrusted(t *testing.T) {
	inEachMode(t, aNodeCannotHaveTheServerSayWhatIsTrusted)
}

func aNodeCannotHaveTheServerSayWhatIsTrusted(t *testing.T, mode busconf.Mode) {
	b := secureBusIn(t, mode, "a", "b")
	executor := b.bus(busconf.Executor)
	tell := func(text eventlog.TrustText) {
		t.Helper()
		if _, err := executor.PublishTrust(patience(t), text); err != nil {
			t.Fatal(err)
		}
	}
	posture := func(strict bool, version uint64) {
		t.Helper()
		text, err := json.Marshal(eventlog.Posture{Strict: strict, Sequence: version, Generation: 1, Since: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		tell(eventlog.TrustText{Kind: eventlog.TrustPosture, Version: version, Text: text})
	}
	const keyID, newest = "00aa", 1 << 40
	posture(true, 5)
	tell(eventlog.TrustText{Kind: eventlog.TrustBundle, Version: 3, Text: []byte("{}")})
	tell(eventlog.TrustText{Kind: eventlog.TrustCRL, KeyID: keyID, Version: newest, Text: []byte("a list")})
	if _, err := executor.PublishPace(patience(t), events.Pace{Sequence: newest, IntervalSeconds: 1, Nodes: 2}); err != nil {
		t.Fatal(err)
	}
	heard := listen(t, b)
	heard.until(eventlog.TrustPosture, 5)
	heard.until(eventlog.TrustCRL, newest)

	a := b.node("a")
	for _, stored := range []string{"fleet.trust.crl." + keyID, "fleet.trust.pace", "fleet.trust.posture", "fleet.trust.bundle"} {
		for _, as := range []string{"fleet.trust.posture", "fleet.trust.bundle", "fleet.trust.pace", "fleet.trust.crl." + keyID, "fleet.trust.regions.00"} {
			m := `{"last_by_subj":"` + stored + `"}`
			if err := a.PublishRequest("$JS.API.DIRECT.GET.FLEET_TRUST", as, []byte(m)); err != nil {
				t.Fatal(err)
			}
			if err := a.PublishRequest("$JS.API.DIRECT.GET.FLEET_TRUST."+stored, as, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
	posture(true, 6)
	heard.until(eventlog.TrustPosture, 6)
	posture(false, 7)
	heard.until(eventlog.TrustPosture, 7)
	for _, text := range heard.all {
		want := map[eventlog.TrustKind][]uint64{
			eventlog.TrustPosture: {5, 6, 7}, eventlog.TrustBundle: {3}, eventlog.TrustCRL: {newest}, eventlog.TrustPace: {newest},
		}
		if !slices.Contains(want[text.Kind], text.Version) {
			t.Errorf("heard %s of version %d: %s", text.Kind, text.Version, text.Text)
		}
	}
}

// heard is what node b was told of.
type heard struct {
	t    *testing.T
	feed eventlog.Trusts
	all  []eventlog.TrustText
}

func listen(t *testing.T, b *secureBus) *heard {
	t.Helper()
	feed, err := b.agent("b").Trust(patience(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(feed.Close)
	return &heard{t: t, feed: feed}
}

func (h *heard) until(kind eventlog.TrustKind, version uint64) {
	h.t.Helper()
	for !slices.ContainsFunc(h.all, func(text eventlog.TrustText) bool { return text.Kind == kind && text.Version == version }) {
		texts, err := h.feed.Next(patience(h.t))
		if err != nil {
			h.t.Fatalf("%s of version %d is never heard: %v", kind, version, err)
		}
		h.all = append(h.all, texts...)
	}
}
