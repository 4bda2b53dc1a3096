package agent_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/events"
)

// A fleet may turn strict as soon as the proof is out, so nothing unsigned may be
// on its way then.
func TestTheProofWaitsForUnsignedPosts(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		i, r := newIssuer(t), startOpen(t, agent.Config{Dir: dir})
		synctest.Wait()
		key, c, done, _ := r.agent.Signing()
		if c != nil || key == nil || r.agent.Credential() != nil || r.agent.Node() != node {
			t.Errorf("before there is a credential: %v", c)
		}
		_, _, other, _ := r.agent.Signing()
		csr := r.command(t, &events.CertificateRequested{Epoch: 1}, events.TypeCertificateRequested).CSRPEM
		d := i.deliver(t, csr, node, time.Hour)
		answered := make(chan string, 1)
		go func() { answered <- r.command(t, d, events.TypeCredentialDelivered).Error }()
		synctest.Wait()
		if _, c, _, _ := r.agent.Signing(); c == nil {
			t.Error("posts are not signed while the proof waits")
		}
		other()
		other()
		synctest.Wait()
		if len(r.states)+len(answered) != 0 {
			t.Error("the proof is out while an unsigned post is under way")
		}
		done()
		if e := <-answered; e != "" || len(r.states) != 1 {
			t.Errorf("answered %q with %d proofs", e, len(r.states))
		}
		r.end(t)
	})
}

func TestAnUnsignedPostThatNeverEndsHoldsUpTheProofOnly(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		i, r := newIssuer(t), startOpen(t, agent.Config{Dir: dir})
		synctest.Wait()
		_, _, done, _ := r.agent.Signing()
		csr := r.command(t, &events.CertificateRequested{Epoch: 1}, events.TypeCertificateRequested).CSRPEM
		d := i.deliver(t, csr, node, time.Hour)
		if a := r.command(t, d, events.TypeCredentialDelivered); !strings.Contains(a.Error, "wait for unsigned posts") || len(r.states) != 0 {
			t.Errorf("answered %q", a.Error)
		}
		done()
		if a := r.command(t, d, events.TypeCredentialDelivered); a.Error != "" || len(r.states) != 1 {
			t.Errorf("the delivery is not answered: %q", a.Error)
		}
		r.end(t)
	})
}

func TestANodeThatForgetsPostsNoMore(t *testing.T) {
	i, r := newIssuer(t), startOpen(t, agent.Config{Dir: t.TempDir()})
	i.enrol(t, r.fakeBus)
	if _, c, _, err := r.agent.Signing(); c == nil || err != nil || r.agent.Stopping() {
		t.Errorf("with a credential: %v, %v", c, err)
	}
	if a := r.command(t, &events.NodeStopRequested{Reason: "decommissioned", Forget: true}, events.TypeNodeStopRequested); a.Error != "" {
		t.Fatal(a.Error)
	}
	if _, c, _, err := r.agent.Signing(); c != nil || !errors.Is(err, agent.ErrStopping) || !r.agent.Stopping() {
		t.Errorf("after it was told to forget: %v, %v", c, err)
	}
	r.ended(t)
}

// open is an agent under test that can be asked.
type open struct {
	*running
	agent *agent.Agent
}

func startOpen(t *testing.T, cfg agent.Config) open {
	t.Helper()
	cfg.Node = node
	a, err := agent.Open(cfg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{fakeBus: newBus(), dir: cfg.Dir, done: make(chan error, 1), stop: cancel}
	go func() { r.done <- errors.Join(a.Run(ctx, r.fakeBus), a.Close()) }()
	return open{r, a}
}
