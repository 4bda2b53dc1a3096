package simulate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// credential is what a node holds that was given one.
type credential struct {
	// talk lets one command or request of the node be handled at a time.
	talk          sync.Mutex
	held, pending *events.CredentialDelivered // both change under Simulation.mu
	rotating      bool
	failures      int
}

// commandWorkers handle commands side by side: most of their time is signatures.
const commandWorkers = 16

// stateTime bounds the wait for the acknowledgement of a proof; the issuer
// delivers again.
const stateTime = 5 * time.Second

func noEvidence(context.Context, fleet.Attestor, attest.Challenge) (*attest.Evidence, error) {
	return nil, nil
}

// key of node i. It is made again whenever it is needed, so that it needs no room.
func (s *Simulation) key(i int) (*ecdsa.PrivateKey, error) {
	for n := uint32(0); ; n++ { // nearly every 32 bytes are a key
		h := hmac.New(sha256.New, s.secret[:])
		_ = binary.Write(h, binary.BigEndian, [2]uint32{uint32(i), n}) // never fails
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), h.Sum(nil))
		if err == nil || n > 100 {
			return key, err
		}
	}
}

const fingerprintPrefix = "sha256:"

// speaker of node i, without its key. mu is held.
func (s *Simulation) speaker(i int, n *node) agent.Speaker {
	if !n.hasKey {
		n.fingerprint, n.hasKey = s.fingerprint(i), true
	}
	count := new(atomic.Uint64)
	count.Store(uint64(n.said))
	return agent.Speaker{
		Node: s.ID(i), Fingerprint: fingerprintPrefix + hex.EncodeToString(n.fingerprint[:]),
		Session: s.run + "-" + strconv.Itoa(i) + "-" + strconv.FormatUint(uint64(n.life), 10),
		Count:   count, Now: time.Now,
	}
}

// fingerprint of the node's key; of a node without one, that of no key at all.
func (s *Simulation) fingerprint(i int) (sum [32]byte) {
	if !s.PresenceOnly {
		if key, err := s.key(i); err == nil {
			if text, err := identity.Fingerprint(key.Public()); err == nil {
				if raw, err := hex.DecodeString(text[len(fingerprintPrefix):]); err == nil && copy(sum[:], raw) == len(sum) {
					return sum
				}
			}
		}
	}
	return sha256.Sum256(strconv.AppendInt(s.secret[:len(s.secret):len(s.secret)], int64(i), 10))
}

