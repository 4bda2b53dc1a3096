package handlers

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"time"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// The reasons of failures.
const (
	ReasonNodeAbsent   = "node_absent"
	ReasonNodeReplaced = "node_replaced"
	ReasonAgentRefused = "agent_refused"
	ReasonIssuer       = "issuer_unusable"
	ReasonDriver       = "driver_error"
	ReasonAgentExited  = "agent_exited"
)

// issuer carries out IssueCredential.
type issuer struct {
	Config
	// facts of many who issue at once wait for the disk together.
	facts *eventlog.Group
}

// credential is what one run issues.
type credential struct {
	*identity.Issued
	nonce string
	epoch uint64
}

// Handle issues a new credential in each run. One that an interrupted run left
// behind is never proved, since the agent is handed the newer one.
func (h *issuer) Handle(ctx context.Context, t executor.Task) (executor.Result, error) {
	ca, err := h.Issuers.For(ctx, t.Inventory, t.Node)
	if err != nil {
		return executor.Result{}, h.unless(ctx, t, "the issuer was not ready", executor.Failed(ReasonIssuer, "%v", err))
	}
	node, _, _ := nodeNow(h.View, t.Node.ID)
	if !node.Present {
		return executor.Result{}, executor.Failed(ReasonNodeAbsent, "the node is absent")
	}
	c := credential{epoch: node.Epoch}
	csr, err := h.request(ctx, t, node.Epoch)
	if err != nil {
		return executor.Result{}, err
	}
	if c.Issued, err = h.certify(ca, t, csr); err != nil {
		return executor.Result{}, err
	}
	if c.nonce, err = newNonce(); err != nil {
		return executor.Result{}, err
	}
	if err := h.record(ctx, t, c); err != nil {
		return executor.Result{}, err
	}
	return executor.Result{}, h.deliver(ctx, t, c)
}

// request gets a certificate request of the node's from its agent, once that
// listens. Whoever answered is the node: the evidence says so.
func (h *issuer) request(ctx context.Context, t executor.Task, epoch uint64) (*x509.CertificateRequest, error) {
	nonce, err := newNonce()
	if err != nil {
		return nil, err
	}
	ask := t.Fact(h.Now(), events.TypeCertificateRequested, &events.CertificateRequested{
		Epoch: epoch, TrustDomain: t.Inventory.TrustDomain, Attestor: t.Node.Attestor, Nonce: nonce,
	}, nonce)
	for {
		answer, err := h.promptly(ctx, ask)
		switch {
		case err == nil && answer.Error == "":
			return h.attest(ctx, t, nonce, answer)
		case err == nil:
			return nil, executor.Failed(ReasonAgentRefused, "the agent made no certificate request: %s", answer.Error)
		case ctx.Err() != nil:
			return nil, h.unless(ctx, t, "the agent did not answer certificate.requested", ctx.Err())
		}
		h.Logger.Debug().Err(err).Str(field.Node, string(t.Node.ID)).Msg("agent not reached, asking again")
		pause(ctx, unreachableRetry)
	}
}

// attest returns the request if the evidence vouches for it.
func (h *issuer) attest(ctx context.Context, t executor.Task, nonce string, answer *events.CommandAnswered) (*x509.CertificateRequest, error) {
	csr, err := identity.ParseCSR([]byte(answer.CSRPEM))
	if err != nil {
		return nil, issuerFailure(err)
	}
	fingerprint, err := identity.Fingerprint(csr.PublicKey)
	if err != nil {
		return nil, issuerFailure(err)
	}
	err = h.Attest.Verify(ctx, t.Node.Attestor, attest.Challenge{
		TrustDomain: t.Inventory.TrustDomain, Node: t.Node.ID, Nonce: nonce, CSRPEM: answer.CSRPEM, KeyFingerprint: fingerprint,
	}, answer.Evidence)
	if err != nil {
		return nil, issuerFailure(err)
	}
	return csr, nil
}

func (h *issuer) certify(ca *identity.CA, t executor.Task, csr *x509.CertificateRequest) (*identity.Issued, error) {
	issued, err := ca.Issue(csr, t.Node.ID, t.Node.CredTTL, h.Now())
	if err != nil {
		return nil, issuerFailure(err)
	}
	return issued, nil
}

