package handlers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Requests hands over what nodes ask for, as eventlog.Bus does.
type Requests interface {
	ServeRequests(ctx context.Context, handle func(context.Context, *events.Event) *events.Event, refused func(fleet.NodeID, error)) (stop func(), err error)
}

const (
	// renewTimeout bounds the work on one request.
	renewTimeout = 5 * time.Second
	// confirmTimeout is how long a proof is waited for; the agent asks by itself
	// when nothing comes.
	confirmTimeout = 30 * time.Second
	// maxConfirming bounds the proofs that are waited for at once.
	maxConfirming = 256
)

// Renewer renews credentials, at the request of nodes: no plan and no action is
// behind it. It also asks the nodes of a rotation to make that request. Any
// number of executors of a fleet may each have one.
type Renewer struct {
	Config
	requests   Requests
	facts      *eventlog.Group // as an issuer's
	limits     *limits
	reports    *limits // apart, so that reports keep nobody from a renewal
	metrics    *RenewalMetrics
	confirming chan struct{} // a place for each proof that is waited for
	work       sync.WaitGroup
}

// NewRenewer returns a Renewer. Of the configuration it needs what New requires,
// and no Driver and no Attest. metrics may be nil.
func NewRenewer(c Config, requests Requests, metrics *RenewalMetrics) (*Renewer, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	if requests == nil {
		return nil, errors.New("configure renewer: requests are required")
	}
	if c, err = c.withIssuers(); err != nil {
		return nil, err
	}
	if metrics == nil {
		metrics = NewRenewalMetrics()
	}
	return &Renewer{
		Config: c, requests: requests, facts: eventlog.NewGroup(c.Log), limits: newLimits(), reports: newLimits(), metrics: metrics,
		confirming: make(chan struct{}, maxConfirming),
	}, nil
}

// Run answers requests and drives rotations until ctx ends, and returns nil
// then. The view must run meanwhile.
func (r *Renewer) Run(ctx context.Context) error {
	if err := r.View.CatchUp(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("fold to the end of the log: %w", err)
	}
	stop, err := r.requests.ServeRequests(ctx, r.Handle, r.refuse)
	if ctx.Err() != nil && err != nil {
		return nil
	}
	if err != nil {
		return err
	}
	defer r.work.Wait()
	defer stop()
	r.rotateOn(ctx)
	return nil
}

// Handle answers one request. It may be called from several goroutines.
func (r *Renewer) Handle(ctx context.Context, request *events.Event) *events.Event {
	limited, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	answer, err := r.serve(limited, request)
	if err == nil {
		if d, ok := answer.Data.(*events.CredentialDelivered); ok {
			r.confirmLater(ctx, request.Node, d.Epoch, d.Serial)
		}
		return answer
	}
	if fleet.ReasonOf(err) == "" {
		err = &fleet.Refusal{Reason: ReasonIssuer, Detail: err.Error()}
	}
	if _, report := request.Data.(*events.RefusalReported); report && fleet.ReasonOf(err) == RefusedTooMany {
		r.metrics.count(resultRefused, RefusedTooMany) // it comes again, and is nobody's fault
	} else {
		r.refuse(request.Node, err)
	}
	return eventlog.RequestRefused(request.Node, request.ID, r.Now(), err)
}

// refuse counts and reports what is not served, and has it told on the log.
func (r *Renewer) refuse(id fleet.NodeID, err error) {
	reason := fleet.ReasonOf(err)
	if reason == "" {
		reason = eventlog.ReasonUnreadable
	}
	r.metrics.count(resultRefused, reason)
	level := zerolog.WarnLevel
	if reason == RefusedTooMany {
		level = zerolog.DebugLevel // nobody may fill the log, either
	}
	r.Logger.WithLevel(level).Str(field.Channel, "request").Str(field.Node, string(id)).Str(field.Reason, string(reason)).Err(err).Msg("refused a message")
	if r.Refusals != nil {
		r.Refusals.Add("request", id, err)
	}
}

// serve looks at the newest fold: an executor that lags behind would issue twice
// what another one has issued already.
func (r *Renewer) serve(ctx context.Context, e *events.Event) (*events.Event, error) {
	if report, ok := e.Data.(*events.RefusalReported); ok {
		return r.takeReport(ctx, e, report)
	}
	d, ok := e.Data.(*events.RenewalRequested)
	if !ok {
		return nil, &fleet.Refusal{Reason: events.ReasonUnknownType, Detail: fmt.Sprintf("a node may not request %s", e.Type)}
	}
	if err := r.limits.admit(e.Node, r.Now()); err != nil {
		return nil, err
	}
	if err := fresh(e.Time, r.Now()); err != nil {
		return nil, err
	}
	known := false
	for {
		c, err := r.claim(ctx, e, d)
		if err != nil {
			return nil, err
		}
		if !known {
			if err := r.limits.once(e.Node, d.Nonce, r.Now()); err != nil {
				return nil, err
			}
			known = true // the same request, decided again
		}
		answer, err := r.decide(ctx, c)
		if !errors.Is(err, eventlog.ErrConflict) {
			return answer, err
		}
	}
}

