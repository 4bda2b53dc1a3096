package eventlog

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// heartbeatAt is a heartbeat of node n.1 as it lies in the lease stream.
func heartbeatAt(tb testing.TB, n int, data events.Heartbeat) *nats.Msg {
	tb.Helper()
	e := &events.Event{
		ID: events.NewID("beat", string(rune('a'+n))), Source: events.NodeSource("n.1"), Type: events.TypeNodeHeartbeat,
		Node: "n.1", Time: time.Date(2026, 1, 2, 3, 4, n, 5, time.UTC), Data: &data,
	}
	m, err := events.Encode(events.DefaultSubjects(), e)
	if err != nil {
		tb.Fatal(err)
	}
	header := nats.Header(m.Header)
	header.Set(headerTTL, "15s")
	header.Set(headerSource, "FLEET_INGEST 7 fleet.presence.* fleet.presence.* fleet.presence.n%2E1")
	return &nats.Msg{Subject: m.Subject, Header: header, Data: m.Data}
}

var quiet = events.Heartbeat{Session: "s", LeaseSeconds: 15, KeyFingerprint: "sha256:0000000000000000000000000000000000000000000000000000000000000000"}

func TestAHeartbeatThatSaysTheSameIsNotDecodedAgain(t *testing.T) {
	k, subjects, at := newKnownLeases(), events.DefaultSubjects(), time.Now()
	first := k.sighting(subjects, heartbeatAt(t, 1, quiet), at)
	if first.Err != nil || first.Heartbeat == nil || first.Node != "n.1" {
		t.Fatalf("the first is %+v", first)
	}
	second := k.sighting(subjects, heartbeatAt(t, 2, quiet), at.Add(time.Second))
	if second.Heartbeat != first.Heartbeat || second.Node != "n.1" || !second.Time.Equal(at.Add(time.Second)) {
		t.Errorf("the second is %+v", second)
	}
	other := quiet
	other.Session = "t"
	if third := k.sighting(subjects, heartbeatAt(t, 3, other), at); third.Err != nil || third.Heartbeat.Session != "t" {
		t.Errorf("another session is %+v", third)
	}
	if back := k.sighting(subjects, heartbeatAt(t, 4, quiet), at); back.Err != nil || back.Heartbeat.Session != "s" {
		t.Errorf("the first session again is %+v", back)
	}
}

// What has been accepted once opens no door for what would be refused.
func TestWhatDiffersFromTheLastHeartbeatIsJudged(t *testing.T) {
	for says, change := range map[string]func(*nats.Msg){
		"another source":      func(m *nats.Msg) { m.Header.Set("ce-source", "urn:fleetfold:node:other") },
		"another node":        func(m *nats.Msg) { m.Header["ce-subject"] = []string{"other"} },
		"another type":        func(m *nats.Msg) { m.Header["ce-type"] = []string{string(events.TypeNodeLost)} },
		"no schema":           func(m *nats.Msg) { delete(m.Header, "ce-dataschema") },
		"no end":              func(m *nats.Msg) { m.Header.Del(headerTTL) },
		"a lease without end": func(m *nats.Msg) { m.Header.Set(headerTTL, "never") },
		"no id":               func(m *nats.Msg) { delete(m.Header, "ce-id") },
		"two ids":             func(m *nats.Msg) { m.Header["ce-id"] = []string{"a", "b"} },
		"a blank id":          func(m *nats.Msg) { m.Header["ce-id"] = []string{" "} },
		"no time":             func(m *nats.Msg) { delete(m.Header, "ce-time") },
		"a time that is none": func(m *nats.Msg) { m.Header["ce-time"] = []string{"yesterday"} },
		"a doubled attribute": func(m *nats.Msg) { m.Header["Ce-Type"] = []string{"x"} },
		"an unknown field": func(m *nats.Msg) {
			m.Data = []byte(`{"session":"s","lease_seconds":15,"key_fingerprint":"sha256:0000000000000000000000000000000000000000000000000000000000000000","x":1}`)
		},
		"a lease of no time": func(m *nats.Msg) {
			m.Data = []byte(`{"session":"s","lease_seconds":0,"key_fingerprint":"sha256:0000000000000000000000000000000000000000000000000000000000000000"}`)
		},
		"nothing": func(m *nats.Msg) { m.Data = nil },
		"more than a node may": func(m *nats.Msg) {
			m.Data = append(slices.Clone(m.Data), slices.Repeat([]byte(" "), maxSaid)...)
		},
	} {
		t.Run(says, func(t *testing.T) {
			k, subjects := newKnownLeases(), events.DefaultSubjects()
			if s := k.sighting(subjects, heartbeatAt(t, 1, quiet), time.Now()); s.Err != nil {
				t.Fatal(s.Err)
			}
			m := heartbeatAt(t, 2, quiet)
			m.Header = maps.Clone(m.Header)
			change(m)
			if s := k.sighting(subjects, m, time.Now()); s.Err == nil {
				t.Errorf("it is taken as %+v", s.Heartbeat)
			}
		})
	}
}

// Whoever is gone is not remembered: nodes come and go for ever.
func TestTheEndOfALeaseIsForgotten(t *testing.T) {
	k, subjects := newKnownLeases(), events.DefaultSubjects()
	m := heartbeatAt(t, 1, quiet)
	if s := k.sighting(subjects, m, time.Now()); s.Err != nil {
		t.Fatal(s.Err)
	}
	marker := &nats.Msg{Subject: m.Subject, Header: nats.Header{headerMarker: {"MaxAge"}}}
	if s := k.sighting(subjects, marker, time.Now()); s.Err != nil || s.Heartbeat != nil || s.Node != "n.1" {
		t.Errorf("the marker is %+v", s)
	}
	if len(k.bySubject) != 0 {
		t.Errorf("remembered: %v", k.bySubject)
	}
}

func BenchmarkSighting(b *testing.B) {
	m := heartbeatAt(b, 1, quiet)
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sightingAt(events.DefaultSubjects(), m, time.Time{})
		}
	})
	b.Run("renewal", func(b *testing.B) {
		b.ReportAllocs()
		k := newKnownLeases()
		for b.Loop() {
			k.sighting(events.DefaultSubjects(), m, time.Time{})
		}
	})
}