// issuerFailure keeps the reason of what a node is refused for.
func issuerFailure(err error) error {
	var refusal *fleet.Refusal
	if errors.As(err, &refusal) {
		return executor.Failed(refusal.Reason, "%s", refusal.Detail)
	}
	return executor.Failed(ReasonIssuer, "%v", err)
}

// record puts credential.issued on the log. It is fenced on the node's subject,
// so that no credential is issued to an epoch that has ended meanwhile.
func (h *issuer) record(ctx context.Context, t executor.Task, c credential) error {
	fact := t.Fact(h.Now(), events.TypeCredentialIssued, &events.CredentialIssued{
		Epoch: c.epoch, Action: t.Flight.ID, Serial: c.Serial, Nonce: c.nonce, KeyFingerprint: c.KeyFingerprint,
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, Issuer: c.Issuer, CertificatePEM: string(c.CertificatePEM),
	}, c.Serial)
	for {
		node, _, last := nodeNow(h.View, t.Node.ID)
		if node.Epoch != c.epoch {
			return executor.Failed(ReasonNodeReplaced, "the node was removed while its credential was made")
		}
		_, err := h.facts.Append(ctx, eventlog.Entry{Event: fact, Fence: eventlog.LastOnSubject(last)})
		if err != nil && !errors.Is(err, eventlog.ErrConflict) {
			return h.unless(ctx, t, "the log did not take credential.issued", err)
		}
		// The fold must know of the credential before it can be proved.
		if caught := h.View.CatchUp(ctx); caught != nil {
			return h.unless(ctx, t, "the log could not be folded", caught)
		}
		if err == nil {
			return nil
		}
	}
}

// deliver hands the credential over again and again, until the log says proved.
func (h *issuer) deliver(ctx context.Context, t executor.Task, c credential) error {
	delivery := t.Fact(h.Now(), events.TypeCredentialDelivered, &events.CredentialDelivered{
		Epoch: c.epoch, Serial: c.Serial, Nonce: c.nonce, TrustDomain: t.Inventory.TrustDomain, Region: regionOf(t.Inventory, t.Node.ID),
		CertificatePEM: string(c.CertificatePEM), BundlePEM: bundle(h.View, t.Inventory.TrustDomain),
		RenewBeforeSeconds: wholeSeconds(t.Node.RenewBefore),
	}, c.Serial)
	for {
		answer, err := h.promptly(ctx, delivery)
		if err == nil && answer.Error != "" {
			return executor.Failed(ReasonAgentRefused, "the agent did not take its credential: %s", answer.Error)
		}
		rest := h.Redeliver
		if err != nil {
			rest = min(rest, unreachableRetry)
		}
		replaced, err := h.awaitProof(ctx, t, c, rest)
		switch {
		case replaced:
			return executor.Failed(ReasonNodeReplaced, "the node was removed while its proof was awaited")
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return h.unless(ctx, t, "the node did not prove its credential", ctx.Err())
		}
	}
}

func (h *issuer) awaitProof(ctx context.Context, t executor.Task, c credential, rest time.Duration) (replaced bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, rest)
	defer cancel()
	err = h.View.Wait(ctx, func(s *projection.State) bool {
		node, ok := s.Node(t.Node.ID)
		replaced = !ok || node.Epoch != c.epoch
		return replaced || node.Proved != nil && node.Proved.Serial == c.Serial
	})
	return replaced && err == nil, err
}

// unless says what was waited for, if the action's deadline is what ended it.
func (c Config) unless(ctx context.Context, t executor.Task, late string, otherwise error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return executor.Failed(executor.ReasonDeadlineExceeded, "%s within %s", late, t.Timeout)
	}
	return otherwise
}

// promptly gives up on an answer that was lost, so that the command is sent again.
func (h *issuer) promptly(ctx context.Context, e *events.Event) (*events.CommandAnswered, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return command(ctx, h.Commands, e)
}

// command sends one command and reads the answer.
func command(ctx context.Context, to Commands, e *events.Event) (*events.CommandAnswered, error) {
	reply, err := to.Command(ctx, e)
	if err != nil {
		return nil, err
	}
	answer, ok := reply.Data.(*events.CommandAnswered)
	if !ok {
		return nil, executor.Failed(ReasonAgentRefused, "the agent answered with %s", reply.Type)
	}
	return answer, nil
}

func newNonce() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return hex.EncodeToString(b[:]), nil
}

// pause is for what no event announces, such as an agent that begins to listen.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
