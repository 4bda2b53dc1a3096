package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// TrustKind says what a text of the trust stream is.
type TrustKind string

// The kinds.
const (
	// TrustBundle is the trust bundle in the SPIFFE format (JSON). Its version is
	// the sequence of the log at which the roots changed last.
	TrustBundle TrustKind = "bundle"
	// TrustCRL is the revocation list of one issuer (DER). Its version is its
	// number.
	TrustCRL TrustKind = "crl"
	// TrustPosture is a Posture (JSON). Its version is the sequence of the fact.
	TrustPosture TrustKind = "posture"
	// TrustRegions is one part of which region's intermediate may sign for which
	// nodes; see identity.RegionSet. Its version is twenty bits more than the
	// sequence of the inventory, and grows below it as moved nodes settle.
	TrustRegions TrustKind = "regions"
	// TrustPace is an events.Pace (JSON). Its version is the sequence of the log on
	// which it was found.
	TrustPace TrustKind = "pace"
)

// TrustText is what the trust stream says of one thing. It is not verified.
type TrustText struct {
	Kind TrustKind
	// KeyID of a revocation list's issuer, lower-case hex; of regions, the part in
	// two such digits; empty otherwise.
	KeyID string
	// Version grows; an older one never takes the place of a newer.
	Version uint64
	Text    []byte
}

// Posture is the text of TrustPosture: whether receivers refuse unsigned posts.
type Posture struct {
	Strict bool `json:"strict"`
	// Sequence of the fact that said so and the Generation of the inventory that
	// it was decided for; 0: nothing was ever said, the fleet is permissive.
	Sequence   uint64 `json:"sequence"`
	Generation uint64 `json:"generation"`
	// Since is when the log stored the fact; left out while there is none.
	Since time.Time `json:"since,omitzero"`
}

const (
	// headerVersion carries TrustText.Version in decimal.
	headerVersion = "Fleetfold-Version"
	// headerSubject repeats the subject. A node may have the server answer it on
	// whatever subject it names, with what is stored and with these headers: what
	// says that it belongs elsewhere is passed over.
	headerSubject = "Fleetfold-Subject"
)

// trustTries bounds how often a lost race is run again: each time somebody else
// has published something.
const trustTries = 10

// PublishTrust puts a text on the trust stream unless one of the same or a newer
// version is there; published says whether it did. Of regions, nor does the same
// text take its own place: a new inventory changes few of many parts.
func (b *Bus) PublishTrust(ctx context.Context, t TrustText) (published bool, err error) {
	subject, err := t.subject(b.subjects)
	if err != nil {
		return false, fmt.Errorf("publish trust: %w", err)
	}
	for range trustTries {
		last, there, known, err := b.lastTrust(ctx, subject)
		if err != nil {
			return false, fmt.Errorf("publish %s: %w", subject, err)
		}
		if known && (there.Version >= t.Version || t.Kind == TrustRegions && bytes.Equal(there.Text, t.Text)) {
			return false, nil
		}
		m := &nats.Msg{Subject: subject, Data: t.Text, Header: nats.Header{}}
		m.Header.Set(headerVersion, strconv.FormatUint(t.Version, 10))
		m.Header.Set(headerSubject, subject)
		m.Header.Set(jetstream.ExpectedStreamHeader, b.trustStream())
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(last, 10))
		if _, err = b.js.PublishMsg(ctx, m); err == nil {
			return true, nil
		}
		if !isConflict(err) {
			return false, fmt.Errorf("publish %s: %w", subject, plain(err))
		}
		if err := b.pause(ctx, 0); err != nil {
			return false, fmt.Errorf("publish %s: %w", subject, err)
		}
	}
	return false, fmt.Errorf("publish %s: %w", subject, ErrConflict)
}

func (t TrustText) subject(s events.Subjects) (string, error) {
	switch {
	case t.Kind == TrustBundle && t.KeyID == "":
		return s.TrustBundle(), nil
	case t.Kind == TrustPosture && t.KeyID == "":
		return s.TrustPosture(), nil
	case t.Kind == TrustPace && t.KeyID == "":
		return s.TrustPace(), nil
	case t.Kind == TrustCRL && isHex(t.KeyID):
		return s.TrustCRL(t.KeyID), nil
	case t.Kind == TrustRegions && isHex(t.KeyID) && len(t.KeyID) == 2:
		return s.TrustRegions(t.KeyID), nil
	}
	return "", fmt.Errorf("there is no kind %q with key id %q", t.Kind, t.KeyID)
}

func isHex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdef") == ""
}

// lastTrust is the sequence of the newest message on a subject, 0 for none, and
// its text, unless that cannot be read: rubbish gives way to any text.
func (b *Bus) lastTrust(ctx context.Context, subject string) (seq uint64, t TrustText, known bool, err error) {
	s, err := b.js.Stream(ctx, b.trustStream())
	if err != nil {
		return 0, TrustText{}, false, plain(err)
	}
	m, err := s.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, TrustText{}, false, nil
	}
	if err != nil {
		return 0, TrustText{}, false, plain(err)
	}
	t, unreadable := trustTextOf(b.subjects, subject, m.Header, m.Data)
	return m.Sequence, t, unreadable == nil, nil
}

func trustTextOf(s events.Subjects, subject string, header nats.Header, data []byte) (TrustText, error) {
	version, err := strconv.ParseUint(header.Get(headerVersion), 10, 64)
	if err != nil {
		return TrustText{}, &events.Refusal{Reason: events.ReasonBadHeader, Detail: fmt.Sprintf("header %s is %q", headerVersion, header.Get(headerVersion))}
	}
	if of := header.Get(headerSubject); of != subject {
		return TrustText{}, &events.Refusal{Reason: events.ReasonWrongSubject, Detail: fmt.Sprintf("a text of %q came on %q", of, subject)}
	}
	t := TrustText{Version: version, Text: data}
	keyID, crl := strings.CutPrefix(subject, s.TrustCRL(""))
	shard, regions := strings.CutPrefix(subject, s.TrustRegions(""))
	switch {
	case crl && isHex(keyID):
		t.Kind, t.KeyID = TrustCRL, keyID
	case regions && isHex(shard) && len(shard) == 2:
		t.Kind, t.KeyID = TrustRegions, shard
	case subject == s.TrustBundle():
		t.Kind = TrustBundle
	case subject == s.TrustPosture():
		t.Kind = TrustPosture
	case subject == s.TrustPace():
		t.Kind = TrustPace
	default:
		return TrustText{}, &events.Refusal{Reason: events.ReasonWrongSubject, Detail: fmt.Sprintf("%q is no subject of the trust stream", subject)}
	}
	return t, nil
}