// signer is the speaker with its key, for one who does not hold mu.
func (s *Simulation) signer(i int) (agent.Speaker, error) {
	key, err := s.key(i)
	if err != nil {
		return agent.Speaker{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := &s.nodes[i]
	n.said++
	speaker := s.speaker(i, n)
	speaker.Key = key
	return speaker, nil
}

// holding is what a heartbeat names. mu is held.
func (s *Simulation) holding(n *node) (h agent.Holding) {
	h.Bundle = s.bundle
	if c := n.credential; c != nil {
		if c.held != nil {
			h.Serial = c.held.Serial
		}
		if c.pending != nil {
			h.PendingSerial = c.pending.Serial
		}
	}
	return h
}

// serve answers commands for all nodes.
func (s *Simulation) serve(ctx context.Context) (stop func(), err error) {
	if s.PresenceOnly {
		return func() {}, nil
	}
	mine := func(id fleet.NodeID) bool {
		i, ours := s.index(id)
		if !ours || s.halted.Load() {
			return false
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		n := &s.nodes[i]
		return !n.down && !n.gone && n.said > 0
	}
	return s.Bus.ServeCommandsOf(ctx, mine, commandWorkers, s.answer)
}

func (s *Simulation) answer(ctx context.Context, command *events.Event) *events.Event {
	answered := new(events.CommandAnswered)
	i, _ := s.index(command.Node)
	speaker, err := s.signer(i)
	if err == nil {
		err = s.obey(ctx, i, speaker, command, answered)
	}
	s.account.commands.Add(1)
	if err != nil {
		answered.Error = err.Error()
		s.account.refused.Add(1)
		s.Logger.Debug().Err(err).Str(field.Node, string(command.Node)).Str(field.Command, string(command.Type)).Msg("command refused")
	}
	return speaker.Event(events.TypeCommandAnswered, events.NodeSource(command.Node), answered)
}

func (s *Simulation) obey(ctx context.Context, i int, speaker agent.Speaker, command *events.Event, answered *events.CommandAnswered) error {
	c := s.credentialOf(i)
	c.talk.Lock()
	defer c.talk.Unlock()
	switch d := command.Data.(type) {
	case *events.CertificateRequested:
		return speaker.CertificateRequest(ctx, d, s.Evidence, answered)
	case *events.CredentialDelivered:
		if err := speaker.Check(d); err != nil {
			return fmt.Errorf("check credential: %w", err)
		}
		s.hold(i, c, d, nil)
		return s.prove(ctx, speaker, d)
	case *events.CredentialConfirmed:
		return s.confirm(i, c, d.Serial)
	case *events.CredentialRotationRequested:
		s.rotate(i, c, d.Serial)
		return nil
	case *events.NodeStopRequested:
		return s.stop(ctx, i, d.Forget)
	}
	return fmt.Errorf("command %q is not known", command.Type)
}

func (s *Simulation) credentialOf(i int) *credential {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := &s.nodes[i]
	if n.credential == nil {
		n.credential = new(credential)
	}
	return n.credential
}

// hold keeps what the node was given, and plans the renewal of what it uses.
func (s *Simulation) hold(i int, c *credential, held, pending *events.CredentialDelivered) {
	held, pending = s.shared(held), s.shared(pending)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.held != held {
		c.rotating, c.failures = false, 0
	}
	c.held, c.pending = held, pending
	if s.bundle == "" && held != nil {
		s.bundle = events.BundleDigest([]byte(held.BundlePEM))
	}
	if pending == nil && held != nil {
		s.renewals.add(i, agent.RenewalDue(held, s.draw(drawRenewal, i, s.nodes[i].said)))
	}
}

func (s *Simulation) prove(ctx context.Context, speaker agent.Speaker, d *events.CredentialDelivered) error {
	e, err := speaker.Proof(d)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stateTime)
	defer cancel()
	if err := s.Bus.State(ctx, e); err != nil {
		return fmt.Errorf("publish proof: %w", err)
	}
	return nil
}

func (s *Simulation) confirm(i int, c *credential, serial string) error {
	s.mu.Lock()
	held, pending := c.held, c.pending
	s.mu.Unlock()
	switch {
	case held != nil && held.Serial == serial:
		return nil
	case pending == nil || pending.Serial != serial:
		return fmt.Errorf("confirm credential: none with serial %s is held", serial)
	}
	s.hold(i, c, pending, nil)
	s.account.renewed.Add(1)
	return nil
}

// beatNow sends a heartbeat besides those of the schedule.
func (s *Simulation) beatNow(ctx context.Context, i int) error {
	s.mu.Lock()
	n := &s.nodes[i]
	n.said++
	_, lease := s.rhythm()
	beat := s.speaker(i, n).Heartbeat(lease, s.holding(n), false)
	s.mu.Unlock()
	return s.Bus.Beat(ctx, s.ID(i), beat, lease)
}

// stop ends a node for good.
func (s *Simulation) stop(ctx context.Context, i int, forget bool) error {
	s.mu.Lock()
	n := &s.nodes[i]
	n.gone = true
	if forget {
		n.credential = nil
	}
	n.said++
	n.until = 0
	_, lease := s.rhythm()
	beat := s.speaker(i, n).Heartbeat(lease, agent.Holding{}, true)
	s.mu.Unlock()
	if err := s.Bus.Beat(ctx, s.ID(i), beat, lease); err != nil {
		return fmt.Errorf("say farewell: %w", err)
	}
	return nil
}

// shared is d with the texts that all nodes have in common held once: roots, and
// what the certificate says beside the node's own.
func (s *Simulation) shared(d *events.CredentialDelivered) *events.CredentialDelivered {
	if d == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range []*string{&d.BundlePEM, &d.TrustDomain, &d.Region} {
		*text = s.texts.one(*text)
	}
	return d
}

// texts are held once each, as many as there is room for.
type texts map[string]string

const maxTexts = 1024

func (t texts) one(text string) string {
	if held, ok := t[text]; ok {
		return held
	}
	if len(t) < maxTexts {
		t[text] = text
	}
	return text
}
