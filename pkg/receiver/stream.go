package receiver

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// Bus is where the trust stream is; *eventlog.Bus is one.
type Bus interface {
	Trust(ctx context.Context) (eventlog.Trusts, error)
}

// Anchor is what a receiver knows of itself: its trust domain, and roots that it
// was given, which count until a bundle is published.
type Anchor struct {
	TrustDomain string
	Roots       [][]byte
}

// Stream is a Source for those who may not read the log: it follows the trust
// stream. Run does that.
type Stream struct {
	anchor func() *Anchor
	logger zerolog.Logger

	mu    sync.Mutex
	known Trust // of what was published; its mutex is not used
	roots [][]byte
	// regions is replaced at each change, for it is handed out.
	regions *identity.RegionSet
	// made is handed out for as long as neither it nor the anchor changes.
	made *Trust
	of   *Anchor
}

// FromStream returns a Source that knows nothing until it runs. anchor is asked for
// each post; it may return nil, and must return the same pointer as long as nothing
// has changed. Without one the trust domain is the one that the roots name.
func FromStream(anchor func() *Anchor, logger zerolog.Logger) *Stream {
	return &Stream{anchor: anchor, logger: logger, regions: new(identity.RegionSet)}
}

// Trust implements Source.
func (s *Stream) Trust() *Trust {
	anchor := s.anchor()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made != nil && s.of == anchor {
		return s.made
	}
	t := &Trust{Known: s.known.Known, Posture: s.known.Posture, CRLs: s.known.CRLs, Roots: s.roots}
	if anchor != nil {
		t.TrustDomain = anchor.TrustDomain
		if t.Roots == nil {
			t.Roots = anchor.Roots
		}
	}
	if s.regions.Complete() {
		t.Region = s.regions.Allows
	}
	if t.TrustDomain == "" {
		t.TrustDomain = domainOf(t.Roots)
	}
	s.made, s.of = t, anchor
	return t
}

// Bounds of the wait before the stream is followed anew.
const (
	firstWait   = 250 * time.Millisecond
	longestWait = 15 * time.Second
)

// Run follows the stream until ctx ends. What cannot be followed is tried again.
func (s *Stream) Run(ctx context.Context, bus Bus) {
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		err := s.follow(ctx, bus)
		if ctx.Err() != nil {
			return
		}
		s.logger.Warn().Err(err).Dur(field.Wait, wait).Msg("cannot follow posture and roots, trying again")
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

func (s *Stream) follow(ctx context.Context, bus Bus) error {
	feed, err := bus.Trust(ctx)
	if err != nil {
		return err
	}
	defer feed.Close()
	for {
		texts, err := feed.Next(ctx)
		if err != nil {
			return err
		}
		for _, text := range texts {
			if err := s.Take(text); err != nil {
				s.logger.Warn().Err(err).Str(field.Kind, string(text.Kind)).Msg("text of the trust stream not taken")
			}
		}
	}
}

// Take takes a text of the trust stream. An older posture than the one that is
// known changes nothing.
func (s *Stream) Take(text eventlog.TrustText) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch text.Kind {
	case eventlog.TrustPosture:
		var p eventlog.Posture
		if err := json.Unmarshal(text.Text, &p); err != nil {
			return refuse(BadEvent, "the posture is not JSON: "+err.Error())
		}
		if s.known.Known && p.Sequence <= s.known.Posture.Sequence {
			return nil
		}
		s.known.Known, s.known.Posture = true, p
		s.logger.Info().Bool(field.Strict, p.Strict).Uint64(field.Seq, p.Sequence).Uint64(field.Generation, p.Generation).Msg("posture changed")
	case eventlog.TrustBundle:
		// The format does not say the domain, and reading needs one: any will do.
		roots, _, err := identity.ParseSPIFFEBundle("unknown", text.Text)
		if err != nil {
			return err
		}
		s.roots = roots
	case eventlog.TrustCRL:
		lists := maps.Clone(s.known.CRLs) // the old map was handed out
		if lists == nil {
			lists = make(map[string][]byte)
		}
		lists[text.KeyID] = text.Text
		s.known.CRLs = lists
	case eventlog.TrustRegions:
		shard, err := strconv.ParseUint(text.KeyID, 16, 8)
		if err != nil {
			return refuse(identity.RegionsUnparsable, fmt.Sprintf("part %.20q of the regions is no number", text.KeyID))
		}
		regions, err := s.regions.With(int(shard), text.Text)
		if err != nil {
			return err
		}
		s.regions = regions
	}
	s.made = nil
	return nil
}

// domainOf is the trust domain that all roots name, as those of package identity do;
// empty if one names none or another.
func domainOf(roots [][]byte) (domain string) {
	for _, root := range roots {
		chain, err := identity.ParseChain(root)
		if err != nil || len(chain[0].URIs) != 1 || chain[0].URIs[0].Scheme != "spiffe" {
			return ""
		}
		name := chain[0].URIs[0].Host
		if domain != "" && domain != name {
			return ""
		}
		domain = name
	}
	return domain
}