// decide gives the one answer that fits what the log says now.
func (r *Renewer) decide(ctx context.Context, c *claim) (*events.Event, error) {
	proved, issued := c.node.Proved, c.node.Issued
	switch {
	case c.PendingSerial == proved.Serial:
		r.metrics.count(resultConfirmed, "")
		return r.answer(c, events.TypeCredentialConfirmed, &events.CredentialConfirmed{Serial: proved.Serial}), nil
	case c.Serial != proved.Serial: // it has lost what it proved
		return r.redeliver(ctx, c, proved)
	case c.PendingSerial != "" && (issued == nil || issued.Serial != c.PendingSerial):
		return nil, &fleet.Refusal{Reason: RefusedSuperseded, Detail: "another credential was issued since the pending one"}
	case c.waiting():
		return r.redeliver(ctx, c, issued)
	}
	if early := c.tooEarly(r.Now()); early != nil {
		return nil, early
	}
	return r.issue(ctx, c)
}

func (r *Renewer) redeliver(ctx context.Context, c *claim, held *projection.Credential) (*events.Event, error) {
	issued, err := eventlog.IssuedAt(ctx, r.Log, held.Sequence)
	if err != nil {
		return nil, fmt.Errorf("get certificate of node %s: %w", c.desired.ID, err)
	}
	r.metrics.count(resultRepeated, "")
	return r.delivery(c, held.Serial, held.Nonce, issued.CertificatePEM), nil
}

// issue appends credential.issued on the condition that nothing was said of the
// node since the fold it was decided on.
func (r *Renewer) issue(ctx context.Context, c *claim) (*events.Event, error) {
	ca, err := r.Issuers.For(ctx, c.inventory, c.desired)
	if err != nil {
		return nil, err
	}
	issued, err := ca.Issue(c.csr, c.desired.ID, c.desired.CredTTL, r.Now())
	if err != nil {
		return nil, err
	}
	nonce, err := newNonce()
	if err != nil {
		return nil, err
	}
	fact := &events.Event{
		ID:     events.NewID(string(events.TypeCredentialIssued), string(c.desired.ID), issued.Serial),
		Source: events.SourceExecutor, Type: events.TypeCredentialIssued, Node: c.desired.ID, Time: r.Now(),
		Data: &events.CredentialIssued{
			Epoch: c.node.Epoch, Renews: c.node.Proved.Serial, Serial: issued.Serial, Nonce: nonce, KeyFingerprint: issued.KeyFingerprint,
			NotBefore: issued.NotBefore, NotAfter: issued.NotAfter, Issuer: issued.Issuer, CertificatePEM: string(issued.CertificatePEM),
		},
	}
	seq, err := r.facts.Append(ctx, eventlog.Entry{Event: fact, Fence: eventlog.LastOnSubject(c.last)})
	if err != nil {
		return nil, fmt.Errorf("append %s: %w", fact.Type, err)
	}
	r.metrics.count(resultIssued, "")
	r.Logger.Info().Str(field.Node, string(c.desired.ID)).Str(field.Serial, issued.Serial).Uint64(field.Seq, seq).
		Time(field.NotAfter, issued.NotAfter).Msg("credential renewed")
	return r.delivery(c, issued.Serial, nonce, string(issued.CertificatePEM)), nil
}

func (r *Renewer) delivery(c *claim, serial, nonce, certificate string) *events.Event {
	return r.answer(c, events.TypeCredentialDelivered, &events.CredentialDelivered{
		Epoch: c.node.Epoch, Serial: serial, Nonce: nonce, TrustDomain: c.inventory.TrustDomain, Region: regionOf(c.inventory, c.desired.ID),
		CertificatePEM: certificate, BundlePEM: bundle(r.View, c.inventory.TrustDomain), RenewBeforeSeconds: wholeSeconds(c.desired.RenewBefore),
	})
}

// wholeSeconds rounds up, for 0 would mean that nothing was said.
func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

func (r *Renewer) answer(c *claim, kind events.Type, data events.Payload) *events.Event {
	return r.tellNode(c.desired.ID, kind, data, c.request)
}

// tellNode makes an event to a node.
func (r *Renewer) tellNode(id fleet.NodeID, kind events.Type, data events.Payload, cause ...string) *events.Event {
	return &events.Event{
		ID:     events.NewID(append([]string{string(kind), string(id)}, cause...)...),
		Source: events.SourceExecutor, Type: kind, Node: id, Time: r.Now(), Data: data,
	}
}

// confirmLater tells the agent as soon as the log says that it has proved the
// credential, so that it need not ask. Where too many are waited for, it asks.
func (r *Renewer) confirmLater(ctx context.Context, id fleet.NodeID, epoch uint64, serial string) {
	select {
	case r.confirming <- struct{}{}:
	default:
		return
	}
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	r.work.Go(func() {
		defer func() { <-r.confirming }()
		defer cancel()
		if r.awaitProved(ctx, id, epoch, serial) {
			confirmTo(ctx, r.Config, r.tellNode(id, events.TypeCredentialConfirmed, &events.CredentialConfirmed{Serial: serial}, serial))
		}
	})
}

func (r *Renewer) awaitProved(ctx context.Context, id fleet.NodeID, epoch uint64, serial string) (proved bool) {
	err := r.View.Wait(ctx, func(s *projection.State) bool {
		n, ok := s.Node(id)
		proved = ok && n.Proved != nil && n.Proved.Serial == serial
		return proved || !ok || n.Epoch != epoch
	})
	return err == nil && proved
}

// confirmTo sends a confirmation, once: a lost one is asked for.
func confirmTo(ctx context.Context, c Config, e *events.Event) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	answer, err := command(ctx, c.Commands, e)
	if err == nil && answer.Error != "" {
		err = errors.New(answer.Error)
	}
	if err != nil {
		c.Logger.Debug().Err(err).Str(field.Node, string(e.Node)).Msg("confirmation not taken, the agent will ask")
	}
}
