package eventlog

import (
	"hash/maphash"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// lastBeat is what a node said last and what was accepted of it.
type lastBeat struct {
	digest uint64
	beat   *events.Heartbeat
	node   fleet.NodeID
}

// knownLeases remembers the newest accepted heartbeat of each node, so that one
// that says the same again is not decoded: that is nearly all of them. What
// differs in anything but its id and its time is judged anew.
type knownLeases struct {
	seed      maphash.Seed
	bySubject map[string]lastBeat
	// bundles are held once each: a fleet has few of them.
	bundles map[string]string
}

// maxBundles bounds what nodes can have us remember.
const maxBundles = 64

func newKnownLeases() *knownLeases {
	return &knownLeases{seed: maphash.MakeSeed(), bySubject: make(map[string]lastBeat), bundles: make(map[string]string)}
}

// forget gives up what was remembered; nothing is refused or accepted for that.
func (k *knownLeases) forget() {
	clear(k.bySubject)
	clear(k.bundles)
}

// sighting is sightingAt, for one who remembers.
func (k *knownLeases) sighting(subjects events.Subjects, m *nats.Msg, at time.Time) Sighting {
	digest, plain := k.digest(m)
	if plain {
		if last, known := k.bySubject[m.Subject]; known && last.digest == digest {
			return Sighting{Node: last.node, Heartbeat: last.beat, Time: at}
		}
	}
	s := sightingAt(subjects, m, at)
	switch {
	case s.Err != nil:
	case s.Heartbeat == nil:
		delete(k.bySubject, m.Subject)
	case plain:
		s.Heartbeat.Bundle = k.bundle(s.Heartbeat.Bundle)
		k.bySubject[m.Subject] = lastBeat{digest: digest, beat: s.Heartbeat, node: s.Node}
	}
	return s
}

func (k *knownLeases) bundle(digest string) string {
	if held, ok := k.bundles[digest]; ok {
		return held
	}
	if len(k.bundles) < maxBundles {
		k.bundles[digest] = digest
	}
	return digest
}

// repeated are the headers that stay the same from one heartbeat to the next.
var repeated = [...]string{
	"ce-specversion", "ce-source", "ce-type", "ce-datacontenttype", "ce-dataschema", "ce-subject", headerTTL,
}

const (
	headerID     = "ce-id"
	headerSaid   = "ce-time"
	headerSource = "Nats-Stream-Source"
)

// digest covers all that a heartbeat says but its id and its time. plain is
// false where it has any other header than an agent writes: then somebody has to
// read it. The seed is ours, so that nobody can choose two heartbeats with one
// digest; who could would only repeat itself.
func (k *knownLeases) digest(m *nats.Msg) (digest uint64, plain bool) {
	if len(m.Data) == 0 || len(m.Data) > maxSaid {
		return 0, false
	}
	var h maphash.Hash
	h.SetSeed(k.seed)
	for _, name := range repeated {
		value, ok := only(m.Header, name)
		if !ok {
			return 0, false
		}
		_, _ = h.WriteString(value) // never fails
		_ = h.WriteByte(0)          // a header has none
	}
	_, _ = h.Write(m.Data)
	others := 2
	if _, sourced := m.Header[headerSource]; sourced {
		others++
	}
	if len(m.Header) != len(repeated)+others {
		return 0, false
	}
	id, hasID := only(m.Header, headerID)
	said, hasTime := only(m.Header, headerSaid)
	return h.Sum64(), hasID && hasTime && plainID(id) && plainTime(said)
}

func only(header nats.Header, name string) (string, bool) {
	values := header[name]
	if len(values) != 1 {
		return "", false
	}
	return values[0], true
}

// maxPlain is the longest id that is looked at here.
const maxPlain = 128

func plainID(s string) bool {
	if s == "" || len(s) > maxPlain {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7F || c == '%' {
			return false
		}
	}
	return true
}

func plainTime(s string) bool {
	if len(s) > maxPlain || strings.IndexByte(s, '%') >= 0 {
		return false
	}
	at, err := time.Parse(time.RFC3339Nano, s)
	return err == nil && !at.IsZero()
}
